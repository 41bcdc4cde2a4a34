"""A mask made fit for use: hard, inverted, filled, grown, shrunk, feathered, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.pixel_arrays import host_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["prepare_stencil"]


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
