"""Stencils as people bring them: prepared, brought to the size of a cell, and as what shows in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.images import host_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.geometry import Grid

__all__ = ["fit_stencil", "prepare_stencil", "shown", "stencil_picture"]


def fit_stencil(mask: Any, grid: Grid) -> NDArray[Any]:
    """A mask in the size of a cell.

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


def prepare_stencil(
    mask: Any,
    *,
    threshold: float | None = None,
    invert: bool = False,
    fill_holes: bool = False,
    grow: float = 0,
    shrink: float = 0,
    feather: float = 0,
) -> NDArray[Any]:
    """A mask made fit for use, in the order of the arguments.

    Args:
        mask: (H, W) or (N, H, W), see `maskgrid.masks`.
        threshold: Make it hard: 1 where it is at least this, 0 to 1; default leave it soft.
        invert: Exchange 0 and 1.
        fill_holes: Fill what is enclosed.
        grow: Pixels to grow by.
        shrink: Pixels to shrink by.
        feather: Pixels inside the edge over which it rises from 0 to 1.

    Returns:
        A mask of the same dtype.

    Raises:
        MaskGridError: As `maskgrid.masks` says.
    """
    result: NDArray[Any] = host_array(mask, "mask")
    if threshold is not None:
        result = masks.threshold(result, threshold)
    if invert:
        result = masks.invert(result)
    if fill_holes:
        result = masks.fill_holes(result)
    if grow:
        result = masks.grow(result, grow)
    if shrink:
        result = masks.shrink(result, shrink)
    return masks.feather(result, feather) if feather else result


def shown(stencil: NDArray[Any], feather: float) -> NDArray[np.float32]:
    """How much of a new cell shows at each pixel.

    Args:
        stencil: (h, w), (N, h, w) or (N, h, w, C), as `fit_stencil` gives it.
        feather: Pixels inside a hard stencil's edge over which old and new mix. A soft stencil is its own.

    Returns:
        (1 or N, h, w) float32 in [0, 1]; 0 wherever the stencil is.

    Raises:
        InvalidValueError: A negative or infinite feather, or values outside [0, 1].
    """
    values = stencil.astype(np.float32) / np.float32(255 if stencil.dtype == np.uint8 else 1)
    values = values[..., 0] if values.ndim == 4 else values
    values = values[None] if values.ndim == 2 else values
    hard = bool(((values == 0) | (values == 1)).all())
    result: NDArray[np.float32] = masks.feather(values, feather, where="inside") if hard else values
    return result


def stencil_picture(stencil: NDArray[Any], grid: Grid) -> NDArray[np.uint8] | None:
    """A stencil as a grey picture that is read back as just this stencil, if one can hold it.

    Args:
        stencil: As `fit_stencil` gives it.
        grid: Where the cells lie; a stencil per cell becomes a picture of the sheet.

    Returns:
        (h, w) or (H, W) uint8; None for values that 8 bits can't hold.
    """
    if stencil.dtype.kind not in "bfu":
        raise InvalidTypeError(f"stencil has dtype {stencil.dtype}; allowed: bool, uint8 and floats")
    values = stencil[..., 0] if stencil.ndim == 4 else stencil
    if values.dtype.kind == "f" and not ((values == 0) | (values == 1)).all():
        return None
    pixels = values if values.dtype == np.uint8 else (values * np.uint8(255)).astype(np.uint8)
    if pixels.ndim == 2 or (len(pixels) == 1 != len(grid)):
        return np.ascontiguousarray(pixels.reshape(pixels.shape[-2:]))
    joined: NDArray[np.uint8] = canvas.join(pixels, grid)
    return joined
