"""Pictures, masks and decoded latents in another size: windows enlarged for a model, and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskgrid.pictures.open_image import pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid._native import Size

__all__ = ["ZOOM_FILTERS", "ZoomFilter", "resize_mask", "resize_pixels"]

ZoomFilter = Literal["lanczos", "nearest"]
ZOOM_FILTERS = ("lanczos", "nearest")
"""Smooth, or every pixel a block of them, which keeps pixel art as it is."""


def resize_pixels(pixels: NDArray[np.uint8], size: Size, resampling: str) -> NDArray[np.uint8]:
    """Resize a picture.

    Args:
        pixels: (h, w, 3) uint8.
        size: Height and width to bring it to.
        resampling: One of `ZOOM_FILTERS`.

    Returns:
        (*size, 3) uint8.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    image = pillow().fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size[1], size[0]), _filter(resampling, "LANCZOS")))


def resize_mask(mask: NDArray[np.float32], size: Size, resampling: str) -> NDArray[np.float32]:
    """Resize a mask, which stays in [0, 1].

    Args:
        mask: (h, w) float32 in [0, 1].
        size: Height and width to bring it to.
        resampling: One of `ZOOM_FILTERS`; "lanczos" is bilinear here, which does not overshoot.

    Returns:
        (*size,) float32.
    """
    if mask.shape == tuple(size):
        return mask
    image = pillow().fromarray(np.ascontiguousarray(mask))
    resized = np.asarray(image.resize((size[1], size[0]), _filter(resampling, "BILINEAR")))
    clipped: NDArray[np.float32] = np.clip(resized, 0, 1).astype(np.float32)
    return clipped


def _filter(resampling: str, smooth: str) -> Any:
    return getattr(pillow().Resampling, "NEAREST" if resampling == "nearest" else smooth)
