"""Windows on a canvas: the part of it that a fork's own pass through the network covers, at any scale."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from maskgrid.errors import MaskGridError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Rectangle", "Windows", "choose_windows", "cut_into_pieces"]

Rectangle = tuple[int, int, int, int]
"""Top, left, bottom, right."""


@dataclass(frozen=True)
class Windows:
    """Windows of one size on a canvas, at any scale of it.

    Attributes:
        canvas: (h, w) of the canvas, in the elements of the network's input.
        size: (height, width) of each window.
        places: (top, left) of each window.
    """

    canvas: tuple[int, int]
    size: tuple[int, int]
    places: tuple[tuple[int, int], ...]
    # What is asked for in every layer and step is reckoned once.
    _found: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def is_whole(self) -> bool:
        """Whether every window is the canvas."""
        return self.size == self.canvas

    def at(self, height: int, width: int) -> Windows:
        """These windows on a feature map (height, width) of the whole canvas.

        Raises:
            MaskGridError: A map of another shape, or windows that do not lie on its elements.
        """
        if (height, width) == self.canvas:
            return self
        if (height, width) not in self._found:
            self._found[height, width] = self._scaled(height, width)
        found: Windows = self._found[height, width]
        return found

    def on_tokens(self, count: int) -> Windows:
        """These windows on a feature map that a layer sees as `count` tokens, row by row.

        Raises:
            MaskGridError: No scale of the canvas has so many.
        """
        if count not in self._found:
            self._found[count] = self.at(*_shape_of(count, self.canvas))
        found: Windows = self._found[count]
        return found

    def cut(self, maps: Tensor, rows: Sequence[int]) -> Tensor:
        """Cut each window out of a map of the whole canvas.

        Args:
            maps: (K, C, *canvas).
            rows: The map of each window.

        Returns:
            (n, C, height, width), new memory.
        """
        height, width = self.size
        return torch.stack(
            [
                maps[row, :, top : top + height, left : left + width]
                for row, (top, left) in zip(rows, self.places, strict=True)
            ]
        )

    def cut_rims(self, maps: Tensor, rows: Sequence[int], border: tuple[int, int]) -> tuple[Tensor, ...]:
        """Cut what lies around each window, zeros beyond the canvas.

        Args:
            maps: (K, C, *canvas).
            rows: The map of each window.
            border: Elements above and below, left and right.

        Returns:
            Above and below (n, C, border[0], width + 2 * border[1]), left and right
            (n, C, height, border[1]), new memory.
        """
        down, across = border
        padded = pad(maps, (across, across, down, down))
        height, width = self.size
        places = [(row, *place) for row, place in zip(rows, self.places, strict=True)]

        def strip(top: int, left: int, high: int, wide: int) -> Tensor:
            return torch.stack(
                [padded[r, :, t + top : t + top + high, x + left : x + left + wide] for r, t, x in places]
            )

        return (
            strip(0, 0, down, width + 2 * across),
            strip(down + height, 0, down, width + 2 * across),
            strip(down, 0, height, across),
            strip(down, across + width, height, across),
        )

    def paste(self, windows: Tensor, maps: Tensor, rows: Sequence[int]) -> None:
        """Write each window (n, C, height, width) into its map of (M, C, *canvas), in place."""
        height, width = self.size
        for (top, left), row, window in zip(self.places, rows, windows, strict=True):
            maps[row, :, top : top + height, left : left + width] = window

    def token_indices(self, device: torch.device) -> Tensor:
        """(n, height * width) int64: each window's tokens among the canvas's, row by row."""
        key = ("tokens", device)
        if key not in self._found:
            tops, lefts = (each[:, None, None] for each in self._corners(device))
            down = tops + torch.arange(self.size[0], device=device)[:, None]
            across = lefts + torch.arange(self.size[1], device=device)
            self._found[key] = (down * self.canvas[1] + across).flatten(1)
        found: Tensor = self._found[key]
        return found

    def pick(self, chosen: Sequence[int]) -> Windows:
        """Some of the windows, in an order of their own."""
        key = ("picked", tuple(chosen))
        if key not in self._found:
            self._found[key] = Windows(self.canvas, self.size, tuple(self.places[i] for i in chosen))
        found: Windows = self._found[key]
        return found

    def _scaled(self, height: int, width: int) -> Windows:
        down, across = _scale(self.canvas[0], height), _scale(self.canvas[1], width)
        rows = [_span(top, self.size[0], down, height) for top, _ in self.places]
        columns = [_span(left, self.size[1], across, width) for _, left in self.places]
        size = (rows[0][1], columns[0][1]) if self.places else (0, 0)
        places = tuple((top, left) for (top, _), (left, _) in zip(rows, columns, strict=True))
        return Windows((height, width), size, places)

    def _corners(self, device: torch.device) -> tuple[Tensor, Tensor]:
        key = ("corners", device)
        if key not in self._found:
            self._found[key] = torch.tensor(self.places, device=device).reshape(-1, 2).unbind(1)
        tops, lefts = self._found[key]
        return tops, lefts


def choose_windows(
    rectangles: Sequence[Rectangle], canvas: tuple[int, int], *, halo: tuple[int, int], align: int
) -> list[Rectangle]:
    """What each fork's window covers: where it may change and a halo around, on a network's lattice.

    Args:
        rectangles: Where each fork may change.
        canvas: (h, w).
        halo: Elements above and below, left and right.
        align: What windows begin and end on multiples of; they may also end where the canvas does.

    Returns:
        A rectangle each, inside the canvas, of one size where the canvas is a multiple of `align`.
    """
    down = _choose_spans([(r[0], r[2]) for r in rectangles], canvas[0], halo[0], align)
    across = _choose_spans([(r[1], r[3]) for r in rectangles], canvas[1], halo[1], align)
    return [(top, left, bottom, right) for (top, bottom), (left, right) in zip(down, across, strict=True)]


def cut_into_pieces(
    rectangles: Sequence[Rectangle],
    canvas: tuple[int, int],
    *,
    most: int | None = None,
    same_place: bool = False,
) -> list[list[int]]:
    """Which windows may go through a network together: neighbours of one size, no larger than the canvas.

    Args:
        rectangles: The windows.
        canvas: (h, w).
        most: The most in a piece; None for no limit of its own.
        same_place: Whether those of a piece have to lie at one place.

    Returns:
        The numbers of the windows of each piece, in order.
    """

    def kind(number: int) -> tuple[int, ...]:
        top, left, bottom, right = rectangles[number]
        size = (bottom - top, right - left)
        return (*size, top, left) if same_place else size

    pieces = []
    for (height, width, *_), members in itertools.groupby(range(len(rectangles)), kind):
        fitting = max(1, canvas[0] * canvas[1] // (height * width))
        alike = list(members)
        size = fitting if most is None else min(fitting, most)
        pieces += [alike[begin : begin + size] for begin in range(0, len(alike), size)]
    return pieces


def _choose_spans(
    needed: Sequence[tuple[int, int]], limit: int, halo: int, align: int
) -> list[tuple[int, int]]:
    begins = [max(begin - halo, 0) // align * align for begin, _ in needed]
    ends = [min(math.ceil((end + halo) / align) * align, limit) for _, end in needed]
    length = max((end - begin for begin, end in zip(begins, ends, strict=True)), default=0)
    length = min(math.ceil(length / align) * align, limit)
    # Those at the border are moved inward, so that all are of one size.
    last = max(limit - length, 0) // align * align
    begins = [min(begin, last) for begin in begins]
    return [(begin, max(min(begin + length, limit), end)) for begin, end in zip(begins, ends, strict=True)]


def _shape_of(count: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) of the scale of a canvas that has so many elements."""
    height, width = canvas
    for step in range(1, max(height, width) + 1):
        for shape in ((math.ceil(height / step), math.ceil(width / step)), (height * step, width * step)):
            if shape[0] * shape[1] == count:
                return shape
    raise MaskGridError(f"{count} tokens are no scale of a canvas of {height} x {width}")


def _scale(side: int, length: int) -> Fraction:
    """How many elements of a map of `length` one element of a canvas of `side` is."""
    if length >= side:
        if length % side:
            raise MaskGridError(f"a map of {length} elements is no multiple of the canvas's {side}")
        return Fraction(length // side)
    step = next((each for each in range(2, side + 1) if math.ceil(side / each) == length), None)
    if step is None:
        raise MaskGridError(f"a map of {length} elements is no part of the canvas's {side}")
    return Fraction(1, step)


def _span(begin: int, length: int, scale: Fraction, limit: int) -> tuple[int, int]:
    """Begin and length on a scaled axis; beyond the last whole element an axis has one more."""
    first, end = begin * scale, (begin + length) * scale
    last = min(math.ceil(end), limit)
    if first.denominator != 1 or (end.denominator != 1 and last != limit):
        raise MaskGridError(
            f"a window from {begin} to {begin + length} is not on the lattice of 1 / {1 / scale}"
        )
    return int(first), last - int(first)
