"""Where a run's cells lie for a model of some stride, and which of them its latents can tell apart."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError, MaskGridWarning
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.pictures.paste_weights import paste_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.run_inputs import RunInputs

__all__ = ["RunPlan", "name_cells", "plan_run"]


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What a run samples, and what of it will show.

    Attributes:
        grid: Where the cells lie in the sheet, at the model's stride.
        forks: The plan on the canvas that the network takes: the sheet, its sides rounded up.
        alpha: (1 or N, h, w) float32 in [0, 1], how much of a new cell will show.
    """

    grid: Grid
    forks: ForkPlan
    alpha: NDArray[np.float32]

    @property
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the canvas in latent cells."""
        height, width = self.forks.grid.latent_size
        return height, width

    def of_forks(self, value: Any) -> Any:
        """What each fork has of what each cell has; what is one for all stays it."""
        return [value[cell] for cell in self.forks.cells] if isinstance(value, list) else value


def plan_run(inputs: RunInputs, *, stride: int, align: int = 1) -> RunPlan:
    """Plan a run for a model.

    Args:
        inputs: What was read.
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.

    Returns:
        The plan. A `MaskGridWarning` names the cells whose stencil the coverage loses at this stride.

    Raises:
        MaskGridError: It loses every cell's.
        InvalidValueError: A stride that the grid does not go with.
    """
    options, sheet = inputs.options, inputs.grid
    grid = _with_canvas(sheet, tuple(sheet.canvas), stride)
    unit = stride * align
    network = tuple(math.ceil(side / unit) * unit for side in sheet.canvas)
    forks = ForkPlan(_with_canvas(sheet, network, stride), inputs.stencil, coverage=options.coverage)
    _tell_lost(forks, stride)
    alpha = paste_weights(inputs.stencil, options.feather, default=stride)
    return RunPlan(grid, forks, alpha)


def name_cells(grid: Grid, cells: Sequence[int]) -> str:
    """Cells by row and column, such as "(0, 1), (2, 2)"; of many the first ones."""
    named = ", ".join(str(grid.position(cell)) for cell in cells[:8])
    return f"{named} and {len(cells) - 8} more" if len(cells) > 8 else named


def _with_canvas(grid: Grid, canvas: tuple[int, ...], stride: int) -> Grid:
    """The same cells on another canvas."""
    pairs: dict[str, Any] = {name: tuple(getattr(grid, name)) for name in ("cell", "gap", "margin")}
    return Grid(grid.rows, grid.columns, canvas=canvas, stride=stride, **pairs)


def _tell_lost(forks: ForkPlan, stride: int) -> None:
    """Warn of cells that would come back as they were: nothing of their stencil is left at latent size."""
    if not forks.lost:
        return
    remedy = "allowed: coverage 'max' or 'area', or a stencil that was grown"
    if len(forks.lost) == len(forks):
        raise MaskGridError(
            f"the stencil is too thin for coverage {forks.coverage!r}: at stride {stride} nothing of it is "
            f"left; {remedy}"
        )
    cells = name_cells(forks.grid, [forks.cells[fork] for fork in forks.lost])
    warnings.warn(
        f"nothing will change in the cells (row, column) {cells}: coverage {forks.coverage!r} loses their "
        f"stencil at stride {stride}; {remedy}",
        MaskGridWarning,
        stacklevel=2,
    )
