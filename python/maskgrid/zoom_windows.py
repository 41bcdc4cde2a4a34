"""Zoom: a cell with its context, enlarged to what a model draws well, as a canvas of its own.

A window is the cell and `context` around it, shifted inward at the sheet's borders, so that all windows of a
run have one shape. It is cut out of the sheet and resized by a factor; its sides are then rounded up to what
the network takes, by continuing the border. `padding_mask_crop` of diffusers does this for one region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskgrid._native import Rect, Size
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.pictures.resize_picture import ZOOM_FILTERS, ZoomFilter, resize_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Zoom", "ZoomWindows", "enlarge_grid", "place_windows", "plan_windows"]

_MOST = 64
"""The largest factor."""
_RIM = 1 / 16
"""The share of a cell's side that its stencil leaves on each side, for the cell to be its own context."""
_AROUND = 0.25
"""The share of a cell's sides around it that a model sees elsewhere."""
_EXACT = 1e-6
"""How far a number of pixels may be from a whole one and still counts as one."""


@dataclass(frozen=True)
class Zoom:
    """What was asked of a zoom.

    Attributes:
        factor: How many times larger the model sees the sheet, above 0 and up to 64; "auto" for what brings
            it to the model's own size.
        context: What it sees around a cell: an int is pixels, a float a share of the cell's sides; None for
            nothing where the stencil leaves a rim of the cell as it is, and a quarter of the cell elsewhere.
        resampling: One of `ZOOM_FILTERS`.

    Raises:
        InvalidTypeError: No number, or no name.
        InvalidValueError: A number or name that is not allowed.
    """

    factor: float | Literal["auto"]
    context: float | None = None
    resampling: ZoomFilter = "lanczos"

    def __post_init__(self) -> None:
        factor, context = self.factor, self.context
        if factor != "auto" and (isinstance(factor, bool) or not isinstance(factor, int | float)):
            raise InvalidTypeError(f"zoom is {factor!r}; allowed: a factor, or 'auto'")
        if factor != "auto" and not 0 < factor <= _MOST:
            raise InvalidValueError(f"zoom is {factor}; allowed: above 0, up to {_MOST}")
        if context is not None and (isinstance(context, bool) or not isinstance(context, int | float)):
            raise InvalidTypeError(f"context is {context!r}; allowed: whole pixels, or a share of the cell")
        if context is not None and not 0 <= context < math.inf:
            raise InvalidValueError(f"context is {context}; allowed: 0 or more")
        if self.resampling not in ZOOM_FILTERS:
            raise InvalidValueError(f"zoom_filter is {self.resampling!r}; allowed: {', '.join(ZOOM_FILTERS)}")

    def context_for(self, stencil: NDArray[np.float32], cells: Sequence[int]) -> float:
        """What the model sees around the cells.

        Args:
            stencil: (1 or N, h, w) float32 in [0, 1].
            cells: The cells that are forked.
        """
        if self.context is not None:
            return self.context
        changes: NDArray[np.bool_] = (stencil if len(stencil) == 1 else stencil[list(cells)]).max(axis=0) > 0
        rims = [math.ceil(side * _RIM) for side in changes.shape]
        inner = changes[rims[0] : -rims[0], rims[1] : -rims[1]]
        return 0 if inner.sum() == changes.sum() else _AROUND

    def factor_for(self, size: Size, side: int) -> float:
        """The factor for a picture of some size; for "auto" what brings it to the model's own size.

        Args:
            size: Height and width of the picture in pixels.
            side: Pixels a side of what the model draws.

        Raises:
            InvalidValueError: A factor that is not whole, where it has to be.
        """
        factor = min(side / max(size), _MOST) if self.factor == "auto" else float(self.factor)
        if self.resampling != "nearest":
            return factor
        if self.factor == "auto":
            return max(1.0, float(math.floor(factor + _EXACT)))
        if factor < 1 or not _is_whole(factor):
            raise InvalidValueError(
                f"zoom is {self.factor} with zoom_filter 'nearest'; "
                "allowed: whole factors from 1, or 'lanczos'"
            )
        return float(round(factor))


@dataclass(frozen=True, eq=False)
class ZoomWindows:
    """The windows that the forks of a run read, each a canvas of its own.

    Attributes:
        rects: Of each fork's cell, in pixels of the sheet; all of one shape.
        size: Height and width of an enlarged window in pixels.
        canvas: The same, rounded up to what the network takes.
        coverages: (n, h, w) float32 in [0, 1]: the noise mask of each at latent size.
    """

    rects: tuple[Rect, ...]
    size: Size
    canvas: Size
    coverages: NDArray[np.float32]

    def noise_on_sheet(self, grid: Grid, cells: Sequence[int]) -> NDArray[np.float32]:
        """The noise masks where they lie in the sheet: (H, W) float32, as fine as the model tells them apart.

        Args:
            grid: Where the cells lie in the sheet.
            cells: Those of the windows.
        """
        result = np.zeros(tuple(grid.canvas), np.float32)
        stride = self.canvas.height // self.coverages.shape[1]
        for cell, window, coverage in zip(cells, self.rects, self.coverages, strict=True):
            blocks = np.kron(coverage, np.ones((stride, stride), np.float32))
            seen = resize_mask(blocks[: self.size[0], : self.size[1]], window.size, "nearest")
            rect = grid.cell_rect(cell)
            top, left = rect.top - window.top, rect.left - window.left
            result[rect.slices] = seen[top : top + rect.height, left : left + rect.width]
        return result


def place_windows(grid: Grid, cells: Sequence[int], context: float) -> tuple[Rect, ...]:
    """The windows of cells: the cell and what is around it, inside the sheet.

    Args:
        grid: Where the cells lie in the sheet, in pixels.
        cells: Whose windows.
        context: Around the cell: an int is pixels, a float a share of the cell's sides.

    Returns:
        Rectangles of one shape in pixels of the sheet; the sheet itself where it is no larger.
    """
    around = [context if isinstance(context, int) else round(context * side) for side in grid.cell]
    height, width = (
        min(side + 2 * more, whole) for side, more, whole in zip(grid.cell, around, grid.canvas, strict=True)
    )
    windows = []
    for cell in cells:
        rect = grid.cell_rect(cell)
        top = min(max(rect.top - around[0], 0), grid.canvas.height - height)
        left = min(max(rect.left - around[1], 0), grid.canvas.width - width)
        windows.append(Rect(top, left, top + height, left + width))
    return tuple(windows)


def plan_windows(
    grid: Grid,
    stencil: NDArray[np.float32],
    windows: Mapping[int, Rect],
    *,
    factor: float,
    resampling: str,
    stride: int,
    align: int,
    coverage: str,
) -> ZoomWindows:
    """Plan windows for a model: their size for it, and their noise masks.

    Args:
        grid: Where the cells lie in the sheet, in pixels.
        stencil: (1 or N, h, w) float32 in [0, 1].
        windows: By cell, what `place_windows` gave for them.
        factor: How many times larger the model sees them.
        resampling: One of `ZOOM_FILTERS`.
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.
        coverage: How pixels become latent cells.
    """
    shape = next(iter(windows.values())).size
    size = Size(*(max(1, round(side * factor)) for side in shape))
    unit = stride * align
    canvas = Size(*(math.ceil(side / unit) * unit for side in size))
    whole = Grid(1, 1, canvas=canvas, stride=stride)
    coverages = np.zeros((len(windows), *whole.latent_size), np.float32)
    for number, (cell, window) in enumerate(windows.items()):
        mask = np.zeros(tuple(shape), np.float32)
        rect = grid.cell_rect(cell)
        top, left = rect.top - window.top, rect.left - window.left
        mask[top : top + rect.height, left : left + rect.width] = stencil[cell if len(stencil) > 1 else 0]
        enlarged = np.zeros(tuple(canvas), np.float32)
        enlarged[: size[0], : size[1]] = resize_mask(mask, size, resampling)
        for fork in ForkPlan(whole, enlarged, coverage=coverage):
            coverages[number][fork.place.slices] = fork.noise_mask
    return ZoomWindows(tuple(windows.values()), size, canvas, coverages)


def enlarge_grid(grid: Grid, zoom: Zoom, side: int) -> tuple[Grid, float]:
    """The grid of an enlarged sheet, whose cells lie on whole pixels.

    Args:
        grid: Of the sheet, in pixels.
        zoom: Its factor "auto" is the largest whole one that keeps the sheet within the model's own size.
        side: Pixels a side of what the model draws.

    Returns:
        The grid, and the factor.

    Raises:
        InvalidValueError: A factor by which a cell, a gap or a margin is no whole number of pixels.
    """
    auto = zoom.factor == "auto"
    times = float(max(1, side // max(grid.canvas))) if auto else zoom.factor_for(grid.canvas, side)
    pairs = {name: tuple(getattr(grid, name)) for name in ("canvas", "cell", "gap", "margin")}
    for name, pair in pairs.items():
        for pixels in pair:
            if not _is_whole(pixels * times):
                raise InvalidValueError(
                    f"zoom is {times:g}, by which the {name} of {pixels} px has {pixels * times:g} px; "
                    "allowed where the sheet is enlarged as a whole: a factor that keeps whole pixels, such "
                    f"as {max(1, round(times))}"
                )
    grown: dict[str, Any] = {
        name: tuple(round(side * times) for side in pair) for name, pair in pairs.items()
    }
    return Grid(grid.rows, grid.columns, **grown, stride=1), times


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < _EXACT * max(1, abs(number))
