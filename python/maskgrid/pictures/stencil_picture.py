"""A stencil as a grey picture that is read back as just this stencil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidTypeError
from maskgrid.geometry import canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.geometry import Grid

__all__ = ["stencil_picture"]


def stencil_picture(stencil: NDArray[Any], grid: Grid) -> NDArray[np.uint8] | None:
    """A stencil as a grey picture that is read back as just this stencil, if one can hold it.

    Args:
        stencil: As `fit_stencil` gives it.
        grid: Where the cells lie; a stencil per cell becomes a picture of the sheet.

    Returns:
        (h, w) or (H, W) uint8; None for values that 8 bits can't hold.
    """
    if stencil.dtype.kind not in "bfu":
        raise InvalidTypeError(f"stencil has dtype {stencil.dtype}; allowed: bool, uint8 and floats")
    values = stencil[..., 0] if stencil.ndim == 4 else stencil
    if values.dtype.kind == "f" and not ((values == 0) | (values == 1)).all():
        return None
    pixels = values if values.dtype == np.uint8 else (values * np.uint8(255)).astype(np.uint8)
    if pixels.ndim == 2 or (len(pixels) == 1 != len(grid)):
        return np.ascontiguousarray(pixels.reshape(pixels.shape[-2:]))
    joined: NDArray[np.uint8] = canvas.join(pixels, grid)
    return joined
