"""Files opened with Pillow: the formats that are allowed, size limit, depth, first frame, turned upright."""

from __future__ import annotations

import io
import os
import threading
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskgrid.errors import (
    InvalidTypeError,
    InvalidValueError,
    MaskGridError,
    MaskGridWarning,
    MissingExtraError,
    in_one_line,
)
from maskgrid.pictures.local_path import local_path

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "OpenedImage", "is_openable", "is_picture", "open_image", "pillow"]

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
"""What is looked for in a file, whatever its name says. None of these starts another program."""

_LOSSY = frozenset({"JPEG", "MPO", "WEBP", "AVIF"})
_GUARD = threading.Lock()


@dataclass(frozen=True)
class OpenedImage:
    """A picture that Pillow has decoded, and what can't be seen in it any more.

    Attributes:
        image: The pixels, upright; its `info` has the ICC profile and the resolution.
        depth: Bits a channel in the file. Pillow reads 16 bits a channel of a colour picture as 8.
        lossy: Whether the file's compression changes pixels, as JPEG's does.
    """

    image: Image
    depth: int
    lossy: bool


def pillow() -> Any:
    """The module PIL.Image, which opens images.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'pictures need Pillow; install it with: pip install "maskgrid[images]"'
        ) from error
    return Image


def is_picture(source: Any) -> bool:
    """Whether something opened is a PIL image."""
    return hasattr(source, "getbands")


def is_openable(source: Any) -> bool:
    """Whether `open_image` takes it: a path, the bytes of a file, an open file, or a PIL image."""
    held = isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview))
    return held or is_picture(source) or hasattr(source, "read")


def open_image(source: Any, *, name: str = "image", max_pixels: int | None = None) -> OpenedImage:
    """A picture from a path, from bytes, from an open file or from a PIL image, decoded.

    A file is turned as its EXIF tag says; a PIL image is taken as it is. Of several frames or pages the first
    one is taken, with a `MaskGridWarning`. An open file is read from its start, as Pillow does it,
    and left where it stood.

    Args:
        source: Where the picture is.
        name: What an error calls it.
        max_pixels: The most pixels that are decoded; default Pillow's own guard, about 89 million.

    Returns:
        The picture.

    Raises:
        InvalidTypeError: None of these.
        InvalidValueError: A URL, or a picture of more pixels than allowed.
        MaskGridError: No such file, or one that is broken or of another format.
    """
    if is_picture(source):
        # What a file says of its depth is gone once it is decoded.
        depth = _depth(source)
        _tell_frames(_load(source, name), name)
        return OpenedImage(source, depth, source.format in _LOSSY)
    data, label = _data(source, name)
    limit = _pixel_limit(max_pixels)
    try:
        file = _open_within(data, limit, raised=max_pixels is not None)
        width, height = file.size
        if limit is not None and width * height > limit:
            raise _too_large(f"{height} x {width} px (height x width)", name, label, limit)
        lossy = file.format in _LOSSY and b"VP8L" not in data
        depth = 10 if file.format == "AVIF" and _is_deep_avif(data) else _depth(file)
        frames = _frames(file)
        # Some versions of Pillow read 16 bits of grey as 32.
        wide = (file.format, file.mode) == ("PNG", "I")
        picture = import_module("PIL.ImageOps").exif_transpose(file.convert("I;16") if wide else file)
    except MaskGridError:
        raise
    # Pillow raises nearly anything for a broken file: SyntaxError, OverflowError, RecursionError.
    except Exception as error:
        raise _unreadable(error, name, label, limit) from error
    _tell_frames(frames, name)
    return OpenedImage(picture, 16 if wide else depth, lossy)


def _frames(file: Any) -> int:
    """How many frames or pages an opened image has."""
    # The second picture of a camera's MPO is a preview or another eye's.
    is_many = getattr(file, "is_animated", False) and getattr(file, "format", None) != "MPO"
    return file.n_frames if is_many else 1


def _tell_frames(frames: int, name: str) -> None:
    if frames > 1:
        warnings.warn(
            f"{name}: the file has {frames} frames or pages, of which the first one is taken; lay the frames "
            "out as a sheet of cells to redraw them all",
            MaskGridWarning,
            stacklevel=4,
        )


def _load(image: Any, name: str) -> int:
    """Have a PIL image read its file, if it has not yet; returns how many frames that has."""
    try:
        image.load()
        return _frames(image)
    except Exception as error:
        raise MaskGridError(f"{name}: the PIL image can't be decoded ({in_one_line(error)})") from error


def _data(source: Any, name: str) -> tuple[bytes, str]:
    """The bytes of a file, and what to call it."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), f"what begins with {bytes(source[:8])!r}"
    if hasattr(source, "read"):
        return _read_open_file(source, name), f"the open file {getattr(source, 'name', '')}".strip()
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidTypeError(
            f"{name} is a {type(source).__name__}; allowed: a path, bytes, an open file, a PIL image, "
            "an array or a tensor"
        )
    path = local_path(source, name)
    try:
        return path.read_bytes(), str(path)
    except FileNotFoundError as error:
        raise MaskGridError(f"{name}: there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise MaskGridError(f"{name}: {path} can't be read ({in_one_line(error)})") from error


def _read_open_file(file: Any, name: str) -> bytes:
    try:
        seekable = file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek")
        start = file.tell() if seekable else 0
        if seekable:
            file.seek(0)
        data = file.read()
        if seekable:
            file.seek(start)
    except Exception as error:
        raise MaskGridError(f"{name}: the open file can't be read ({in_one_line(error)})") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidTypeError(
            f'{name}: the open file gives {type(data).__name__}; allowed: open(path, "rb")'
        )
    return bytes(data)


def _formats() -> list[str]:
    """Those that this Pillow was built with."""
    image = pillow()
    image.init()
    return [name for name in FORMATS if name in image.OPEN]


def _pixel_limit(max_pixels: int | None) -> int | None:
    """The most pixels of a file; None where somebody has taken Pillow's guard away."""
    if max_pixels is None:
        # Not while another thread has raised the guard for a file of its own.
        with _GUARD:
            limit: int | None = pillow().MAX_IMAGE_PIXELS
        return limit
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise InvalidValueError(f"max_pixels is {max_pixels!r}; allowed: a whole number from 1")
    return max_pixels


def _open_within(data: bytes, limit: int | None, *, raised: bool) -> Any:
    """A file whose header was read; Pillow's guard, one for all threads, is raised in that moment only."""
    image, formats = pillow(), _formats()
    if not raised:
        return image.open(io.BytesIO(data), formats=formats)
    with _GUARD:
        before, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, limit
        try:
            return image.open(io.BytesIO(data), formats=formats)
        finally:
            image.MAX_IMAGE_PIXELS = before


def _too_large(size: str, name: str, label: str, limit: int) -> InvalidValueError:
    return InvalidValueError(
        f"{name}: {label} is {size}; allowed: {limit} pixels, or more where max_pixels (--max-pixels) says "
        "so, for a file that you trust"
    )


def _unreadable(error: Exception, name: str, label: str, limit: int | None) -> MaskGridError:
    image = pillow()
    if isinstance(error, (image.DecompressionBombError, image.DecompressionBombWarning)):
        return _too_large("a picture of more pixels", name, label, limit or 0)
    unknown = type(error).__name__ == "UnidentifiedImageError"
    reason = "another format, or broken" if unknown else f"{type(error).__name__}: {in_one_line(error)}"
    return MaskGridError(
        f"{name}: {label} is no image that Pillow can read ({reason}); allowed: {', '.join(_formats())}"
    )


def _depth(image: Any) -> int:
    """Bits a channel that an opened image file has."""
    if image.mode[0] in "IF":
        return 16 if ";16" in image.mode else 32
    raw = [tile[3] for tile in getattr(image, "tile", ())]
    modes = [mode[0] if isinstance(mode, tuple) and mode else mode for mode in raw]
    if any(isinstance(mode, str) and ";16" in mode for mode in modes):
        return 16
    # A TIFF tells after it was decoded, too.
    bits = (getattr(image, "tag_v2", None) or {}).get(258, 8)
    return max(bits) if isinstance(bits, tuple) else int(bits)


def _is_deep_avif(data: bytes) -> bool:
    """The bit high_bitdepth of AV1's configuration: 10 or 12 bits, which Pillow reads as 8."""
    at = data.find(b"av1C")
    return at >= 0 and len(data) > at + 6 and bool(data[at + 6] & 0x40)
