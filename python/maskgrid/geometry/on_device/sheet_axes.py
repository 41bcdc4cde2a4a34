"""The axis orders that sheets and cells may have, seen as one: (images, planes, height, width, samples)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry.on_device.argument_checks import choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from maskgrid.geometry.grid import Size

__all__ = ["check_channels", "five_axes", "resize_shape"]


def check_channels(channels: str) -> str:
    """Check the word that says where a sheet's channels lie.

    Raises:
        InvalidValueError: Another word.
    """
    return choice(channels, "channels", ("last", "first"))


def five_axes(image: Tensor, channels: str, *, argument: str, several: bool) -> Tensor:
    """The view (images, planes, height, width, samples) of an image or of several.

    Args:
        image: (H, W); (H, W, C) with channels "last", (C, H, W) with channels "first"; one axis more in front
            where there are several.
        channels: "first" or "last".
        argument: What messages call it.
        several: Whether the first axis counts images.

    Raises:
        InvalidTypeError: Not a tensor.
        InvalidValueError: Another number of axes.
    """
    if not isinstance(image, torch.Tensor):
        raise InvalidTypeError(f"{argument} is of type {type(image).__name__}; allowed: a torch tensor")
    batch = image if several else image[None]
    if batch.ndim == 3:
        return batch[:, None, :, :, None]
    if batch.ndim == 4:
        return batch[:, :, :, :, None] if channels == "first" else batch[:, None]
    front = "N, " if several else ""
    with_channels = f"{front}C, H, W" if channels == "first" else f"{front}H, W, C"
    raise InvalidValueError(
        f"{argument} has shape {tuple(image.shape)}; allowed: ({front}H, W) or ({with_channels})"
    )


def resize_shape(shape: Sequence[int], channels: str, size: Size) -> list[int]:
    """The shape of one image with another height and width."""
    axis = len(shape) - 2 if channels == "first" else 0
    return [*shape[:axis], size.height, size.width, *shape[axis + 2 :]]
