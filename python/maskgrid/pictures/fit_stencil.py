"""A mask brought to the size of a cell: as it is, or cut out of a mask of the whole sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError, MaskGridError
from maskgrid.geometry import ForkPlan, canvas
from maskgrid.pictures.pixel_arrays import host_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from maskgrid.geometry import Grid

__all__ = ["check_stencil", "fit_stencil"]


def fit_stencil(mask: Any, grid: Grid) -> NDArray[Any]:
    """Fit a mask to the size of a cell: as it is, or cut out of one for the whole sheet.

    Args:
        mask: (h, w) for all cells, (N, h, w) or (N, h, w, C) for one per cell, or (H, W) or (1, H, W) as
            large as the sheet; an array or a tensor.
        grid: Where the cells lie.

    Returns:
        (h, w), (N, h, w) or (N, h, w, C) of the same values, in host memory.

    Raises:
        InvalidTypeError: No array.
        InvalidValueError: Another size.
    """
    array = host_array(mask, "mask")
    if not 2 <= array.ndim <= 4:
        raise InvalidValueError(f"mask has shape {array.shape}; allowed: 2 to 4 axes")
    size = array.shape[-2:] if array.ndim < 4 else array.shape[1:3]
    if size == tuple(grid.cell):
        return array
    if size == tuple(grid.canvas) and array.ndim < 4 and array.size == grid.canvas.area:
        cells: NDArray[Any] = canvas.split(array.reshape(size), grid, copy=True)
        return cells
    raise InvalidValueError(
        f"mask is {size[0]} x {size[1]} px (height x width); allowed: the size of a cell, "
        f"{grid.cell.height} x {grid.cell.width}, or of the sheet, {grid.canvas.height} x {grid.canvas.width}"
    )


def check_stencil(
    stencil: NDArray[Any], sheet: Grid, coverage: str, cells: Sequence[int] | None = None
) -> None:
    """Refuse values that are no stencil's, an unknown coverage, and a stencil that lets nothing change.

    Args:
        stencil: (h, w), (N, h, w) or (N, h, w, C).
        sheet: Where the cells lie in the sheet, in pixels: stride 1, at which a plan loses nothing, so that
            this holds for every model.
        coverage: How pixels become latent cells.
        cells: Which cells count; default all.

    Raises:
        InvalidValueError: A value or name that is not allowed.
        MaskGridError: It is empty.
    """
    if not len(ForkPlan(sheet, stencil, coverage=coverage, cells=cells)):
        where = "" if cells is None or len(cells) == len(sheet) else " in the chosen cells"
        raise MaskGridError(f"the stencil is empty{where}, so there is nothing to sample; white may change")
