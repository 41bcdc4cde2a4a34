"""Pictures out: a file's suffix decides its format; colour profile, resolution and settings go with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.pictures.open_image import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "format_of", "save_image"]

SUFFIXES = {
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}
"""What a picture can be written as. All keep every pixel as it is but JPEG."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    # `exact` keeps the colours under alpha 0.
    "WEBP": {"lossless": True, "exact": True, "quality": 75},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "JPEG": {"quality": 95, "subsampling": 0},
}
_DESCRIPTION, _ACROSS, _DOWN, _UNIT = 270, 282, 283, 296
_INCH = 2
_MOST_EXIF = 60_000
"""Bytes; a segment of a JPEG holds 65,533."""


def format_of(path: str | os.PathLike[str], name: str = "out") -> str:
    """The format that a file's suffix stands for, as Pillow calls it.

    Args:
        path: A path, or a name alone; case does not matter.
        name: What an error calls it.

    Raises:
        InvalidValueError: Another suffix, or none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidValueError(
            f"{name} is {os.fspath(path)!r} with the suffix {suffix!r}; allowed: {', '.join(SUFFIXES)} "
            "(.jpg changes pixels a little, the others keep each one)"
        )
    return SUFFIXES[suffix]


def save_image(image: Image, path: Path, kind: str, *, text: str = "") -> None:
    """Save a picture in a format, with the colour profile and the resolution that its `info` has.

    Args:
        image: The picture; `icc_profile` and `dpi` of its `info` are kept.
        path: Where to, whatever its suffix.
        kind: One of the values of `SUFFIXES`, as `format_of` gives it.
        text: What its metadata should say: the text `maskgrid` of a PNG, the tag ImageDescription of the
            others, escaped as JSON does it. A JPEG has none where it is longer than 60,000 bytes.

    Raises:
        InvalidTypeError: A JPEG of a picture with alpha.
        OSError: It can't be written.
    """
    if kind == "JPEG" and "A" in image.getbands():
        raise InvalidTypeError(
            f"the picture has alpha ({image.mode}), which a JPEG can't hold; allowed: .png, .webp, .tif"
        )
    kept = {key: image.info[key] for key in ("icc_profile", "dpi") if image.info.get(key)}
    options = {**_OPTIONS[kind], **kept}
    if kind == "PNG":
        options["pnginfo"] = _png_text(text)
    elif kind == "TIFF":
        options["description"] = _ascii(text)
    else:
        options["exif"] = _exif(_ascii(text), kept.get("dpi") if kind == "WEBP" else None)
    image.save(path, kind, **options)


def _png_text(text: str) -> Any:
    pillow()
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if text:
        info.add_itxt("maskgrid", text)
    return info


def _exif(text: str, dpi: tuple[float, float] | None) -> Any:
    """Tags of EXIF; a WebP has the resolution there and nowhere else."""
    tags = pillow().Exif()
    if text and len(text) <= _MOST_EXIF:
        tags[_DESCRIPTION] = text
    if dpi:
        tags[_ACROSS], tags[_DOWN], tags[_UNIT] = *dpi, _INCH
    return tags


def _ascii(text: str) -> str:
    """JSON in the letters that EXIF allows."""
    return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
