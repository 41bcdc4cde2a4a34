"""Alpha out of a picture before one known colour: soft edges, and none of that colour left in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.fill_hidden import fill_hidden

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.pictures.background import Colour

__all__ = ["Ground", "key_alpha", "measure_ground", "uncover"]

_NEAR = 64.0
"""Distance in RGB up to which a colour may be the background as an autoencoder gives it back."""
_QUIET, _LOUD = 12.0, 40.0
"""The least and the most that such colours are taken to vary."""
_FEW = 16
"""Pixels that don't tell a colour."""
_BAND = 3
"""Pixels beside the background in which an edge may be soft."""
_ALIKE = 0.97
"""The cosine that the directions of mixtures of one colour have at least, seen from the background."""
_OPAQUE = 0.92
"""From this share on a pixel hides the background: mixtures are not known better."""
_FAINT = 0.25
"""Below this alpha what is left of a colour is mostly noise, and the colours beside it count."""


@dataclass(frozen=True)
class Ground:
    """A background as it is in a picture.

    Attributes:
        colour: Its red, green and blue.
        noise: The distance in RGB up to which other colours are the background as well.
        is_found: Whether the picture shows it: within 64 of the colour that was asked for, quiet enough.
    """

    colour: tuple[float, float, float]
    noise: float
    is_found: bool


def measure_ground(
    pixels: NDArray[np.uint8], background: Colour, known: NDArray[np.bool_] | None = None
) -> Ground:
    """The background as it is in a picture that an autoencoder may have changed.

    Args:
        pixels: (h, w, 3) uint8.
        background: The colour that was asked for.
        known: (h, w), pixels that are background for certain; where there are fewer than 16, those within 64
            of the colour count.

    Returns:
        The median of these pixels and what they vary by, from 12 to 40; the colour itself where there are
        fewer than 16.
    """
    colours = pixels.astype(np.float32)
    certain = known is not None and int(np.count_nonzero(known)) >= _FEW
    near = np.sqrt(((colours - np.array(background, np.float32)) ** 2).sum(2)) < _NEAR
    samples = colours[known] if known is not None and certain else colours[near]
    if len(samples) < _FEW:
        red, green, blue = background
        return Ground((red, green, blue), _QUIET, False)
    red, green, blue = np.median(samples, 0).tolist()
    spread = np.sqrt(((samples - (red, green, blue)) ** 2).sum(1))
    # Soft edges are among those that are only near, so the middle of the distances counts and not their end.
    noise = float(np.quantile(spread, 0.99) * 1.25 if certain else 4 * np.median(spread))
    is_found = noise <= _LOUD and bool(np.hypot.reduce(np.subtract((red, green, blue), background)) < _NEAR)
    return Ground((red, green, blue), min(max(noise, _QUIET), _LOUD), is_found)


def key_alpha(pixels: NDArray[np.uint8], ground: Ground) -> NDArray[np.uint8]:
    """A picture of things before a background of one colour, with the alpha that they then have.

    What lies within the noise of the background is transparent. Deeper than 3 px inside the rest everything
    is opaque. Between them a pixel is a mixture a f + (1 - a) b of the background b and some f: seen from b
    mixtures lie in the direction of f, so f is the furthest colour in that direction within 3 px, a is the
    share of the way (compositing after Porter and Duff, 1984), and f is what the pixel gets as its colour.

    Args:
        pixels: (h, w, 3) uint8.
        ground: The background, as `measure_ground` finds it.

    Returns:
        (h, w, 4) uint8; under alpha 0 the colours of what is beside it go on.
    """
    offset = pixels.astype(np.float32) - np.array(ground.colour, np.float32)
    distance = np.sqrt((offset**2).sum(2))
    clear = distance <= ground.noise
    alpha = np.where(clear, 0, 1).astype(np.float32)
    band: NDArray[np.bool_] = masks.grow(clear, _BAND) & ~clear
    if clear.any() and band.any():
        furthest = _furthest_alike(offset, distance, band)
        share = distance / np.maximum(furthest, 1e-6)
        alpha = np.where(band & (share < _OPAQUE), share, alpha).astype(np.float32)
    return _without_ground(pixels, alpha, ground)


def uncover(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8], ground: Ground) -> NDArray[np.uint8]:
    """A picture before a background of one colour, with an alpha that is known, and none of the colour left.

    Args:
        pixels: (h, w, 3) uint8.
        alpha: (h, w) uint8.
        ground: The background, as `measure_ground` finds it.

    Returns:
        (h, w, 4) uint8 with just this alpha.
    """
    result = _without_ground(pixels, alpha.astype(np.float32) / np.float32(255), ground)
    result[..., 3] = alpha
    return result


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
    pixels: NDArray[np.uint8], alpha: NDArray[np.float32], ground: Ground
) -> NDArray[np.uint8]:
    """(h, w, 4): the colours f of pixels that are a f + (1 - a) b, where they can be told, and a."""
    share = alpha[..., None]
    behind = np.array(ground.colour, np.float32)
    colours = behind + (pixels.astype(np.float32) - behind) / np.maximum(share, _FAINT)
    known = np.where(share >= 1, pixels, np.rint(colours.clip(0, 255)).astype(np.uint8))
    eight = np.rint(alpha * 255).astype(np.uint8)
    told = np.where(alpha < _FAINT, 0, eight)
    filled = fill_hidden(np.dstack([known, told]))
    result: NDArray[np.uint8] = np.dstack([filled, eight])
    return result
