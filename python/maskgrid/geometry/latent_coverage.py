"""Latent coverage: pixel masks made smaller, to latent size, and the noise masks of forks made of them.

Masks are given as in `maskgrid.masks` and raise the same errors. Latent cell (i, j) takes from its block of
stride x stride pixels "center" (the mean of the central 2 x 2), "nearest" (the first), "area" (the mean),
"max" or "min"; pixels outside of the mask's own cell, and of the canvas, are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid import _native
from maskgrid.geometry import arrays
from maskgrid.geometry.mask_axes import read_mask_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from maskgrid.geometry.grid import Grid

__all__ = ["cover_cells", "cover_sheet", "lay_noise_masks"]


def cover_cells(
    mask: Any, grid: Grid, *, coverage: str = "center", out: Any = None
) -> tuple[Any, _native.DistinctCoverages, list[bool]]:
    """The distinct latent coverages of single cells, each as it looks when the rest of the sheet is zero.

    Args:
        mask: The stencil: one mask for all cells or one per cell, each of the cell's size.
        grid: Where the cells lie.
        coverage: "center", "nearest", "area", "max" or "min".
        out: Where to write the masks, float32; default a new array.

    Returns:
        The masks (count, h, w) float32, zero at the end where a cell needs less than the largest; which of
        them each cell has; and for each mask given whether it has a pixel above zero.

    Raises:
        InvalidValueError: Another size or count of masks, an unknown coverage; and as for `maskgrid.masks`.
        InvalidTypeError: As for `maskgrid.masks`.
        InvalidBufferError: Likewise.
    """
    axes = read_mask_axes(arrays.shape_of(mask, "the mask"), size=grid.cell)
    distinct = _native.DistinctCoverages(grid, axes.count)
    if arrays.is_off_host(mask):
        masks, occupied = _on_device().cover_cells(mask, grid, coverage=coverage, out=out)
        return masks, distinct, occupied
    if out is None:
        out = arrays.new_array(mask, (distinct.count, distinct.height, distinct.width), "float32")
    return out, distinct, _native.cover_cells(grid, arrays.as_source(mask), coverage, arrays.as_target(out))


def lay_noise_masks(
    masks: Any, distinct: _native.DistinctCoverages, grid: Grid, cells: Sequence[int], *, out: Any = None
) -> Any:
    """The noise masks of cells: zeros, and each cell's latent coverage at its place.

    Args:
        masks: What `cover_cells` returned.
        distinct: Which of them each cell has.
        grid: Where the cells lie.
        cells: Numbers of n cells.
        out: Where to write the result, of any mask dtype; default a new array of the masks' kind.

    Returns:
        (n, 1, h, w), h x w the grid's latent size; float32 without `out`.

    Raises:
        InvalidValueError: A cell that does not exist, an `out` or masks of another shape.
        InvalidTypeError: An `out` of a dtype that no mask has.
        InvalidBufferError: An `out` that is read-only, on another device, or overlaps the masks.
    """
    if arrays.is_off_host(masks):
        return _on_device().lay_noise_masks(masks, distinct, grid, cells, out=out)
    if out is None:
        out = arrays.new_array(masks, (len(cells), 1, *grid.latent_size), "float32")
    _native.lay_noise_masks(distinct, arrays.as_source(masks), cells, arrays.as_target(out))
    return out


def cover_sheet(mask: Any, grid: Grid, *, coverage: str = "center", out: Any = None) -> Any:
    """The latent coverage of the sheet with a mask in every cell; blocks that cells share are read as one.

    Args:
        mask: The stencil: one mask for all cells or one per cell, each of the cell's size.
        grid: Where the cells lie.
        coverage: "center", "nearest", "area", "max" or "min".
        out: Where to write the result, of any mask dtype; default a new array.

    Returns:
        (h, w), the grid's latent size; float32 without `out`.

    Raises:
        InvalidValueError: Another size or count of masks, an unknown coverage; and as for `maskgrid.masks`.
        InvalidTypeError: As for `maskgrid.masks`.
        InvalidBufferError: Likewise.
    """
    if arrays.is_off_host(mask):
        return _on_device().cover_sheet(mask, grid, coverage=coverage, out=out)
    if out is None:
        out = arrays.new_array(mask, tuple(grid.latent_size), "float32")
    _native.cover_sheet(grid, arrays.as_source(mask), coverage, arrays.as_target(out))
    return out


def _on_device() -> ModuleType:
    from maskgrid.geometry.on_device import latent_coverage

    return latent_coverage
