"""`Grid.detect`: the rows, columns, gap and margin of a sheet, found in its pixels, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from maskgrid import _native
from maskgrid._native import Grid
from maskgrid.errors import GridError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.arrays import is_tensor

__all__ = ["SURE", "DetectedGrid", "detect_grid"]

SURE = 0.65
"""The confidence from which on a grid was right on every sheet that was drawn to try it."""


@dataclass(frozen=True)
class DetectedGrid:
    """A grid that was found in a sheet.

    Attributes:
        grid: The likeliest.
        confidence: How much speaks for it, 0 to 1.
        runners_up: Up to four others, each with its confidence, the likeliest first.
    """

    grid: Grid
    confidence: float
    runners_up: tuple[tuple[Grid, float], ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether the confidence reaches `SURE`; below it, look at the grid before it is used."""
        return self.confidence >= SURE


def detect_grid(image: Any, stride: int = 8) -> DetectedGrid:
    """What `Grid.detect` calls, see there.

    Args:
        image: The sheet.
        stride: Pixels per latent cell of the grids.

    Raises:
        GridError: No more than a single cell can be seen.
        InvalidTypeError: No image, or another dtype.
        InvalidValueError: A shape that is no image, or floats outside [0, 1].
    """
    found = _native.detect(_pixels(image))
    several = [(_with_stride(grid, stride), confidence) for grid, confidence in found if len(grid) > 1]
    if len(found[0][0]) == 1 or not several:
        height, width = found[0][0].canvas
        raise GridError(
            f"image of {height} x {width} px shows no more than a single cell; allowed: a sheet whose cells "
            "edges, empty lines or repeats tell apart; else give rows and columns"
        )
    (grid, confidence), *others = several
    return DetectedGrid(grid, confidence, tuple(others))


def _with_stride(grid: Grid, stride: int) -> Grid:
    return Grid(
        grid.rows,
        grid.columns,
        cell=grid.cell,
        canvas=grid.canvas,
        gap=grid.gap,
        margin=grid.margin,
        stride=stride,
    )


def _pixels(image: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An image as (H, W) or (H, W, C) uint8, as it lies where it is that already."""
    if is_tensor(image):
        tensor = image.detach().cpu()
        image = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    elif hasattr(image, "convert") and hasattr(image, "__array_interface__"):
        # A PIL image; its numbers mean colours in few modes.
        image = np.asarray(image.convert("RGBA"))
    elif not (hasattr(image, "__array__") or hasattr(image, "__array_interface__")):
        raise InvalidTypeError(
            f"image is a {type(image).__name__}; allowed: an array, a tensor or a PIL image; read a file "
            "first, with PIL.Image.open(path)"
        )
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] > 4 and array.shape[0] in (1, 3, 4):
        array = np.ascontiguousarray(np.moveaxis(array, 0, 2))
    return _eight_bits(array)


def _eight_bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "bf":
        raise InvalidTypeError(f"image has dtype {array.dtype}; allowed: uint8, bool, or floats in [0, 1]")
    if not (np.isfinite(array).all() and array.min(initial=0) >= 0 and array.max(initial=0) <= 1):
        raise InvalidValueError(f"image has floats from {array.min()} to {array.max()}; allowed: 0 to 1")
    eight: np.ndarray[Any, np.dtype[np.uint8]] = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    return eight
