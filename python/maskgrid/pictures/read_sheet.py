"""Sheets in: whatever people hold a picture in becomes pixels of 8 bits, or is refused with the remedy."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridWarning
from maskgrid.pictures.open_image import is_openable, open_image
from maskgrid.pictures.pixel_arrays import eight_bits, host_array
from maskgrid.pictures.sheet import Sheet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.pictures.open_image import OpenedImage

__all__ = ["read_image", "read_sheet"]

_EXACT = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "a palette",
    "PA": "a palette with alpha",
}
"""Modes whose every colour has just one equal in RGB, as a note calls them."""
_ACROSS, _DOWN, _UNIT, _INCH, _CENTIMETRE = 282, 283, 296, 2, 3
"""Tags of EXIF, and what the unit of a resolution may be."""


def read_sheet(image: Any, *, name: str = "image", max_pixels: int | None = None) -> Sheet:
    """A sheet with its colour profile and resolution, exact, or an error that says how to make it so.

    Args:
        image: A path, the bytes of a file, an open file, a PIL image, a `Sheet`; or an array or tensor:
            uint8, bool, or floats in [0, 1]; (H, W), (H, W, C) or (C, H, W) with C of 1, 3 or 4. Leading axes
            of 1 are dropped.
        name: What an error calls it.
        max_pixels: The most pixels of a file that are decoded; default Pillow's own guard.

    Returns:
        The sheet. RGB and RGBA of 8 bits stay bit for bit; grey and palettes become the RGB or RGBA that
        looks the same, which a note says.

    Raises:
        InvalidTypeError: None of these, another dtype, more than 8 bits a channel, or colours that have no
            exact RGB (CMYK, YCbCr, LAB, HSV).
        InvalidValueError: A shape that is no image, floats outside [0, 1], a URL, or too many pixels.
        MaskGridError: A file that can't be read.
    """
    if isinstance(image, Sheet):
        return image
    if not is_openable(image):
        pixels, rounded = _array_pixels(image, name)
        return Sheet(pixels, notes=rounded)
    opened = open_image(image, name=name, max_pixels=max_pixels)
    picture = opened.image
    _check_exact(opened, name)
    notes: list[str] = []
    if picture.mode in _EXACT:
        notes.append(
            f"{_EXACT[picture.mode]} ({picture.mode}) became {_rgb_mode(picture)}, which looks the same"
        )
    elif picture.mode == "RGB" and "transparency" in picture.info:
        notes.append("its transparent colour became an alpha of 0")
    profile = picture.info.get("icc_profile")
    if profile and profile[16:20] != b"RGB ":
        warnings.warn(
            f"{name}: its colour profile is one of {profile[16:20].decode('latin-1').strip()!r}, not of RGB, "
            "and is not kept; convert the sheet to an RGB profile first where its colours matter",
            MaskGridWarning,
            stacklevel=2,
        )
        profile = None
    return Sheet(_rgb(picture), profile or None, _dpi(picture), picture.mode, tuple(notes))


def read_image(image: Any, *, name: str = "image", max_pixels: int | None = None) -> NDArray[np.uint8]:
    """A picture that only a model looks at, as RGB or RGBA of 8 bits, whatever it was.

    Args:
        image: As for `read_sheet`; 16 bits and other colours are converted, not refused.
        name: What an error calls it.
        max_pixels: Likewise.

    Returns:
        (H, W, 3) or (H, W, 4) uint8, bit for bit where it was RGB or RGBA of 8 bits.

    Raises:
        InvalidTypeError: None of these, another dtype, or integers of 32 bits.
        InvalidValueError: A shape that is no image, floats outside [0, 1], a URL, or too many pixels.
        MaskGridError: A file that can't be read.
    """
    if isinstance(image, Sheet):
        return image.pixels
    if not is_openable(image):
        return _array_pixels(image, name)[0]
    picture = open_image(image, name=name, max_pixels=max_pixels).image
    if picture.mode == "I":
        raise InvalidTypeError(f"{name} has integers of 32 bits; allowed: 8 or 16 bits, or floats in [0, 1]")
    if picture.mode[0] not in "IF":
        return _rgb(picture)
    # Pillow itself would cut them off at 255.
    values = np.asarray(picture)
    deep = values.astype(np.float32) / np.float32(65535) if values.dtype.kind == "u" else values
    return _array_pixels(deep, name)[0]


def _check_exact(opened: OpenedImage, name: str) -> None:
    mode, depth = opened.image.mode, opened.depth
    if depth > 8:
        kind = "floats" if mode == "F" else f"{depth} bits a channel"
        raise InvalidTypeError(
            f"{name} has {kind} (mode {mode}), which would not stay exact outside the stencil; allowed: 8 "
            "bits. Convert it first: for 16 bits of grey "
            "Image.fromarray((numpy.asarray(image) / 257).round().astype('uint8')); for colour "
            "`magick sheet.png -depth 8 sheet8.png`"
        )
    if mode not in ("RGB", "RGBA", "RGBX", *_EXACT):
        raise InvalidTypeError(
            f"{name} has the colours {mode}, which have no exact RGB, so it would not stay as it is outside "
            "the stencil; allowed: RGB, RGBA, grey or a palette. Convert it first: image.convert('RGB'), or "
            "with its profile by PIL.ImageCms.profileToProfile"
        )


def _rgb_mode(picture: Image) -> str:
    return "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"


def _rgb(picture: Image) -> NDArray[np.uint8]:
    # The A of LAB is a colour.
    mode = "RGB" if picture.mode == "LAB" else _rgb_mode(picture)
    return np.array(picture if picture.mode == mode else _convert(picture, mode))


def _convert(picture: Image, mode: str) -> Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    return picture.convert(mode)


def _dpi(picture: Image) -> tuple[float, float] | None:
    """Pixels per inch across and down, out of the file's own fields or, as in a WebP, out of its EXIF."""
    dpi: Any = picture.info.get("dpi")
    scale = 1.0
    if dpi is None and "exif" in picture.info:
        tags = picture.getexif()
        dpi = tags.get(_ACROSS), tags.get(_DOWN)
        scale = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(tags.get(_UNIT, _INCH), 0.0)
    try:
        across, down = (float(number) * scale for number in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _array_pixels(image: Any, name: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    array = host_array(image, name)
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    array = _channels_last(array, name)
    pixels = eight_bits(array, name)
    notes = () if _is_exact(array, pixels) else ("its floats lie between steps of 8 bits and were rounded",)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels), notes


def _is_exact(array: NDArray[Any], pixels: NDArray[np.uint8]) -> bool:
    """Whether floats are those of 8 bits, as far as their own precision goes."""
    if array.dtype.kind != "f":
        return True
    steps = array.astype(np.float32) * np.float32(255)
    tolerance = 0.01 if array.dtype.itemsize > 2 else 0.1
    return not steps.size or float(np.abs(steps - pixels).max()) < tolerance


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
