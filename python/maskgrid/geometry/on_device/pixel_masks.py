"""Mask operations as torch operations: the definitions, vectorised.

Masks and results are shaped and typed as `maskgrid.masks` says, on any device. A pixel is *inside* where
its value, read as float32, is at least `level`, rounded to float32.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from maskgrid.geometry.grid import Rect
from maskgrid.geometry.mask_axes import read_mask_axes
from maskgrid.geometry.on_device.argument_checks import choice, pixels
from maskgrid.geometry.on_device.mask_values import (
    at_least,
    from_bools,
    from_units,
    prepare_out,
    read_masks,
    result_dtype,
    to_units,
    write_result,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["bounding_box", "feather", "fill_holes", "grow", "invert", "shrink", "threshold"]

# Rows and distances that nothing reaches; far below the end of int32 so that adding a side stays inside.
_NOWHERE = 1 << 30


@torch.no_grad()
def threshold(mask: Tensor, level: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """A pixel mask on the device, one where the value is at least `level`, zero elsewhere.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1], or an `out` of another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    return _store_bools(at_least(read_masks(mask), level), mask, out)


@torch.no_grad()
def invert(mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Invert a mask: 1 - value; 255 - value for uint8.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values outside [0, 1], or an `out` of another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    masks = read_masks(mask)
    result = prepare_out(out, mask.shape, result_dtype(mask), [mask])
    # Flipping all bits of a byte is 255 - value.
    inverse = 1 - masks if masks.dtype.is_floating_point else ~masks
    if result.dtype != masks.dtype:
        inverse = from_units(to_units(inverse), result.dtype)
    return write_result(result, mask, inverse)


@torch.no_grad()
def grow(mask: Tensor, radius: float, *, level: float = 0.5, out: Tensor | None = None) -> Tensor:
    """One where an inside pixel lies within `radius` pixels, centre to centre; radius 0 is the threshold.

    Args:
        mask: The mask.
        radius: Euclidean radius in pixels, 0 or more; fractions are allowed.
        level: What counts as inside.
        out: Where to write the result.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1], a negative or infinite radius, an `out` of
            another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    return _store_bools(_grow_bools(at_least(read_masks(mask), level), pixels(radius, "radius")), mask, out)


@torch.no_grad()
def shrink(mask: Tensor, radius: float, *, level: float = 0.5, out: Tensor | None = None) -> Tensor:
    """The complement of the grown complement; nothing is known beyond the border and nothing eats away.

    Args:
        mask: The mask.
        radius: Euclidean radius in pixels, 0 or more; fractions are allowed.
        level: What counts as inside.
        out: Where to write the result.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1], a negative or infinite radius, an `out` of
            another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    return _store_bools(~_grow_bools(~at_least(read_masks(mask), level), pixels(radius, "radius")), mask, out)


@torch.no_grad()
def feather(
    mask: Tensor, width: float, *, where: str = "inside", level: float = 0.5, out: Tensor | None = None
) -> Tensor:
    """A ramp from 0 to 1 over `width` pixels across the edge, by exact Euclidean distance.

    The edge lies half way between the centres of neighbouring pixels: with d the distance to the nearest
    pixel centre of the other side, s = d - 1/2 inside and s = 1/2 - d outside. A mask without an edge stays
    all one or all zero.

    Args:
        mask: The mask.
        width: Width of the ramp in pixels, 0 or more; 0 is the threshold.
        where: "inside": s / width, "outside": 1 + s / width, "centred": 1/2 + s / width, each cut to [0, 1].
        level: What counts as inside.
        out: Where to write the result; without it bool masks give float32.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1], a negative or infinite width, another word for
            `where`, an `out` of another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    shifts = {"inside": 0.0, "outside": 1.0, "centred": 0.5}
    shift = shifts[choice(where, "where", list(shifts))]
    width = pixels(width, "width")
    inside = at_least(read_masks(mask), level)
    if width == 0.0:
        return _store_units(inside.to(torch.float32), mask, out)
    # Wider ramps are flat on any mask, and their width would not fit into float32.
    width = min(width, 1e30)
    # Farther from the edge than this the ramp has ended, wherever it lies.
    reach = width + 0.5
    depth = _distance(~inside, reach) - 0.5
    height = 0.5 - _distance(inside, reach)
    signed = torch.where(inside, depth, height)
    return _store_units((signed / width + shift).clamp(0.0, 1.0), mask, out)


@torch.no_grad()
def fill_holes(mask: Tensor, *, level: float = 0.5, out: Tensor | None = None) -> Tensor:
    """What is not inside and has no way to the border, over pixels that share an edge, becomes inside.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1], or an `out` of another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    walls = at_least(read_masks(mask), level)
    reached = torch.zeros_like(walls)
    reached[:, :1], reached[:, -1:] = True, True
    reached[:, :, :1], reached[:, :, -1:] = True, True
    reached &= ~walls
    while True:
        before = reached
        for axis in (1, 2):
            reached = _run_along(reached, walls, axis)
        if torch.equal(before, reached):
            return _store_bools(~reached, mask, out)


def bounding_box(mask: Tensor, *, level: float = 0.5) -> Rect | list[Rect]:
    """The smallest rectangle around a device mask's inside pixels; the empty one at (0, 0) without any.

    Returns:
        One rectangle for a mask (H, W), otherwise a list with one for each mask.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values or a level outside [0, 1].
    """
    inside = at_least(read_masks(mask), level)
    tops, bottoms = _ends(inside.any(dim=2))
    lefts, rights = _ends(inside.any(dim=1))
    edges = torch.stack((tops, lefts, bottoms, rights), dim=1).tolist()
    rects = [Rect(*(int(edge) for edge in box)) for box in edges]
    return rects[0] if read_mask_axes(mask.shape).masks is None else rects


def _store_bools(inside: Tensor, mask: Tensor, out: Tensor | None) -> Tensor:
    result = prepare_out(out, mask.shape, result_dtype(mask), [mask])
    return write_result(result, mask, from_bools(inside, result.dtype))


def _store_units(units: Tensor, mask: Tensor, out: Tensor | None) -> Tensor:
    result = prepare_out(out, mask.shape, result_dtype(mask, soft=True), [mask])
    return write_result(result, mask, from_units(units, result.dtype))


def _grow_bools(inside: Tensor, radius: float) -> Tensor:
    """Whether a True pixel lies within the radius: down the columns first, then one step for each offset."""
    _, height, width = inside.shape
    radius = min(radius, height + width)
    squared = math.floor(radius * radius)
    vertical = _vertical_distance(inside)
    grown = torch.zeros_like(inside)
    for offset in range(min(math.isqrt(squared), width - 1) + 1):
        near = vertical <= math.isqrt(squared - offset * offset)
        grown[:, :, offset:] |= near[:, :, : width - offset]
        grown[:, :, : width - offset] |= near[:, :, offset:]
    return grown


def _distance(targets: Tensor, reach: float) -> Tensor:
    """Euclidean distance to the nearest True pixel as float32; infinite where it is larger than `reach`."""
    _, height, width = targets.shape
    far = min(math.floor(reach) + 1, height + width)
    # Squares are exact in whole numbers; int32 holds them unless the reach is beyond 30,000 pixels.
    whole = torch.int32 if 2 * far * far < 2**31 else torch.int64
    vertical = _vertical_distance(targets).clamp(max=far).to(whole).square()
    nearest = torch.full_like(vertical, far * far)
    for offset in range(min(far, width)):
        candidate = vertical + offset * offset
        right, left = nearest[:, :, offset:], nearest[:, :, : width - offset]
        torch.minimum(right, candidate[:, :, : width - offset], out=right)
        torch.minimum(left, candidate[:, :, offset:], out=left)
    return torch.where(nearest < far * far, nearest.to(torch.float32).sqrt(), math.inf)


def _vertical_distance(targets: Tensor) -> Tensor:
    """Pixels to the nearest True pixel of the same column, as int32; very large where the column has none."""
    rows = torch.arange(targets.shape[1], dtype=torch.int32, device=targets.device)[:, None]
    if targets.numel() == 0:
        return torch.zeros_like(targets, dtype=torch.int32)
    above = torch.where(targets, rows, -_NOWHERE).cummax(dim=1).values
    below = torch.where(targets, rows, _NOWHERE).flip(1).cummin(dim=1).values.flip(1)
    return torch.minimum(rows - above, below - rows)


def _run_along(reached: Tensor, walls: Tensor, axis: int) -> Tensor:
    """Everything that is reached by walking along an axis, both ways, up to the next wall."""
    if reached.numel() == 0:
        return reached
    places = torch.arange(1, reached.shape[axis] + 1, dtype=torch.int32, device=reached.device)
    places = places[:, None] if axis == 1 else places
    for _ in range(2):
        # The last event before a pixel decides: even is a wall, odd a reached pixel, 0 the border.
        events = torch.where(walls, 2 * places, torch.where(reached, 2 * places + 1, 0))
        reached = reached | ((events.cummax(dim=axis).values % 2 == 1) & ~walls)
        reached, walls = reached.flip(axis), walls.flip(axis)
    return reached


def _ends(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last True along axis 1 of (N, L) bool; 0 and 0 where there is none."""
    count, length = occupied.shape
    if length == 0:
        empty = torch.zeros(count, dtype=torch.int64, device=occupied.device)
        return empty, empty
    places = torch.arange(length, dtype=torch.int64, device=occupied.device)
    found = occupied.any(dim=1)
    first = torch.where(occupied, places, length).amin(dim=1)
    last = torch.where(occupied, places, -1).amax(dim=1)
    return torch.where(found, first, 0), torch.where(found, last + 1, 0)
