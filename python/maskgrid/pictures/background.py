"""The colour that a model sees under alpha: as people write it, or one far from the sheet's own colours."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Colour", "background_of", "check_background", "far_colour"]

Colour = tuple[int, int, int]

_ALLOWED = "allowed: 'auto', '#00ff00', or red, green and blue from 0 to 255"
_HEX = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_LEVELS = (0, 128, 255)
_STEP = 8
"""Levels of a colour's channels that count as one, so that a photograph has a few thousand colours."""
_MOST = 4096
_RARE = 0.001
"""A share of the visible pixels whose colours need not be far: specks."""


def check_background(value: Any) -> Colour | str | None:
    """A background as it was asked for: a colour, "auto", or None.

    Args:
        value: "auto", "#rgb", "#rrggbb", red, green and blue from 0 to 255, or None.

    Raises:
        InvalidTypeError: None of these.
        InvalidValueError: A text that is no colour, or numbers that are none.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if value == "auto":
            return value
        found = _HEX.fullmatch(value)
        if found is None:
            raise InvalidValueError(f"background is {value[:40]!r}; {_ALLOWED}")
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    levels = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(levels, Sequence) or isinstance(levels, bytes | bytearray):
        raise InvalidTypeError(f"background is {type(value).__name__}; {_ALLOWED}")
    is_colour = len(levels) == 3 and all(
        isinstance(level, int | np.integer) and not isinstance(level, bool) and 0 <= level <= 255
        for level in levels
    )
    if not is_colour:
        raise InvalidValueError(f"background is {tuple(levels[:4])!r}; {_ALLOWED}")
    red, green, blue = (int(level) for level in levels)
    return red, green, blue


def background_of(value: Any, pixels: NDArray[np.uint8]) -> Colour | None:
    """The colour that a background means for a sheet; None for none, and for a sheet without alpha.

    Args:
        value: As for `check_background`.
        pixels: (H, W, 3) or (H, W, 4) uint8, the sheet.

    Raises:
        InvalidTypeError: See `check_background`, as for the next one.
        InvalidValueError: Likewise.
    """
    asked = check_background(value)
    if asked is None or pixels.shape[2] == 3:
        return None
    return far_colour(pixels) if isinstance(asked, str) else asked


def far_colour(pixels: NDArray[np.uint8]) -> Colour:
    """The colour, of 27 with levels 0, 128 and 255, that is furthest from those that are seen in a picture.

    Args:
        pixels: (H, W, 4) uint8; colours under alpha 0 don't count, nor do those that fewer than a thousandth
            of the visible pixels have together.

    Returns:
        The colour; of several as far the first of green, magenta, blue, cyan, red, yellow and the rest, and
        green where nothing is visible.
    """
    candidates = sorted(itertools.product(_LEVELS, repeat=3), key=_rank)
    visible = pixels[pixels[..., 3] > 0][:, :3]
    if not len(visible):
        return _colour(candidates[0])
    coarse, counts = np.unique(visible // _STEP, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    known = np.cumsum(counts[order]) - counts[order] < (1 - _RARE) * len(visible)
    colours = coarse[order][known][:_MOST].astype(np.float32) * _STEP + (_STEP - 1) / 2
    distances = [float(((colours - candidate) ** 2).sum(1).min()) for candidate in candidates]
    return _colour(candidates[int(np.argmax(distances))])


_FIRST = ((0, 255, 0), (255, 0, 255), (0, 0, 255), (0, 255, 255), (255, 0, 0), (255, 255, 0))


def _rank(colour: tuple[int, ...]) -> int:
    """Screens' own green and magenta first; greys, which outlines and highlights have, last."""
    if colour in _FIRST:
        return _FIRST.index(colour)
    return 100 if len(set(colour)) == 1 else 10


def _colour(levels: Sequence[int]) -> Colour:
    red, green, blue = levels
    return red, green, blue
