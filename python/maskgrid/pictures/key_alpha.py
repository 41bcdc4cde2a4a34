"""Alpha out of a picture before one known colour: soft edges, and none of that colour left in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.fill_hidden import fill_hidden

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.pictures.background import Colour

__all__ = ["key_alpha", "uncover"]

_NEAR = 64.0
"""Distance in RGB up to which a colour may be the background as an autoencoder gives it back."""
_QUIET, _LOUD = 12.0, 40.0
"""The least and the most that such colours are taken to vary."""
_BAND = 3
"""Pixels beside the background in which an edge may be soft."""
_ALIKE = 0.97
"""The cosine that the directions of mixtures of one colour have at least, seen from the background."""
_OPAQUE = 0.92
"""From this share on a pixel hides the background: mixtures are not known better."""
_FAINT = 0.25
"""Below this alpha what is left of a colour is mostly noise, and the colours beside it count."""


def key_alpha(pixels: NDArray[np.uint8], background: Colour) -> NDArray[np.uint8]:
    """A picture of things before a background of one colour, with the alpha that they then have.

    What lies within the noise of the background is transparent. Deeper than 3 px inside the rest everything
    is opaque. Between them a pixel is a mixture a f + (1 - a) b of the background b and some f: seen from b
    mixtures lie in the direction of f, so f is the furthest colour in that direction within 3 px, a is the
    share of the way (compositing after Porter and Duff, 1984), and f is what the pixel gets as its colour.

    Args:
        pixels: (h, w, 3) uint8.
        background: Its red, green and blue; where most of what is near it has another mean, as after an
            autoencoder, that mean counts.

    Returns:
        (h, w, 4) uint8; under alpha 0 the colours of what is beside it go on.
    """
    ground, noise = _measure_ground(pixels, background)
    offset = pixels.astype(np.float32) - ground
    distance = np.sqrt((offset**2).sum(2))
    clear = distance <= noise
    alpha = np.where(clear, 0, 1).astype(np.float32)
    band: NDArray[np.bool_] = masks.grow(clear, _BAND) & ~clear
    if clear.any() and band.any():
        furthest = _furthest_alike(offset, distance, band)
        share = distance / np.maximum(furthest, 1e-6)
        alpha = np.where(band & (share < _OPAQUE), share, alpha).astype(np.float32)
    return _without_ground(pixels, alpha, ground)


def uncover(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8], background: Colour) -> NDArray[np.uint8]:
    """A picture before a background of one colour, with an alpha that is known, and none of the colour left.

    Args:
        pixels: (h, w, 3) uint8.
        alpha: (h, w) uint8.
        background: Its red, green and blue; see `key_alpha`.

    Returns:
        (h, w, 4) uint8 with just this alpha.
    """
    ground, _noise = _measure_ground(pixels, background)
    result = _without_ground(pixels, alpha.astype(np.float32) / np.float32(255), ground)
    result[..., 3] = alpha
    return result


def _measure_ground(pixels: NDArray[np.uint8], background: Colour) -> tuple[NDArray[np.float32], float]:
    """The background's colour as it is in a picture, and up to which distance others are it."""
    asked = np.array(background, np.float32)
    distance = np.sqrt(((pixels.astype(np.float32) - asked) ** 2).sum(2))
    near = pixels[distance < _NEAR]
    if len(near) < 16:
        return asked, _QUIET
    ground = np.median(near, axis=0).astype(np.float32)
    spread = np.sqrt(((near - ground) ** 2).sum(1))
    # The soft edges of things are near it, too, so the middle of the distances counts and not their end.
    return ground, float(np.clip(4 * np.median(spread), _QUIET, _LOUD))


def _furthest_alike(
    offset: NDArray[np.float32], distance: NDArray[np.float32], band: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The largest distance among the pixels around that lie in nearly the same direction."""
    height, width = distance.shape
    direction = offset / np.maximum(distance, 1e-6)[..., None]
    rows, columns = np.nonzero(band)
    furthest = distance[rows, columns]
    for down in range(-_BAND, _BAND + 1):
        for right in range(-_BAND, _BAND + 1):
            y, x = (rows + down).clip(0, height - 1), (columns + right).clip(0, width - 1)
            alike = (direction[rows, columns] * direction[y, x]).sum(1) >= _ALIKE
            furthest = np.where(alike, np.maximum(furthest, distance[y, x]), furthest)
    result = distance.copy()
    result[rows, columns] = furthest
    return result


def _without_ground(
    pixels: NDArray[np.uint8], alpha: NDArray[np.float32], ground: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """(h, w, 4): the colours f of pixels that are a f + (1 - a) b, where they can be told, and a."""
    share = alpha[..., None]
    colours = ground + (pixels.astype(np.float32) - ground) / np.maximum(share, _FAINT)
    known = np.where(share >= 1, pixels, np.rint(colours.clip(0, 255)).astype(np.uint8))
    eight = np.rint(alpha * 255).astype(np.uint8)
    told = np.where(alpha < _FAINT, 0, eight)
    filled = fill_hidden(np.dstack([known, told]))
    result: NDArray[np.uint8] = np.dstack([filled, eight])
    return result
