"""Masks in: whatever people hold a mask in becomes a pixel mask, and in words what was taken."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError, MaskGridError, in_one_line
from maskgrid.pictures.almost_hard import settle
from maskgrid.pictures.local_path import local_path
from maskgrid.pictures.mask_channel import choose_channel
from maskgrid.pictures.open_image import is_openable, open_image
from maskgrid.pictures.pixel_arrays import host_array

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["PixelMask", "read_mask"]


@dataclass(frozen=True, eq=False)
class PixelMask:
    """A pixel mask that was read, and what was taken for it.

    Attributes:
        values: What the operations on masks take: (H, W) from a picture, uint8 or float32; an array or tensor
            without channels of colour as it was given.
        taken: Which part of a picture is the mask, in words; "" for an array without channels of colour.
        notes: What else was done to it, in words.
    """

    values: Any
    taken: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(part for part in (self.taken, *self.notes) if part)


def read_mask(
    mask: Any, *, channel: str | None = None, name: str = "mask", max_pixels: int | None = None
) -> PixelMask:
    """A mask as something that the mask operations take.

    In a picture what is visible decides which channel is the mask, see
    `maskgrid.pictures.mask_channel.choose_channel`; so it does in an array (H, W, C) or (N, H, W, C) with C
    of 3 or 4. What a compression left grey in a picture is settled, see
    `maskgrid.pictures.almost_hard.settle`.

    Args:
        mask: A path, the bytes of a file, an open file, a PIL image, an array or a tensor; a path that ends
            in .npy is an array.
        channel: "alpha", "luminance" or "red"; None for the rule.
        name: What an error calls it.
        max_pixels: The most pixels of a file that are decoded; default Pillow's own guard.

    Returns:
        The mask, and what was taken; 16 bits and floats become float32.

    Raises:
        InvalidTypeError: None of these, or integers of 32 bits other than 0 and 1 or 0 and 255.
        InvalidValueError: A picture whose brightness and alpha both vary without a channel named, a channel
            that is not there, a URL, or too many pixels.
        MaskGridError: A file that can't be read.
    """
    if isinstance(mask, PixelMask):
        return mask
    if isinstance(mask, (str, os.PathLike)) and local_path(mask, name).suffix.lower() == ".npy":
        mask = _load_array(mask, name)
    if not is_openable(mask):
        return _from_array(mask, channel, name)
    opened = open_image(mask, name=name, max_pixels=max_pixels)
    colours, alpha = _planes(opened.image, name)
    values, taken = choose_channel(colours, alpha, channel=channel, name=name, lossy=opened.lossy)
    notes: list[str] = []
    if opened.depth > 8 and values.dtype == np.uint8:
        notes.append(f"its {opened.depth} bits are read as 8")
    values, note = settle(values, lossy=opened.lossy)
    notes += [note] if note else []
    return PixelMask(np.ascontiguousarray(values), taken, tuple(notes))


def _planes(image: Image, name: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Colours (H, W, 3) and alpha (H, W) of a picture, uint8 or float32."""
    mode = image.mode
    if mode[0] in "IF":
        return _deep_planes(image, name)
    if mode == "LAB":
        return _grey(np.array(image.getchannel("L"))), None
    image = image.convert("LA") if mode == "La" else image
    if mode[-1] in "Aa" or "transparency" in image.info:
        rgba = np.array(image.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    if mode in ("L", "1", "YCbCr"):
        return _grey(np.array(image.convert("L"))), None
    return np.array(image.convert("RGB")), None


def _deep_planes(image: Image, name: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    values = np.asarray(image)
    if values.dtype.kind == "u":
        key = image.info.get("transparency")
        deep = values.astype(np.float32) / np.float32(65535)
        return _grey(deep), (values != key).astype(np.float32) if isinstance(key, int) else None
    if values.dtype.kind == "f":
        return _grey(values), None
    for top in (1, 255):
        if np.isin(values, (0, top)).all():
            return _grey((values > 0).astype(np.uint8) * np.uint8(255)), None
    raise InvalidTypeError(
        f"{name} has integers of 32 bits, from {values.min()} to {values.max()}; allowed: 0 and 1, 0 and "
        "255, 8 or 16 bits, or floats in [0, 1]"
    )


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(values[..., None], (*values.shape, 3))


def _from_array(mask: Any, channel: str | None, name: str) -> PixelMask:
    shape = tuple(getattr(mask, "shape", None) or host_array(mask, name).shape)
    # Narrower than that is no picture; what it is the mask operations say.
    if len(shape) not in (3, 4) or shape[-1] not in (3, 4) or min(shape[-3:-1]) <= 4:
        if channel not in (None, "luminance", "red"):
            choose_channel(np.zeros((1, 1, 3)), None, channel=channel, name=name)
        return PixelMask(mask)
    array = host_array(mask, name)
    if array.dtype.kind not in "bf" and array.dtype != np.uint8:
        raise InvalidTypeError(f"{name} has dtype {array.dtype}; allowed: bool, uint8 and floats in [0, 1]")
    array = array.astype(np.uint8) * np.uint8(255) if array.dtype.kind == "b" else array
    alpha = array[..., 3] if shape[-1] == 4 else None
    values, taken = choose_channel(array[..., :3], alpha, channel=channel, name=name)
    return PixelMask(np.ascontiguousarray(values), taken)


def _load_array(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    where = local_path(path, name)
    try:
        # Not by its name, so that numpy unpacks no archive.
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(where.read_bytes()), allow_pickle=False)
    except FileNotFoundError as error:
        raise MaskGridError(f"{name}: there is no file {where}") from error
    # A header can be anything, which numpy meets with nearly any error.
    except Exception as error:
        raise MaskGridError(
            f"{name}: {where} is no array that numpy can read ({in_one_line(error)})"
        ) from error
    return array
