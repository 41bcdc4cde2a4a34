"""Pictures in and out: whatever people hold an image in becomes a uint8 array, and back."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid._native import Size

__all__ = ["continued", "eight_bits", "host_array", "pillow", "read_image", "read_stencil", "to_pil"]


def pillow() -> Any:
    """The module PIL.Image.

    Raises:
        MaskGridError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MaskGridError(
            "pictures need Pillow; install it with: pip install maskgrid[diffusers]"
        ) from error
    return Image


def read_image(image: Any, *, name: str = "image") -> NDArray[np.uint8]:
    """An image as (H, W, 3) or (H, W, 4) uint8.

    Args:
        image: A path, a PIL image, or an array or tensor: uint8, bool, or floats in [0, 1]; (H, W), (H, W, C)
            or (C, H, W) with C of 1, 3 or 4. A leading axis of 1 is dropped.
        name: What an error calls it.

    Returns:
        The pixels, bit for bit where they were 8 bits deep; grey becomes three equal channels.

    Raises:
        InvalidTypeError: Neither of these, or another dtype.
        InvalidValueError: A shape that is no image, or floats outside [0, 1].
        MaskGridError: A file that can't be read.
    """
    if isinstance(image, (str, os.PathLike)):
        image = _open(Path(image), name)
    image = _deep(image, name)
    if hasattr(image, "getbands"):
        mode = "RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"
        return np.array(image if image.mode == mode else image.convert(mode))
    pixels = eight_bits(_channels_last(_array(image, name), name), name)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def read_stencil(mask: Any) -> Any:
    """A stencil as something that the mask operations take.

    A path or a PIL image becomes (H, W) uint8: its brightness, or its alpha where the brightness is the same
    everywhere; float32 where it has more than 8 bits. A path that ends in .npy is an array. Arrays and
    tensors are returned as they are.

    Raises:
        InvalidTypeError: An image with integers of 32 bits.
        MaskGridError: A file that can't be read.
    """
    if isinstance(mask, (str, os.PathLike)):
        mask = _load(Path(mask)) if Path(mask).suffix == ".npy" else _open(Path(mask), "mask")
    mask = _deep(mask, "mask")
    if not hasattr(mask, "getbands"):
        return mask
    grey = np.array(mask.convert("L"))
    if "A" in mask.getbands() and grey.min() == grey.max():
        return np.array(mask.getchannel("A"))
    return grey


def host_array(image: Any, name: str) -> NDArray[Any]:
    """An array or a tensor on any device as a numpy array of the same values; bfloat16 becomes float32.

    Raises:
        InvalidTypeError: Neither.
    """
    if hasattr(image, "detach"):
        tensor = image.detach().cpu()
        image = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if not hasattr(image, "__array__"):
        raise InvalidTypeError(
            f"{name} is a {type(image).__name__}; allowed: a path, a PIL image, an array or a tensor"
        )
    return np.asarray(image)


def eight_bits(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Values as uint8: bool and floats in [0, 1] become 0 to 255.

    Raises:
        InvalidTypeError: Another dtype.
        InvalidValueError: Floats outside [0, 1].
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "bf":
        raise InvalidTypeError(f"{name} has dtype {array.dtype}; allowed: uint8, bool, or floats in [0, 1]")
    if not (np.isfinite(array).all() and array.min(initial=0) >= 0 and array.max(initial=0) <= 1):
        raise InvalidValueError(f"{name} has floats from {array.min()} to {array.max()}; allowed: 0 to 1")
    result: NDArray[np.uint8] = np.rint(array * np.float32(255)).astype(np.uint8)
    return result


def continued(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture continued by its border pixels to (height, width, 3), without alpha."""
    below, right = (wanted - side for wanted, side in zip(size, pixels.shape[:2], strict=True))
    return np.pad(pixels[..., :3], ((0, below), (0, right), (0, 0)), mode="edge")


def to_pil(pixels: NDArray[np.uint8]) -> Image:
    """A (H, W, C) uint8 array as a PIL image."""
    image: Image = pillow().fromarray(pixels)
    return image


def _open(path: Path, name: str) -> Any:
    try:
        with pillow().open(path) as file:
            # Some versions of Pillow read 16 bits as 32.
            picture = file.convert("I;16") if (file.format, file.mode) == ("PNG", "I") else file
            # Cameras turn a picture by a tag.
            return import_module("PIL.ImageOps").exif_transpose(picture)
    except FileNotFoundError as error:
        raise MaskGridError(f"{name}: there is no file {path}") from error
    # Pillow raises a ValueError or a SyntaxError for some broken files.
    except (OSError, ValueError, SyntaxError) as error:
        raise MaskGridError(f"{name}: {path} is no image that Pillow can read ({error})") from error


def _deep(image: Any, name: str) -> Any:
    """A PIL image with more than 8 bits as floats; Pillow itself would cut them off at 255."""
    mode = getattr(image, "mode", None) if hasattr(image, "getbands") else None
    if mode is None or mode[0] not in "IF":
        return image
    if mode == "I":
        raise InvalidTypeError(f"{name} has integers of 32 bits; allowed: 8 or 16 bits, or floats in [0, 1]")
    values = np.asarray(image)
    return values.astype(np.float32) / np.float32(65535) if values.dtype.kind == "u" else values


def _load(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise MaskGridError(f"mask: there is no file {path}") from error
    except (OSError, ValueError, EOFError) as error:
        raise MaskGridError(f"mask: {path} is no array that numpy can read ({error})") from error
    return array


def _array(image: Any, name: str) -> NDArray[Any]:
    array = host_array(image, name)
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    return array


def _channels_last(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        return array
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return np.moveaxis(array, 0, 2)
    raise InvalidValueError(
        f"{name} has shape {array.shape}; allowed: (H, W), (H, W, C) or (C, H, W), C of 1, 3 or 4"
    )
