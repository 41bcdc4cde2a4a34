"""Patches: the part of the sheet in which a fork differs from it.

Outside its patch a fork is the sheet, so a solver only ever walks on the patches: N forks of a sheet cost
about as much arithmetic and memory as one sheet, whatever N is. All patches of a run have one shape.

Tensors have the forks as their first axis here, (N, B, C, ..., h, w), so that one item broadcasts over the
forks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Patches", "arrange_cells"]

# How much larger patches may get for the sake of a lattice.
_GROWTH = 1.3


@dataclass(frozen=True)
class Patches:
    """N rectangles of one shape on a sheet.

    Attributes:
        places: (top, left) of each.
        size: (height, width) of all of them.
        sheet: (h, w) of the sheet.
    """

    places: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    sheet: tuple[int, int]

    @classmethod
    def whole(cls, count: int, sheet: tuple[int, int]) -> "Patches":
        """Patches that are as large as the sheet."""
        return cls(((0, 0),) * count, sheet, sheet)

    @classmethod
    def covering(cls, boxes: Tensor, writes: Tensor, sheet: tuple[int, int]) -> "Patches":
        """The smallest patches that cover a box each and, where the sheet allows, lie in their cells alike.

        Lying alike keeps them on a lattice when the cells are on one, which `cut` and `paste` are fast on.

        Args:
            boxes: (N, 4) int64 top, left, bottom, right of what has to be covered, inside the sheet; empty
                ones need nothing.
            writes: (N, 4) each fork's cell.
            sheet: (h, w).
        """
        needed = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero().flatten()
        if not len(needed):
            return cls(((0, 0),) * len(boxes), (0, 0), sheet)
        relative = boxes[needed] - writes[needed, :2].repeat(1, 2)
        height, width = (
            (relative[:, 2:].amax(0) - relative[:, :2].amin(0)).minimum(torch.tensor(sheet)).tolist()
        )
        limits = torch.tensor([sheet[0] - height, sheet[1] - width])
        corners = (writes[:, :2] + relative[:, :2].amin(0)).clamp(min=0).minimum(limits)
        tops, lefts = corners[:, 0].tolist(), corners[:, 1].tolist()
        even_tops, higher = _space_evenly(tops, height, sheet[0])
        even_lefts, wider = _space_evenly(lefts, width, sheet[1])
        if higher * wider <= _GROWTH * height * width:
            return cls(tuple(zip(even_tops, even_lefts, strict=True)), (higher, wider), sheet)
        return cls(tuple(zip(tops, lefts, strict=True)), (height, width), sheet)

    def __len__(self) -> int:
        return len(self.places)

    def of(self, forks: Sequence[int]) -> "Patches":
        """The patches of some of the forks."""
        return Patches(tuple(self.places[i] for i in forks), self.size, self.sheet)

    @property
    def is_whole(self) -> bool:
        """Whether every patch is the sheet itself."""
        return self.size == self.sheet

    def window(self, sheets: Tensor) -> Tensor | None:
        """All patches as a view of their sheets, for arithmetic in place; None where they lie on no lattice.

        Args:
            sheets: (N, ..., h, w), of any strides.

        Returns:
            (rows, columns, ..., *size) of the lattice, row by row the N patches.
        """
        return None if self._lattice is None else _lattice_view(sheets, self._lattice, self.size)

    def cut(self, sheets: Tensor) -> Tensor:
        """Cut patch n out of sheet n.

        Args:
            sheets: (N or 1, ..., h, w).

        Returns:
            (N, ..., *size), a copy; or sheets itself where patches are whole.
        """
        if self.is_whole:
            return sheets
        sheets = sheets.expand(len(self), *sheets.shape[1:])
        window = self.window(sheets)
        if window is not None:
            return window.flatten(0, 1)
        flat = sheets.reshape(self._flat_shape(sheets))
        picked = flat.gather(2, self._index(sheets.device).expand(-1, flat.shape[1], -1))
        return picked.reshape(*sheets.shape[:-2], *self.size)

    def paste(self, patches: Tensor, sheets: Tensor) -> None:
        """Write patch n into sheet n, in place.

        Args:
            patches: (N, ..., *size).
            sheets: (N, ..., h, w), contiguous; another dtype is cast to.
        """
        window = self.window(sheets)
        if window is not None:
            window.copy_(patches.reshape(window.shape))
        else:
            flat = sheets.view(self._flat_shape(sheets))
            index = self._index(sheets.device).expand(-1, flat.shape[1], -1)
            flat.scatter_(2, index, patches.to(sheets.dtype).reshape(index.shape))

    def inside(self, rectangles: Tensor) -> Tensor:
        """Which of each patch's elements lie in a rectangle of the sheet.

        Args:
            rectangles: (N, 4) int64 top, left, bottom, right.

        Returns:
            (N, *size) bool on the CPU.
        """
        places = torch.tensor(self.places, dtype=torch.int64).reshape(-1, 2)
        rows = places[:, :1] + torch.arange(self.size[0])
        columns = places[:, 1:] + torch.arange(self.size[1])
        vertical = (rows >= rectangles[:, :1]) & (rows < rectangles[:, 2:3])
        horizontal = (columns >= rectangles[:, 1:2]) & (columns < rectangles[:, 3:])
        return vertical[:, :, None] & horizontal[:, None, :]

    @cached_property
    def _lattice(self) -> "_Lattice | None":
        """The lattice that the places are on, row by row; None if they are on none."""
        if not self.places:
            return None
        top, left = self.places[0]
        columns = next((i for i, place in enumerate(self.places) if place[0] != top), len(self))
        if len(self) % columns:
            return None
        down = self.places[columns][0] - top if columns < len(self) else 0
        right = self.places[1][1] - left if columns > 1 else 0
        lattice = _Lattice((top, left), (down, right), (len(self) // columns, columns))
        return lattice if lattice.places == self.places and min(down, right) >= 0 else None

    @cached_property
    def _indices(self) -> dict[torch.device, Tensor]:
        return {}

    def _flat_shape(self, sheets: Tensor) -> tuple[int, int, int]:
        return len(self), math.prod(sheets.shape[1:-2]), math.prod(self.sheet)

    def _index(self, device: torch.device) -> Tensor:
        """(N, 1, height * width) where each patch's elements lie in its flattened sheet."""
        if device not in self._indices:
            places = torch.tensor(self.places, dtype=torch.int64).reshape(-1, 2)
            rows = places[:, 0, None, None] + torch.arange(self.size[0])[:, None]
            columns = places[:, 1, None, None] + torch.arange(self.size[1])
            shape = (len(self), 1, math.prod(self.size))
            self._indices[device] = (rows * self.sheet[1] + columns).reshape(shape).to(device)
        return self._indices[device]


def _space_evenly(starts: list[int], length: int, limit: int) -> tuple[list[int], int]:
    """Intervals at even distances that cover all [start, start + length), where such fit into [0, limit).

    Cells that do not divide by the stride lie unevenly by one latent cell; some more length evens that out.

    Returns:
        The starts and the length; those given if there are none.
    """
    distinct = sorted(set(starts))
    last = len(distinct) - 1
    if last < 1:
        return starts, length
    widest = (distinct[-1] - distinct[0]) // last
    for apart in (widest, widest - 1):
        slack = [start - apart * i for i, start in enumerate(distinct)]
        first, longer = min(slack), length + max(slack) - min(slack)
        if first >= 0 and first + apart * last + longer <= limit:
            return [first + apart * distinct.index(start) for start in starts], longer
    return starts, length


@dataclass(frozen=True)
class _Lattice:
    """Places at even distances: where the first is, how far apart they are, and how many (down, right)."""

    first: tuple[int, int]
    apart: tuple[int, int]
    count: tuple[int, int]

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        (top, left), (down, right), (rows, columns) = self.first, self.apart, self.count
        return tuple((top + r * down, left + c * right) for r in range(rows) for c in range(columns))


def _lattice_view(sheets: Tensor, lattice: _Lattice, size: tuple[int, int]) -> Tensor:
    """Patch (r, c) of sheet r * columns + c for all of them, as (rows, columns, ..., *size): a view."""
    (down, right), columns = lattice.apart, lattice.count[1]
    *outer, height, width = sheets.stride()
    steps = (columns * outer[0] + down * height, outer[0] + right * width)
    corner = sheets.storage_offset() + lattice.first[0] * height + lattice.first[1] * width
    shape = (*lattice.count, *sheets.shape[1:-2], *size)
    return sheets.as_strided(shape, (*steps, *outer[1:], height, width), corner)


def arrange_cells(sheets: Tensor, cells: Tensor, onto: Tensor) -> None:
    """Write cells, each from its own sheet of latents, onto one sheet, in place.

    Args:
        sheets: (N, ..., h, w).
        cells: (N, 4) int64 top, left, bottom, right; disjoint.
        onto: (1, ..., h, w).
    """
    for sheet, (top, left, bottom, right) in zip(sheets, cells.tolist(), strict=True):
        onto[0, ..., top:bottom, left:right] = sheet[..., top:bottom, left:right]
