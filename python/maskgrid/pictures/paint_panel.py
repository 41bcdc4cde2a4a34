"""One panel of a contact sheet: a picture over a checkerboard, with a mask laid over it in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskgrid.pictures.open_image import pillow
from maskgrid.pictures.pixel_arrays import to_pil

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["paint_panel"]

_TINT = (255, 64, 129)
_LIGHT, _DARK, _SQUARE = 255, 222, 8


def paint_panel(
    pixels: NDArray[np.uint8], size: tuple[int, int], mask: NDArray[np.float32] | None = None
) -> Image:
    """A picture in another size; a checkerboard shows where it is transparent.

    Args:
        pixels: (H, W, 3 or 4) uint8.
        size: Height and width of the panel.
        mask: (H, W) in [0, 1], laid over it in colour; what is 0 fades. None for the picture alone.

    Returns:
        An RGB picture.
    """
    grows = size[0] >= pixels.shape[0]
    # Whole factors keep every pixel of a small sheet visible as it is.
    resampling = pillow().Resampling.NEAREST if grows else pillow().Resampling.LANCZOS
    image: Image = to_pil(np.ascontiguousarray(pixels)).resize(size[::-1], resampling)
    if image.mode == "RGBA":
        image = pillow().alpha_composite(_checkerboard(size), image).convert("RGB")
    if mask is None:
        return image
    share = pillow().fromarray(np.rint(mask * 255).astype(np.uint8))
    share = share.resize(size[::-1], pillow().Resampling.NEAREST if grows else pillow().Resampling.BOX)
    return to_pil(_tint(np.asarray(image), np.asarray(share)))


def _tint(pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = pixels.astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True) * 0.35 + 255 * 0.62
    inside = picture * 0.45 + np.array(_TINT, np.float32) * 0.55
    share = mask[..., None].astype(np.float32) / np.float32(255)
    result: NDArray[np.uint8] = np.rint(grey * (1 - share) + inside * share).astype(np.uint8)
    return result


def _checkerboard(size: tuple[int, int]) -> Image:
    rows, columns = np.ogrid[: size[0], : size[1]]
    squares = np.where((rows // _SQUARE + columns // _SQUARE) % 2, _DARK, _LIGHT).astype(np.uint8)
    return to_pil(squares).convert("RGBA")
