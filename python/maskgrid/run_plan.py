"""Where a run's cells lie for a model of some stride, and which of them its latents can tell apart."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError, MaskGridWarning
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.pictures.paste_weights import paste_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.run_inputs import RunInputs

__all__ = ["RunPlan", "name_cells", "plan_cells", "plan_run", "warn_of_lost"]

_REMEDY = "allowed: coverage 'max' or 'area', or a stencil that was grown"


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What a run samples, and what of it will show.

    Attributes:
        grid: Where the cells lie in the sheet, at the model's stride.
        forks: The plan on the canvas that the network takes: the sheet, its sides rounded up.
        alpha: (1 or N, h, w) float32 in [0, 1], how much of a new cell will show.
        variants: Tries of each cell.
    """

    grid: Grid
    forks: ForkPlan
    alpha: NDArray[np.float32]
    variants: int = 1

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell of each fork of the run: all cells that are forked, and again for each further try."""
        return self.forks.cells * self.variants

    @property
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the canvas in latent cells."""
        height, width = self.forks.grid.latent_size
        return height, width

    def of_forks(self, value: Any) -> Any:
        """What each fork has of what each cell has; what is one for all stays it."""
        return [value[cell] for cell in self.cells] if isinstance(value, list) else value

    def seeds_of_forks(self, rule: str | list[int], seed: int) -> str | list[int]:
        """The seeds of the run's forks, or the rule that gives them; each try of a cell counts on by one.

        Args:
            rule: "same", "increment", or a seed for each cell of the sheet.
            seed: The run's.
        """
        if rule == "increment" or (rule == "same" and self.variants == 1):
            return rule
        of_cells = [seed if isinstance(rule, str) else rule[cell] for cell in self.forks.cells]
        return [(first + variant) % 2**64 for variant in range(self.variants) for first in of_cells]


def plan_run(inputs: RunInputs, *, stride: int, align: int = 1) -> RunPlan:
    """Plan a run for a model: where its cells lie, its forks, how much of them shows.

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
    options = inputs.options
    plan = plan_cells(
        inputs.grid,
        inputs.stencil,
        stride=stride,
        align=align,
        coverage=options.coverage,
        feather=options.feather,
        cells=inputs.cells,
    )
    if len(plan.forks.lost) == len(plan.forks):
        raise MaskGridError(
            f"the stencil is too thin for coverage {options.coverage!r}: at stride {stride} nothing of it is "
            f"left; {_REMEDY}"
        )
    warn_of_lost(plan.forks)
    return replace(plan, variants=options.variants)


def plan_cells(
    sheet: Grid,
    stencil: NDArray[Any],
    *,
    stride: int,
    align: int = 1,
    coverage: str = "center",
    feather: float | None = None,
    halo: int = 0,
    window_align: int = 1,
    cells: Sequence[int] | None = None,
) -> RunPlan:
    """Plan a sheet's cells for a model, whatever of them the coverage loses.

    Args:
        sheet: Where the cells lie in the sheet, in pixels.
        stencil: (h, w), (N, h, w) or (N, h, w, C), white may change.
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.
        coverage: How pixels become latent cells.
        feather: Pixels over which old and new mix; None for the stride.
        halo: Latent cells around a cell in the forks' windows, for which a run has no use.
        window_align: What the sides of those windows have to be multiples of.
        cells: Which cells are forked; default all.

    Returns:
        The plan.

    Raises:
        InvalidValueError: A stride that the grid does not go with.
    """
    unit = stride * align
    network = tuple(math.ceil(side / unit) * unit for side in sheet.canvas)
    canvas = _with_canvas(sheet, network, stride)
    forks = ForkPlan(canvas, stencil, coverage=coverage, halo=halo, align=window_align, cells=cells)
    alpha = paste_weights(stencil, feather, default=stride)
    return RunPlan(_with_canvas(sheet, tuple(sheet.canvas), stride), forks, alpha)


def name_cells(grid: Grid, cells: Sequence[int]) -> str:
    """The lost cells of a plan in words, such as "(0, 1), (2, 2)"; of many the first ones."""
    named = ", ".join(str(grid.position(cell)) for cell in cells[:8])
    return f"{named} and {len(cells) - 8} more" if len(cells) > 8 else named


def _with_canvas(grid: Grid, canvas: tuple[int, ...], stride: int) -> Grid:
    """The planned run's cells on a larger canvas."""
    pairs: dict[str, Any] = {name: tuple(getattr(grid, name)) for name in ("cell", "gap", "margin")}
    return Grid(grid.rows, grid.columns, canvas=canvas, stride=stride, **pairs)


def warn_of_lost(forks: ForkPlan) -> list[tuple[int, int]]:
    """Warn of cells that would come back as they were: nothing of their stencil is left at latent size.

    Returns:
        Their rows and columns.
    """
    lost = [forks.cells[fork] for fork in forks.lost]
    if lost:
        warnings.warn(
            f"nothing will change in the cells (row, column) {name_cells(forks.grid, lost)}: coverage "
            f"{forks.coverage!r} loses their stencil at stride {forks.grid.stride}; {_REMEDY}",
            MaskGridWarning,
            stacklevel=3,
        )
    return [forks.grid.position(cell) for cell in lost]
