"""Where a run's cells lie for a model of some stride, and which of them its latents can tell apart."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid._native import Rect, Size
from maskgrid.errors import MaskGridError, MaskGridWarning
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.pictures.paste_weights import paste_weights, unit_values
from maskgrid.pictures.resize_picture import resize_mask
from maskgrid.zoom_windows import enlarge_grid, place_windows, plan_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from maskgrid.run_inputs import RunInputs
    from maskgrid.zoom_windows import Zoom, ZoomWindows

__all__ = ["RunPlan", "name_cells", "plan_cells", "plan_run", "warn_of_lost"]

_REMEDY = "allowed: coverage 'max' or 'area', or a stencil that was grown"


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What a run samples, and what of it will show.

    Attributes:
        grid: Where the cells lie in the sheet, at the model's stride.
        forks: The plan on the canvas that the network takes: the sheet, enlarged where it is, its sides
            rounded up. Of windows it says which cells they are of; what they read is theirs to say.
        alpha: (1 or N, h, w) float32 in [0, 1], how much of a new cell will show.
        variants: Tries of each cell.
        factor: How many times larger than in the sheet the model sees it.
        resampling: How it is enlarged.
        windows: What forks read where each has a canvas of its own; None where that is the sheet.
    """

    grid: Grid
    forks: ForkPlan
    alpha: NDArray[np.float32]
    variants: int = 1
    factor: float = 1
    resampling: str = "lanczos"
    windows: ZoomWindows | None = None

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell of each fork of the run: all cells that are forked, and again for each further try."""
        return self.forks.cells * self.variants

    @property
    def views(self) -> tuple[Rect, ...]:
        """What the network reads, in pixels of the sheet: one for all forks, or one for each cell."""
        return self.windows.rects if self.windows else (Rect(0, 0, *self.grid.canvas),)

    @property
    def size(self) -> Size:
        """Height and width of what the network reads in pixels, before they are rounded up."""
        if self.windows:
            return self.windows.size
        return Size(*(round(side * self.factor) for side in self.grid.canvas))

    @property
    def canvas(self) -> Size:
        """Height and width in pixels of what the network takes."""
        return self.windows.canvas if self.windows else self.forks.grid.canvas

    @property
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the canvas in latent cells."""
        height, width = self.canvas
        return height // self.grid.stride, width // self.grid.stride

    @property
    def lost(self) -> tuple[int, ...]:
        """The cells whose stencil the coverage lost."""
        if self.windows is None:
            return tuple(self.forks.cells[fork] for fork in self.forks.lost)
        masks = zip(self.forks.cells, self.windows.coverages, strict=True)
        return tuple(cell for cell, coverage in masks if not coverage.any())

    def view_of(self, fork: int) -> Rect:
        """What the network reads for a fork of the run, in pixels of the sheet."""
        views = self.views
        return views[fork % len(views)]

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


def plan_run(inputs: RunInputs, *, stride: int, align: int = 1, side: int = 1024) -> RunPlan:
    """Plan a run for a model: where its cells lie, its forks, how much of them shows.

    Args:
        inputs: What was read.
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.
        side: Pixels a side of what the model draws.

    Returns:
        The plan. A `MaskGridWarning` names the cells whose stencil the coverage loses at this stride.

    Raises:
        MaskGridError: It loses every cell's.
        InvalidValueError: A stride that the grid does not go with, or a zoom.
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
        zoom=options.asked_zoom(),
        alone=options.is_alone,
        side=side,
    )
    if len(plan.lost) == len(plan.forks):
        raise MaskGridError(
            f"the stencil is too thin for coverage {options.coverage!r}: at stride {stride} nothing of it is "
            f"left; {_REMEDY}"
        )
    warn_of_lost(plan)
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
    zoom: Zoom | None = None,
    alone: bool = True,
    side: int = 1024,
) -> RunPlan:
    """Plan a sheet's cells for a model, whatever of them the coverage loses.

    Args:
        sheet: Where the cells lie in the sheet, in pixels.
        stencil: (h, w), (N, h, w) or (N, h, w, C), white may change.
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.
        coverage: How pixels become latent cells.
        feather: Pixels of the sheet over which old and new mix; None for what the stride is in it.
        halo: Latent cells around a cell in the forks' windows, for which a run has no use.
        window_align: What the sides of those windows have to be multiples of.
        cells: Which cells are forked; default all.
        zoom: How large the model sees the sheet, and with how much around a cell; None for as it is.
        alone: Whether a zoom makes each cell a canvas of its own; if not, it enlarges the sheet as a whole.
        side: Pixels a side of what the model draws, for a zoom.

    Returns:
        The plan.

    Raises:
        InvalidValueError: A stride that the grid does not go with, or a factor that is not allowed.
    """
    larger, masks, factor, windows = sheet, stencil, 1.0, None
    if zoom is not None and alone:
        hard = unit_values(stencil)
        named = ForkPlan(sheet, stencil, coverage=coverage, cells=cells).cells
        rects = place_windows(sheet, named, zoom.context_for(hard, named))
        factor = zoom.factor_for(rects[0].size, side)
        windows = plan_windows(
            sheet,
            hard,
            dict(zip(named, rects, strict=True)),
            factor=factor,
            resampling=zoom.resampling,
            stride=stride,
            align=align,
            coverage=coverage,
        )
    elif zoom is not None:
        larger, factor = enlarge_grid(sheet, zoom, side)
        masks = np.stack([resize_mask(mask, larger.cell, zoom.resampling) for mask in unit_values(stencil)])
    # Of windows the plan says which cells they are of, as the sheet's pixels have them.
    unit = 1 if windows else stride
    canvas = _with_canvas(larger, _round_up(larger.canvas, 1 if windows else stride * align), unit)
    return RunPlan(
        _with_canvas(sheet, tuple(sheet.canvas), stride),
        ForkPlan(canvas, masks, coverage=coverage, halo=halo, align=window_align, cells=cells),
        paste_weights(stencil, feather, default=stride / factor),
        factor=factor,
        resampling="lanczos" if zoom is None else zoom.resampling,
        windows=windows,
    )


def name_cells(grid: Grid, cells: Sequence[int]) -> str:
    """The lost cells of a plan in words, such as "(0, 1), (2, 2)"; of many the first ones."""
    named = ", ".join(str(grid.position(cell)) for cell in cells[:8])
    return f"{named} and {len(cells) - 8} more" if len(cells) > 8 else named


def _with_canvas(grid: Grid, canvas: tuple[int, ...], stride: int) -> Grid:
    """The planned run's cells on a larger canvas."""
    pairs: dict[str, Any] = {name: tuple(getattr(grid, name)) for name in ("cell", "gap", "margin")}
    return Grid(grid.rows, grid.columns, canvas=canvas, stride=stride, **pairs)


def warn_of_lost(plan: RunPlan) -> list[tuple[int, int]]:
    """Warn of cells that would come back as they were: nothing of their stencil is left at latent size.

    Returns:
        Their rows and columns.
    """
    lost = plan.lost
    if lost:
        warnings.warn(
            f"nothing will change in the cells (row, column) {name_cells(plan.grid, lost)}: coverage "
            f"{plan.forks.coverage!r} loses their stencil at stride {plan.grid.stride}; {_REMEDY}",
            MaskGridWarning,
            stacklevel=3,
        )
    return [plan.grid.position(cell) for cell in lost]


def _round_up(canvas: Size, unit: int) -> tuple[int, int]:
    """Height and width as the next multiples of a unit."""
    return math.ceil(canvas.height / unit) * unit, math.ceil(canvas.width / unit) * unit
