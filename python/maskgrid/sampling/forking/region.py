"""Regions: which forks the rows of a batch are, and where each row may change.

A region has one row for each of its forks; or it is the sheet together, one row in which the cells of all its
forks change. The loop, the noise and the result ask the region and need not know which of the two it is.

Outside its patch a row is the sheet, so the solver walks on the patches alone (`patches.Patches`): N forks of
a sheet cost about as much arithmetic and memory as one sheet, whatever N is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maskgrid.sampling.forking.patches import Patches, arrange_cells
from maskgrid.sampling.samplers.noise import StepNoise

__all__ = ["Region", "RegionNoise"]


@dataclass(frozen=True, eq=False)
class Region:
    """Which forks the rows of a batch are, and where each row may change.

    Tensors have the rows as their first axis, (n, B, C, ..., h, w), so that one item broadcasts over them.

    Attributes:
        forks: The forks whose cells change here.
        rows: The fork of each row; empty for the sheet together, which is one row.
        cells: (len(forks), 4) int64 on the CPU: top, left, bottom, right of each fork's own part of the
            sheet.
        patches: Where each row may change.
        mask: (n, 1, ..., height, width) the noise masks inside the patches, where and as the solver computes.
    """

    forks: tuple[int, ...]
    rows: tuple[int, ...]
    cells: Tensor
    patches: Patches
    mask: Tensor

    @property
    def is_sheet(self) -> bool:
        """Whether the region is the sheet together."""
        return not self.rows

    def rectangles(self, rows: Sequence[int]) -> tuple[tuple[int, int, int, int], ...]:
        """The cells of some rows, or in the sheet together of some forks: top, left, bottom, right."""
        if not rows:
            return ((0, 0, *self.patches.size),)
        cells = self.cells[[self.forks.index(fork) for fork in rows]].tolist()
        return tuple((top, left, bottom, right) for top, left, bottom, right in cells)

    def cut(self, sheets: Tensor) -> Tensor:
        """Cut the rows' patches out of whole sheets, one or one for each row: (n, B, C, ..., *patch)."""
        return self.patches.cut(sheets)

    def paste(self, patches: Tensor, sheet: Tensor) -> Tensor:
        """Paste the rows' patches over one sheet.

        Args:
            patches: (n, B, C, ..., *patch).
            sheet: (1, B, C, ..., h, w) what lies around them.

        Returns:
            (n, B, C, ..., h, w), new memory; the patches themselves where they are whole.
        """
        if self.patches.is_whole:
            return patches
        sheets = self._repeat(sheet, sheet.dtype)
        self.patches.paste(patches, sheets)
        return sheets

    def lerp(self, around: Tensor, x: Tensor, weight: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Mix x, known inside the patches alone, with what is around it: `torch.lerp(around, x, weight)`.

        Args:
            around: (n or 1, B, C, ..., h, w).
            x: (n or 1, B, C, ..., *patch) of the same dtype.
            weight: Like `mask`.
            dtype: Of the result.

        Returns:
            (n, B, C, ..., h, w), contiguous memory that nobody else holds.
        """
        if self.patches.is_whole:
            return torch.lerp(around, x, weight).to(dtype)
        sheets = self._repeat(around, dtype)
        window = self.patches.window(sheets) if dtype == x.dtype else None
        if window is None:
            self.patches.paste(torch.lerp(self.cut(around), x, weight), sheets)
        else:
            # In place on a view: each element of the batch is written once.
            inside = (each.reshape(*window.shape[:2], *each.shape[1:]) for each in (x, weight))
            torch.lerp(window, *inside, out=window)
        return sheets

    def gather(self, sheets: Iterable[Tensor]) -> Tensor:
        """Gather what the rows have of sheets (B, C, ..., h, w), one for each fork or one for all of them.

        Rows have the sheet of their fork; the sheet together has each cell from its own fork's sheet, and
        what is in no cell from the first.

        Returns:
            (1 or n, B, C, ..., h, w).
        """
        if not self.is_sheet:
            return torch.stack(list(sheets))
        remaining = iter(sheets)
        gathered = next(remaining)[None].clone()
        for cell, sheet in zip(self.cells[1:], remaining, strict=False):
            arrange_cells(sheet[None], cell[None], gathered)
        return gathered

    def arrange(self, sheets: Tensor, forks: Sequence[int], onto: Tensor | None) -> Tensor:
        """Arrange some forks' cells, each of its own sheet (k, B, C, ..., h, w), in one sheet.

        Args:
            sheets: One for each of `forks`.
            forks: Some of this region's.
            onto: (1, B, C, ..., h, w), written in place; default a copy of the first sheet.
        """
        result = sheets[:1].clone() if onto is None else onto
        places = [self.forks.index(fork) for fork in forks]
        arrange_cells(sheets, self.cells[places], result)
        return result

    def _repeat(self, sheets: Tensor, dtype: torch.dtype) -> Tensor:
        """New memory of one sheet for each row of a region, filled with these."""
        shape = (len(self.patches), *sheets.shape[1:])
        return torch.empty(shape, dtype=dtype, device=sheets.device).copy_(sheets)


class RegionNoise(StepNoise):
    """The step noise of a region's rows.

    Args:
        items: The step noise of one sheet for all forks, or one for each of the region's, at one position.
        region: Whose rows.
        device: Of the noise, as the next.
        dtype: What the solver computes in.
    """

    def __init__(
        self, items: Sequence[StepNoise], region: Region, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._items = tuple(items)
        self._region = region
        self._device = device
        self._dtype = dtype

    @property
    def position(self) -> int:
        """Draws of a region's step noise done."""
        return self._items[0].position

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """(1 or n, B, C, ..., *patch) standard normal noise for a step."""
        drawn = self._region.gather(item(sigma, following) for item in self._items)
        return self._region.cut(drawn.to(self._device, self._dtype))
