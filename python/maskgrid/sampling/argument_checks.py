"""What to say when a name is not known."""

import difflib
from collections.abc import Iterable

from maskgrid.errors import InvalidValueError

__all__ = ["unknown_name"]


def unknown_name(
    kind: str, name: object, allowed: Iterable[str], *, why: str = "is not known"
) -> InvalidValueError:
    """An error that lists the names there are and suggests the nearest one.

    Args:
        kind: What the name is of, such as "sampler".
        name: What was given.
        allowed: Every name that would do.
        why: What is wrong with the name.

    Returns:
        The error, to be raised by the caller.
    """
    choices = list(allowed)
    # Names are lower case with p for plus, people write DPM++ 2M.
    plain = str(name).lower().replace("+", "p").replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(plain, choices, n=1, cutoff=0.0) if plain else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InvalidValueError(f"{kind} {name!r} {why}.{hint} Allowed: {', '.join(choices)}")
