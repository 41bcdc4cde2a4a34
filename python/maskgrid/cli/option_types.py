"""Types of options: texts turned into numbers, places, seeds and names, or refused in argparse's words."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "COVERAGES",
    "MODES",
    "background",
    "cell_and_fork",
    "count",
    "fork_number",
    "number",
    "numbers_pair",
    "pixels_or_share",
    "position",
    "sampler_name",
    "schedule_name",
    "seeds",
    "share",
    "zoom_factor",
]

MODES = ("sample", "fork")
COVERAGES = ("center", "nearest", "area", "max", "min")
"""The names that `maskgrid.ForkPlan` takes, told here so that `--help` needs not import it."""


def background(text: str) -> str:
    """A colour as #rgb or #rrggbb, or auto, as the type of an option."""
    if text == "auto" or re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", text):
        return text
    raise argparse.ArgumentTypeError(
        f"invalid value: {text!r} (allowed: auto, or a colour such as '#00ff00')"
    )


def count(text: str) -> int:
    """A whole number from 1, as the type of an option."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: whole numbers from 1)")
    return value


def number(text: str) -> float:
    """A finite number from 0, as the type of an option."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: numbers from 0)")
    return value


def share(text: str) -> float:
    """A number from 0 to 1, as the type of an option."""
    value = number(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: numbers from 0 to 1)")
    return value


def numbers_pair(text: str) -> int | tuple[int, int]:
    """One whole number, or height and width."""
    values = [_whole(part) for part in text.split(",")]
    if len(values) > 2 or min(values) < 0:
        raise argparse.ArgumentTypeError(
            f"invalid value: {text!r} (allowed: a number of pixels from 0, or HEIGHT,WIDTH)"
        )
    return values[0] if len(values) == 1 else (values[0], values[1])


def position(text: str) -> tuple[int, int]:
    """A cell's row and column, as the type of an option."""
    values = text.split(",")
    if len(values) != 2:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: ROW,COLUMN, counted from 0)")
    return _whole(values[0]), _whole(values[1])


def zoom_factor(text: str) -> float | str:
    """A factor, or the word auto, as the type of an option."""
    return text if text == "auto" else number(text)


def pixels_or_share(text: str) -> float:
    """Whole pixels, or with a point a share, as the type of an option."""
    value = number(text)
    return value if "." in text else int(value)


def fork_number(text: str) -> int:
    """The number of a fork, as the type of an option."""
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: whole numbers from 0)")
    return value


def seeds(text: str) -> str | list[int]:
    """A rule for seeds, or the seed of each cell."""
    if text in ("same", "increment"):
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid choice: {text!r} (choose from same, increment, or a list such as 1,2,3)"
        ) from None


def cell_and_fork(text: str) -> tuple[tuple[int, int] | None, int]:
    """A fork's number, or the number for a cell."""
    where, _, fork = text.rpartition("=")
    return (position(where) if where else None), _whole(fork)


def sampler_name(text: str) -> str:
    """A sampler; what another program calls it is answered with its name here."""
    from maskgrid.sampling.samplers.registry import SAMPLERS
    from maskgrid.sampling.samplers.webui_names import translate

    if text in SAMPLERS:
        return text
    meant = translate(text)
    if meant is not None:
        sampler, schedule = meant
        told = f"--sampler {sampler}" + (f" --scheduler {schedule}" if schedule else "")
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (here it is called: {told})")
    raise _invalid_choice(text, SAMPLERS)


def schedule_name(text: str) -> str:
    """A schedule, as the type of an option."""
    from maskgrid.sampling.noise_levels.schedules import SCHEDULES

    if text in SCHEDULES:
        return text
    raise _invalid_choice(text, SCHEDULES)


def _invalid_choice(text: str, names: Iterable[str]) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(names)})")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid value: {text!r} (allowed: whole numbers)") from None
