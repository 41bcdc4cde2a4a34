"""Colours hidden under alpha 0 are replaced by what is visible around them, so that they reach no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fill_hidden"]

_NEUTRAL = 127
"""Where nothing is visible: the middle, which a VAE's encoder reads as almost 0."""


def fill_hidden(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture without alpha, whose hidden colours follow from the visible ones alone.

    Where alpha is above 0 every colour stays. Where it is 0 the visible colours are carried on, near an edge
    those of the edge, further away ever wider means (the pyramid of Gortler et al., The Lumigraph, 1996,
    "push-pull"). So a new cell has no fringe of a background that nobody sees, and two pictures that look the
    same give the same result, bit for bit.

    Args:
        pixels: (H, W, 3) or (H, W, 4) uint8; the fourth channel is alpha.

    Returns:
        (H, W, 3) uint8; a view where nothing is hidden.
    """
    colours = pixels[..., :3]
    if pixels.shape[2] == 3:
        return colours
    visible = pixels[..., 3] > 0
    if visible.all():
        return colours
    if not visible.any():
        return np.full_like(colours, _NEUTRAL)
    known: NDArray[np.float32] = (colours * visible[..., None]).astype(np.float32)
    weight: NDArray[np.float32] = visible[..., None].astype(np.float32)
    filled = np.rint(_spread(known, weight)).clip(0, 255).astype(np.uint8)
    result: NDArray[np.uint8] = np.where(visible[..., None], colours, filled)
    return result


def _spread(colours: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours where the weight is above 0, and means of ever larger blocks where it is 0."""
    if weight.all():
        return colours
    height, width = weight.shape[:2]
    total = _halve(weight)
    mean = (_halve(colours * weight) / np.maximum(total, 1e-9)).astype(np.float32, copy=False)
    wider = _double(_spread(mean, np.minimum(total, 1)))[:height, :width]
    return np.where(weight > 0, colours, wider)


def _halve(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of blocks of 2 x 2; at an odd border of what there is."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]


def _double(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Twice as large, linear between the centres of the blocks."""
    for axis in (0, 1):
        before, after = np.roll(values, 1, axis), np.roll(values, -1, axis)
        first, last = (slice(None),) * axis + (0,), (slice(None),) * axis + (-1,)
        before[first], after[last] = values[first], values[last]
        values = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1).reshape(
            *values.shape[:axis], -1, *values.shape[axis + 1 :]
        )
    return values
