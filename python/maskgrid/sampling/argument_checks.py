"""Numbers and names as people give them: read, or refused with what is allowed."""

import difflib
import math
import operator
from collections.abc import Iterable
from typing import SupportsFloat, SupportsIndex

from maskgrid.errors import InvalidTypeError, InvalidValueError

__all__ = ["check_count", "check_number", "unknown_name"]


def check_count(name: str, value: object, low: int, high: int | None = None) -> int:
    """Check an argument that counts: an integer in [low, high].

    Raises:
        InvalidTypeError: Not an integer.
        InvalidValueError: Out of range.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise InvalidTypeError(f"{name} is {value!r}; allowed: an integer")
    number = operator.index(value)
    if number < low or (high is not None and number > high):
        raise InvalidValueError(
            f"{name} is {number}; allowed: {low} {'or more' if high is None else f'to {high}'}"
        )
    return number


def check_number(name: str, value: object) -> float:
    """Check an argument that is a finite number.

    Raises:
        InvalidTypeError: Not a number.
        InvalidValueError: NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsFloat | SupportsIndex):
        raise InvalidTypeError(f"{name} is {value!r}; allowed: a number")
    number = float(value)
    if not math.isfinite(number):
        raise InvalidValueError(f"{name} is {number}; allowed: a finite number")
    return number


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
