"""Masks black and white but for a few grey pixels: told apart from soft ones, and made hard again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.geometry import pixel_masks as masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NEAR", "count_grey", "is_almost_hard", "settle", "snap"]

NEAR = 8 / 255
"""What is at most this far from black or white looks like it."""

_GREY, _HALF_TONES, _FAR = 4.0, 1.5, 0.1
"""The most grey pixels for each pixel of the edge: of any tone, between 25 and 75 %, and away from the edge.

Measured on five drawings of 128 x 128 px: JPEG of quality 10 to 95 and WebP of 50 and 80 have up to 3.8 grey
pixels a pixel of the edge, 1.2 between 25 and 75 %; anti-aliased edges 1.3 and 1.0; a Gaussian blur of 1 px
has 1.6 to 2.0 between 25 and 75 %, a ramp of w px has w / 2.
"""
_WHITE = 0.25
"""The least share of what lies above 1/2 that is white: not so in noise, nor where all is grey."""
_BLOCK = 8
"""Pixels that the noise of a JPEG reaches, the side of its blocks."""


def snap(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A mask in [0, 1] whose values within 8/255 of 0 and 1 are just these."""
    result: NDArray[np.float32] = np.where(values <= NEAR, 0, np.where(values >= 1 - NEAR, 1, values))
    return result.astype(np.float32)


def count_grey(values: NDArray[np.float32]) -> int:
    """How many pixels of a mask in [0, 1] look neither black nor white."""
    return int(np.count_nonzero(_is_grey(values)))


def is_almost_hard(values: NDArray[np.float32]) -> bool:
    """Whether the grey of a mask is that of an anti-aliased edge or of a lossy file, not of a soft mask.

    That is where a quarter of what lies above 1/2 is white within 8/255, and where there are at most, for
    each pixel of the edge at 1/2, 4 pixels that are neither black nor white, 1.5 between 25 and 75 %, and 0.1
    more than 8 px away from the edge (or a single one).

    Args:
        values: (H, W) or (N, H, W) float32 in [0, 1].

    Returns:
        Also True for a mask that is black and white already; False for one without an edge that has grey.
    """
    grey = _is_grey(values)
    if not grey.any():
        return True
    hard = values >= 0.5
    if int((values >= 1 - NEAR).sum()) < max(_WHITE * int(hard.sum()), 1):
        return False
    edge = np.count_nonzero(hard & ~masks.shrink(hard, 1))
    if grey.sum() > _GREY * edge or (grey & (np.abs(values - 0.5) < 0.25)).sum() > _HALF_TONES * edge:
        return False
    near = masks.grow(hard, _BLOCK) & ~masks.shrink(hard, _BLOCK)
    return bool(np.count_nonzero(grey & ~near) <= max(1, _FAR * edge))


def settle(mask: NDArray[Any], *, lossy: bool) -> tuple[NDArray[Any], str]:
    """A mask out of a picture as it was drawn, without the black and white that a compression left grey.

    An almost hard mask becomes hard where the file is lossy; in another file its grey edge stays, and what
    looks black or white becomes it. A soft mask stays as it is; out of a lossy file it loses what looks black
    or white and is not.

    Args:
        mask: (H, W) uint8, or floats in [0, 1].
        lossy: Whether the picture comes from a compression that changes pixels, as JPEG's does.

    Returns:
        The mask in its dtype, and what was done in words; "" where nothing was.
    """
    top = 255 if mask.dtype == np.uint8 else 1
    values = mask.astype(np.float32) / np.float32(top)
    if not np.isfinite(values).all():
        return mask, ""
    is_almost = is_almost_hard(values)
    if not (lossy or is_almost):
        return mask, ""
    settled = np.where(values >= 0.5, 1, 0) if lossy and is_almost else snap(values)
    changed = int(np.count_nonzero(settled != values))
    if not changed:
        return mask, ""
    result = np.rint(settled * top) if top == 255 else settled
    if lossy and is_almost:
        what = "left grey by its compression were made black and white again"
    else:
        what = "nearly black or white were taken for the black and white that they look like"
    return result.astype(mask.dtype), f"{changed} pixels {what}"


def _is_grey(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (values > NEAR) & (values < 1 - NEAR)
    return result
