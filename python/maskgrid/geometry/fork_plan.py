"""What each fork reads, what it may change, and where that lies."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from maskgrid import _native
from maskgrid.errors import InvalidValueError
from maskgrid.geometry import arrays
from maskgrid.geometry import latent_coverage as latent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.geometry.grid import Grid, Rect, Size

__all__ = ["Fork", "ForkPlan"]


@dataclass(frozen=True, slots=True, eq=False)
class Fork:
    """One fork of a plan: its cell, its mask, and where they lie.

    Attributes:
        index: Its number in the plan.
        cell: The number of its cell, row by row.
        row: The cell's row.
        column: The cell's column.
        rect: The cell in pixels.
        place: The latent cells that touch the cell; where `noise_mask` lies.
        write: The latent cells whose centre lies in the cell; disjoint for all forks.
        window: The latent cells that one network call reads: cell and halo, one shape for all forks.
        noise_mask: (h, w) float32, 1 = sample again; a view of the plan's memory, as large as `place`.
    """

    index: int
    cell: int
    row: int
    column: int
    rect: Rect
    place: Rect
    write: Rect
    window: Rect
    noise_mask: Any


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ForkPlan(Sequence[Fork]):
    """The forks of a sheet: one for each cell whose stencil lets something change.

    The stencil is read once and kept at latent size, one mask for each distinct one: with one stencil for all
    cells and cells that the stride divides that is a single cell's mask, however many forks there are. Dense
    masks are made for the forks that are asked for. Plans don't change once made; they compare by value and
    can be pickled.

    Args:
        grid: Where the cells lie.
        mask: The stencil, as large as one cell: one for all cells, or one per cell, shaped and typed as
            `maskgrid.masks` takes it; numpy, torch on any device, or any DLPack producer.
        coverage: How pixels become a latent cell: "center" (as ComfyUI: bilinear without antialias),
            "nearest" (as diffusers), "area", "max" or "min" of the block. "center" and "nearest" lose thin
            lines.
        halo: Latent cells around the cell that a window reads as well.
        align: What starts and sides of windows are multiples of: the network's own stride, in latent cells.
        cells: Numbers of the cells to fork, each at most once; default all.

    Raises:
        InvalidValueError: A mask of another size or count, values outside [0, 1], an unknown coverage, a cell
            that does not exist or is named twice, an alignment that does not divide the latent size.
        InvalidTypeError: An object or a dtype that is no mask.
    """

    _plan: _native.Plan
    _distinct: _native.DistinctCoverages
    _coverages: Any
    _sheet: Any
    _coverage: str

    def __init__(
        self,
        grid: Grid,
        mask: Any,
        *,
        coverage: str = "center",
        halo: int = 0,
        align: int = 1,
        cells: Sequence[int] | None = None,
    ) -> None:
        coverages, distinct, occupied = latent.cover_cells(mask, grid, coverage=coverage)
        plan = _native.Plan(grid, range(len(grid)) if cells is None else cells, halo=halo, align=align)
        if not all(occupied):
            chosen = [cell for cell in plan.cells if len(occupied) > 1 and occupied[cell]]
            plan = _native.Plan(grid, chosen, halo=halo, align=align)
        # The minimum over a block that cells share can't be had from the cells' own minima.
        whole = coverage == "min" and distinct.shared and cells is None
        sheet = latent.cover_sheet(mask, grid, coverage=coverage) if whole else None
        self._fill(plan, distinct, coverages, sheet, coverage)

    def _fill(
        self,
        plan: _native.Plan,
        distinct: _native.DistinctCoverages,
        coverages: Any,
        sheet: Any,
        coverage: str,
    ) -> None:
        for array in (coverages, sheet):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        fields = {
            "_plan": plan,
            "_distinct": distinct,
            "_coverages": coverages,
            "_sheet": sheet,
            "_coverage": coverage,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def grid(self) -> Grid:
        """The grid of the fork plan: where its cells lie."""
        return self._plan.grid

    @property
    def coverage(self) -> str:
        """How the fork plan's pixels became latent cells."""
        return self._coverage

    @property
    def halo(self) -> int:
        """Latent cells around a cell that its window reads as well."""
        return self._plan.halo

    @property
    def align(self) -> int:
        """What starts and sides of windows are multiples of, in latent cells."""
        return self._plan.align

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell of each fork of the plan."""
        return tuple(self._plan.cells)

    @property
    def window_size(self) -> Size:
        """The shape of all windows in latent cells; 0 x 0 without forks."""
        return self._plan.window_size

    @property
    def places(self) -> NDArray[np.int64]:
        """(n, 4) top, left, bottom, right of the latent cells that each fork's mask lies in."""
        return self._rects(self._plan.place)

    @property
    def writes(self) -> NDArray[np.int64]:
        """(n, 4) top, left, bottom, right of the latent cells that are each fork's own; disjoint."""
        return self._rects(self._plan.write)

    @property
    def windows(self) -> NDArray[np.int64]:
        """(n, 4) top, left, bottom, right of what each fork's network call reads, in latent cells."""
        return self._rects(self._plan.window)

    @property
    def lost(self) -> tuple[int, ...]:
        """Forks whose stencil has pixels but whose noise mask is all 0: the coverage lost them."""
        alive = [bool((mask > 0).any()) for mask in self._coverages]
        return tuple(i for i, cell in enumerate(self._plan.cells) if not alive[self._distinct.index(cell)])

    def _rects(self, rect: Callable[[int], Rect]) -> NDArray[np.int64]:
        return np.array([tuple(rect(i)) for i in range(len(self))], np.int64).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._plan)

    @overload
    def __getitem__(self, index: int) -> Fork: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fork]: ...
    def __getitem__(self, index: int | slice) -> Fork | list[Fork]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"fork {number} does not exist; there are {len(self)}, numbered from 0")
        number %= len(self)
        cell = self._plan.cells[number]
        row, column = self.grid.position(cell)
        place = self._plan.place(number)
        return Fork(
            index=number,
            cell=cell,
            row=row,
            column=column,
            rect=self.grid.cell_rect(cell),
            place=place,
            write=self._plan.write(number),
            window=self._plan.window(number),
            noise_mask=self._coverages[self._distinct.index(cell)][: place.height, : place.width],
        )

    def batches(self, size: int) -> Iterator[range]:
        """The forks in micro-batches: ranges of at most `size` consecutive numbers.

        Raises:
            InvalidValueError: `size` below 1.
        """
        if operator.index(size) < 1:
            raise InvalidValueError(f"size is {size}; allowed: 1 or more forks")
        return (range(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def noise_masks(self, start: int = 0, stop: int | None = None, *, out: Any = None) -> Any:
        """The dense noise masks of forks `start` to `stop` - 1: zeros but for each fork's cell.

        Args:
            start: First fork.
            stop: One past the last fork; default all.
            out: Array of shape (n, 1, h, w) to write into, of any mask dtype; default a new float32 array of
                the kind that the stencil was (numpy; torch on its device).

        Returns:
            (n, 1, h, w), h x w the grid's latent size.

        Raises:
            InvalidValueError: Forks that do not exist, or an `out` of another shape.
            InvalidTypeError: An `out` of a dtype that no mask has.
            InvalidBufferError: An `out` that is read-only, on another device, or overlaps the plan's masks.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise InvalidValueError(f"forks {start} to {stop} do not exist; allowed: 0 to {len(self)}")
        return latent.lay_noise_masks(
            self._coverages, self._distinct, self.grid, self._plan.cells[start:stop], out=out
        )

    def window_masks(self, start: int = 0, stop: int | None = None) -> Any:
        """(n, 1, *window_size) float32: the noise masks of forks `start` to `stop` - 1 in their windows."""
        forks = self[start:stop]
        result = arrays.zeros_like(self._coverages, (len(forks), 1, *self.window_size))
        for i, fork in enumerate(forks):
            top, left = fork.place.top - fork.window.top, fork.place.left - fork.window.left
            result[i, 0, top : top + fork.place.height, left : left + fork.place.width] = fork.noise_mask
        return result

    def sheet_mask(self) -> Any:
        """(1, 1, h, w) float32: the noise masks of all cells together, as Sample then Fork uses them.

        Where cells share a latent cell their shares add up ("center", "nearest", "area"), or the larger one
        counts ("max"); for "min" it is the minimum over the block of the tiled stencil.
        """
        if self._sheet is not None:
            return self._sheet[None, None]
        result = arrays.zeros_like(self._coverages, (1, 1, *self.grid.latent_size))
        for fork in self:
            place = result[0, 0][fork.place.slices]
            place[...] = (
                arrays.maximum(place, fork.noise_mask) if self._coverage == "max" else place + fork.noise_mask
            )
        return result

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ForkPlan):
            return NotImplemented
        same = self._plan == other._plan and self._coverage == other._coverage
        return same and arrays.equal(self._coverages, other._coverages)

    def __hash__(self) -> int:
        return hash((self._plan, self._coverage))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._plan, self._distinct, self._coverages, self._sheet, self._coverage)

    def __repr__(self) -> str:
        grid, size = self.grid, self.window_size
        window = f", windows {size.height} x {size.width}" if len(self) else ""
        return (
            f"<ForkPlan: {len(self)} forks of {grid.rows} x {grid.columns} cells, latents "
            f"{grid.latent_size.height} x {grid.latent_size.width}{window}, {self._coverage}>"
        )


def _restore(
    plan: _native.Plan, distinct: _native.DistinctCoverages, coverages: Any, sheet: Any, coverage: str
) -> ForkPlan:
    """A fork plan made again of what was pickled."""
    restored = ForkPlan.__new__(ForkPlan)
    restored._fill(plan, distinct, coverages, sheet, coverage)
    return restored
