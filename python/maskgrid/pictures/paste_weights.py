"""How much of a new cell shows at each pixel: a stencil, softened inwards up to half its thickness."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import MaskGridWarning
from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.almost_hard import count_grey, is_almost_hard, snap

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["paste_weights", "soften_edge", "unit_values"]

_CORNER = math.sqrt(2) - 1
"""How far the corner of a square lies outside the circle in it, for a radius of 1."""


def paste_weights(
    stencil: NDArray[Any], feather: float | None = None, *, default: float = 0
) -> NDArray[np.float32]:
    """How much of a new cell shows at each pixel, 0 wherever the stencil is.

    A hard stencil gets a ramp inside its edge, see `soften_edge`. So does one that is almost hard (an
    anti-aliased or compressed drawing, see `maskgrid.pictures.almost_hard`), at its level 1/2, with a warning
    that says so; with a feather of 0 its grey pixels stay, but what looks black or white counts as that. A
    soft stencil is its own ramp; where a feather is asked for, it shows no more than the ramp that lies
    inside everything that is not black.

    Args:
        stencil: (h, w), (N, h, w) or (N, h, w, C), as `fit_stencil` gives it.
        feather: Pixels over which old and new mix; None for `default` where the stencil is hard or almost
            hard, and 0 where it is soft.
        default: See there.

    Returns:
        (1 or N, h, w) float32 in [0, 1].

    Raises:
        InvalidValueError: A negative or infinite feather, or values outside [0, 1].
    """
    values = unit_values(stencil)
    width = default if feather is None else feather
    grey = count_grey(values)
    if not is_almost_hard(values):
        _warn_of_faint(values)
        if not feather:
            return values
        return np.minimum(values, soften_edge((values > 0).astype(np.float32), width))
    if grey and width:
        warnings.warn(
            f"the stencil is almost black and white: {grey} of {values.size} pixels are grey, and are taken "
            f"for the edge at 50 %, feathered over {width:g} px. To be rid of this warning make it hard with "
            "threshold=0.5 (maskgrid mask --threshold 0.5), or keep its grey edge with feather=0",
            MaskGridWarning,
            stacklevel=2,
        )
    if not width:
        # Negative ones and the like are told by the feather.
        masks.feather(values, width)
        return snap(values)
    return soften_edge((values >= 0.5).astype(np.float32), width)


def soften_edge(hard: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """A ramp from 0 to 1 inside the edge of a hard mask, as wide as asked for or as half the part is thick.

    As `maskgrid.masks.feather` does it, the weight is s / width with s the distance to the edge; but in a
    part that is thinner than 2 x width, whose pixels nowhere lie as deep as width, it is s over the depth of
    the part's own centre line, so that the centre line of every part shows in full. How deep the part around
    a pixel is, is the radius of the largest disc inside the mask that covers the pixel (the local thickness
    of Hildebrand and Ruegsegger, 1997); corners, which no disc reaches, count with the disc beside them.

    Args:
        hard: (h, w) or (N, h, w) float32 of 0 and 1.
        width: Pixels, 0 or more.

    Returns:
        float32 of the same shape; what `masks.feather` gives wherever the mask is thick enough, and more in
        thin parts; 0 outside.

    Raises:
        InvalidValueError: A negative or infinite width.
    """
    plain: NDArray[np.float32] = masks.feather(hard, width, where="inside")
    if width <= 0.5:
        return plain
    inside, depth = hard > 0, plain * np.float32(width)
    if _cover(depth >= width - 1e-3, width, inside)[inside].all():
        return plain
    deepest = np.full(hard.shape, 0.5, np.float32)
    for level in _levels(width):
        core = depth >= level - 1e-3
        if not core.any():
            break
        deepest[_cover(core, level, inside)] = level
    return np.where(inside, np.minimum(depth / deepest, 1), 0).astype(np.float32)


def _cover(core: NDArray[np.bool_], depth: float, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What discs of this depth around the core cover, and the corners beside it."""
    radius = depth + 0.5
    # Strictly within the disc, as the edge lies half a pixel beyond the last one inside.
    covered: NDArray[np.bool_] = masks.grow(core, radius - 1e-3) & inside
    # Step by step, so that nothing on the other side of a gap is reached.
    for _ in range(math.ceil(_CORNER / math.sqrt(2) * radius)):
        covered = masks.grow(covered, 1.5) & inside
    return covered


def _levels(width: float) -> list[float]:
    """Depths from half a pixel up to the width, 0.25 px or a tenth apart."""
    levels = [0.5]
    while levels[-1] < width:
        levels.append(min(levels[-1] + max(0.25, 0.1 * levels[-1]), width))
    return levels


def unit_values(stencil: NDArray[Any]) -> NDArray[np.float32]:
    """A stencil's values as (1 or N, h, w) in [0, 1]."""
    values = stencil.astype(np.float32) / np.float32(255 if stencil.dtype == np.uint8 else 1)
    values = values[..., 0] if values.ndim == 4 else values
    return values[None] if values.ndim == 2 else values


def _warn_of_faint(values: NDArray[np.float32]) -> None:
    brightest = float(values.max(initial=0))
    if 0 < brightest < 0.5:
        warnings.warn(
            f"the brightest pixel of the stencil has {brightest:.0%}, so that at most that much of a new "
            "cell shows. Where what is not black was meant to be white, make it hard with a threshold below "
            f"that (maskgrid mask --threshold {brightest / 2:.2g})",
            MaskGridWarning,
            stacklevel=3,
        )
