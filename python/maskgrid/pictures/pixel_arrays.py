"""Arrays of pixels: from any array or tensor, to 8 bits, to a PIL image, continued beyond the border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError, in_one_line
from maskgrid.pictures.open_image import pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid._native import Size

__all__ = ["eight_bits", "extend_border", "host_array", "to_pil"]


def host_array(image: Any, name: str) -> NDArray[Any]:
    """An array or a tensor on any device as a numpy array of the same values; bfloat16 becomes float32.

    Raises:
        InvalidTypeError: Neither, or one without values in memory: sparse, quantised, on "meta".
    """
    try:
        if hasattr(image, "detach"):
            tensor = image.detach().cpu()
            image = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        known = hasattr(image, "__array__")
        array = np.asarray(image) if known else None
    except Exception as error:
        raise InvalidTypeError(
            f"{name} is a {type(image).__name__} that can't be read as an array ({in_one_line(error)}); "
            "allowed: a dense array or tensor that has its values"
        ) from error
    if array is None:
        raise InvalidTypeError(
            f"{name} is a {type(image).__name__}; allowed: a path, bytes, an open file, a PIL image, an "
            "array or a tensor"
        )
    return array


def eight_bits(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Values as uint8: bool and floats in [0, 1] become 0 to 255.

    Raises:
        InvalidTypeError: Another dtype.
        InvalidValueError: Floats outside [0, 1].
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "bf":
        raise InvalidTypeError(
            f"{name} has dtype {array.dtype}; allowed: uint8, bool, or floats in [0, 1]; 16 bits become 8 by "
            "(image / 257).round().astype('uint8')"
        )
    if not (np.isfinite(array).all() and array.min(initial=0) >= 0 and array.max(initial=0) <= 1):
        raise InvalidValueError(f"{name} has floats from {array.min()} to {array.max()}; allowed: 0 to 1")
    wide = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    result: NDArray[np.uint8] = np.rint(wide * 255).astype(np.uint8)
    return result


def extend_border(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture continued by its border pixels to (height, width, 3), without alpha."""
    below, right = (wanted - side for wanted, side in zip(size, pixels.shape[:2], strict=True))
    return np.pad(pixels[..., :3], ((0, below), (0, right), (0, 0)), mode="edge")


def to_pil(pixels: NDArray[np.uint8]) -> Image:
    """A (H, W) or (H, W, C) uint8 array as a PIL image."""
    image: Image = pillow().fromarray(pixels)
    return image
