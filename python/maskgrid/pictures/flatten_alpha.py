"""Pictures that only a model looks at, laid over one colour, so that no alpha hides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["flatten_alpha"]


def flatten_alpha(pixels: NDArray[np.uint8], ground: int | tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture laid over a ground of one colour, so that what its alpha hides reaches no model.

    Args:
        pixels: (H, W, 3) or (H, W, 4) uint8; the fourth channel is alpha.
        ground: The ground's level, 0 (black) to 255 (white), or its red, green and blue.

    Returns:
        (H, W, 3) uint8: c * a / 255 + ground * (1 - a / 255), rounded; the colours themselves where alpha is
        255 or there is none.
    """
    colours = pixels[..., :3]
    if pixels.shape[2] == 3:
        return colours
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = (colours * alpha + np.asarray(ground, np.uint32) * (255 - alpha) + 127) // 255
    result: NDArray[np.uint8] = mixed.astype(np.uint8)
    return result
