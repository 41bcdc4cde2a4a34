"""The noise masks of forks, kept as small as they are, and the blends: what their grey means at a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.sampling.forking.patches import Patches

__all__ = ["BLENDS", "BlendName", "ForkMasks", "as_fork_masks"]

BlendName = Literal["lerp", "differential"]


class MaskRule(Protocol):
    """What a fork's noise mask means at a step."""

    def __call__(self, mask: Tensor, share: float) -> Tensor:
        """The mask to blend with, where `share` in [0, 1) of the steps are done."""


def _lerp(mask: Tensor, share: float) -> Tensor:
    return mask


def _differential(mask: Tensor, share: float) -> Tensor:
    return (mask >= 1 - share).to(mask.dtype)


BLENDS: Mapping[str, MaskRule] = {
    # A grey pixel is partly sampled at every step; what the original does.
    "lerp": _lerp,
    # Differential Diffusion (Levin and Fried, arXiv 2306.00950): a pixel's threshold is 1 - m. It stays the
    # sheet until the share of the steps done reaches its threshold, and is sampled like a white one from
    # there.
    "differential": _differential,
}
"""Every blend by its name."""


@dataclass(frozen=True, eq=False)
class ForkMasks:
    """The noise masks of all forks: where each may change.

    Attributes:
        rows: Rows of the grid.
        columns: Columns of the grid.
        cells: The cell of each fork, row by row from 0; several forks may have the same one.
        writes: (N, 4) int64 on the CPU: top, left, bottom, right of each fork's own part of the sheet;
            disjoint for different cells. What Sample then Fork gives to the fork.
        patches: The part of the sheet in which each fork may change.
        values: (N, height, width) float32 on the CPU: the noise masks inside the patches; outside them they
            are 0.
        together: (h, w) float32 on the CPU: the noise mask of the whole sheet while the forks are sampled
            together.
    """

    rows: int
    columns: int
    cells: tuple[int, ...]
    writes: Tensor
    patches: Patches
    values: Tensor
    together: Tensor

    @classmethod
    def from_plan(cls, plan: ForkPlan) -> "ForkMasks":
        """Noise masks of the forks of a `ForkPlan`."""
        size = (int(plan.grid.latent_size[0]), int(plan.grid.latent_size[1]))
        writes, places = torch.as_tensor(plan.writes), torch.as_tensor(plan.places)
        patches = Patches.covering(places, writes, size)
        values = torch.zeros(len(plan), *patches.size)
        for i, (corner, place) in enumerate(zip(patches.places, places.tolist(), strict=True)):
            top, left, bottom, right = (edge - corner[k % 2] for k, edge in enumerate(place))
            values[i, top:bottom, left:right] = _tensor(plan[i].noise_mask)
        together = _tensor(plan.sheet_mask())[0, 0]
        return cls(plan.grid.rows, plan.grid.columns, tuple(plan.cells), writes, patches, values, together)

    @classmethod
    def from_tensor(
        cls, masks: Tensor, *, rows: int, columns: int, writes: Tensor | None = None
    ) -> "ForkMasks":
        """Noise masks that are given as a tensor, one for each cell.

        Args:
            masks: (rows * columns, 1, h, w) bool or floating, in [0, 1], on any device.
            rows: Rows of the grid, 1 or more.
            columns: Columns of the grid, 1 or more.
            writes: (rows * columns, 4) disjoint rectangles top, left, bottom, right; default the sheet
                divided evenly.

        Raises:
            InvalidTypeError: Not a tensor, or of integers or complex numbers.
            InvalidValueError: Another shape, values outside [0, 1] or NaN, rectangles outside the sheet.
        """
        _check_masks(masks, rows, columns)
        dense = masks.detach().to("cpu", torch.float32)[:, 0]
        size = (dense.shape[1], dense.shape[2])
        rectangles = (
            _even_cells(rows, columns, size) if writes is None else _check_writes(writes, len(dense), size)
        )
        together = dense.sum(0).clamp(max=1)
        boxes = torch.stack(
            [
                _support(mask, together, rectangle)
                for mask, rectangle in zip(dense, rectangles.tolist(), strict=True)
            ]
        )
        patches = Patches.covering(boxes, rectangles, size)
        values = patches.cut(dense).clone()
        return cls(rows, columns, tuple(range(len(dense))), rectangles, patches, values, together)

    @classmethod
    def of_own_sheets(cls, masks: Any, cells: Sequence[int], grid: Grid) -> "ForkMasks":
        """The noise masks of forks that have a sheet each, all of one size.

        Args:
            masks: (n, h, w) float32 in [0, 1], an array or a tensor: each fork's on its own sheet.
            cells: The cell of each fork.
            grid: Where the cells lie, of whose sheet the forks are.
        """
        dense = _tensor(masks)[:, None]
        whole = torch.tensor([[0, 0, *dense.shape[-2:]]]).repeat(len(dense), 1)
        each = cls.from_tensor(dense, rows=len(dense), columns=1, writes=whole)
        return replace(each, rows=grid.rows, columns=grid.columns, cells=tuple(cells))

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the sheet in latents."""
        return self.patches.sheet

    @property
    def sheets(self) -> tuple[tuple[int, ...], ...]:
        """The forks that may be sampled together as one sheet: groups that have each cell at most once."""
        groups: list[list[int]] = []
        seen: dict[int, int] = {}
        for fork, cell in enumerate(self.cells):
            group = seen[cell] = seen.get(cell, -1) + 1
            if group == len(groups):
                groups.append([])
            groups[group].append(fork)
        return tuple(map(tuple, groups))

    def repeat(self, times: int) -> "ForkMasks":
        """The noise masks of several tries of every fork: all forks, then all of them again."""
        return replace(
            self,
            cells=self.cells * times,
            writes=self.writes.repeat(times, 1),
            patches=replace(self.patches, places=self.patches.places * times),
            values=self.values.repeat(times, 1, 1),
        )

    def batch(self, start: int = 0, stop: int | None = None) -> Tensor:
        """The noise masks of forks start to stop - 1 as whole sheets, (n, 1, h, w) float32."""
        forks = range(len(self))[start:stop]
        dense = torch.zeros(len(forks), 1, *self.size)
        self.patches.of(forks).paste(self.values[start:stop, None], dense)
        return dense

    def sheet(self) -> Tensor:
        """The noise mask of the sheet while the forks are sampled together, (1, 1, h, w) float32."""
        return self.together[None, None]


def as_fork_masks(plan: ForkPlan | ForkMasks | Tensor, rows: int | None, columns: int | None) -> ForkMasks:
    """Noise masks of forks, from whatever they are given as: a plan, a tensor, or masks.

    Args:
        plan: A fork plan, masks, or a tensor of masks as `ForkMasks.from_tensor` takes.
        rows: Rows of the grid, for a tensor only.
        columns: Columns of the grid, for a tensor only.

    Raises:
        InvalidTypeError: None of the three, or a tensor without rows and columns.
        InvalidValueError: As `ForkMasks.from_tensor`.
    """
    if isinstance(plan, ForkMasks):
        return plan
    if isinstance(plan, Tensor):
        if rows is None or columns is None:
            raise InvalidTypeError(
                f"a tensor of masks came with rows {rows} and columns {columns}; allowed: both numbers"
            )
        return ForkMasks.from_tensor(plan, rows=rows, columns=columns)
    if not isinstance(plan, ForkPlan):
        raise InvalidTypeError(
            f"plan is {type(plan).__name__}; allowed: a ForkPlan, ForkMasks, or masks (N, 1, h, w)"
        )
    return ForkMasks.from_plan(plan)


def _tensor(array: Any) -> Tensor:
    """A float32 tensor on the CPU from numpy's or torch's; a copy, since a plan's memory is read-only."""
    if isinstance(array, Tensor):
        return array.detach().to("cpu", torch.float32)
    return torch.tensor(array, dtype=torch.float32)


def _support(mask: Tensor, together: Tensor, rectangle: Sequence[int]) -> Tensor:
    """(4,) the box of all that may change in a fork: under its own mask, or in its cell under the sheet's."""
    top, left, bottom, right = rectangle
    changes = mask > 0
    changes[top:bottom, left:right] |= together[top:bottom, left:right] > 0
    rows, columns = changes.any(1).nonzero().flatten(), changes.any(0).nonzero().flatten()
    if not len(rows):
        return torch.zeros(4, dtype=torch.int64)
    return torch.stack([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def _even_cells(rows: int, columns: int, size: tuple[int, int]) -> Tensor:
    """(N, 4) the sheet divided evenly; borders are rounded down."""
    y = [i * size[0] // rows for i in range(rows + 1)]
    x = [i * size[1] // columns for i in range(columns + 1)]
    return torch.tensor([(y[r], x[c], y[r + 1], x[c + 1]) for r in range(rows) for c in range(columns)])


def _check_masks(masks: object, rows: int, columns: int) -> None:
    if not isinstance(masks, Tensor) or not (masks.dtype == torch.bool or masks.is_floating_point()):
        kind = masks.dtype if isinstance(masks, Tensor) else type(masks).__name__
        raise InvalidTypeError(f"masks is {kind}; allowed: a tensor of bool or floating numbers")
    if rows < 1 or columns < 1:
        raise InvalidValueError(f"the grid is {rows} x {columns}; allowed: 1 or more rows and columns")
    if masks.ndim != 4 or masks.shape[:2] != (rows * columns, 1) or not masks.numel():
        raise InvalidValueError(
            f"masks has shape {tuple(masks.shape)}; "
            f"allowed for {rows} x {columns} cells: ({rows * columns}, 1, h, w)"
        )
    if masks.is_floating_point() and not bool(((masks >= 0) & (masks <= 1)).all()):
        raise InvalidValueError(
            f"masks spans {float(masks.min())} to {float(masks.max())}; allowed: 0 to 1, without NaN"
        )


def _check_writes(writes: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    rectangles = torch.as_tensor(writes).detach().to("cpu", torch.int64)
    if rectangles.shape != (count, 4):
        raise InvalidValueError(f"writes has shape {tuple(rectangles.shape)}; allowed: ({count}, 4)")
    top, left, bottom, right = rectangles.unbind(1)
    inside = (top >= 0) & (bottom <= size[0]) & (left >= 0) & (right <= size[1])
    ordered = inside & (top <= bottom) & (left <= right)
    if not bool(ordered.all()):
        bad = rectangles[~ordered][0].tolist()
        raise InvalidValueError(
            f"a rectangle of writes is {bad}; allowed: inside a sheet of {size[0]} x {size[1]}"
        )
    return rectangles
