"""Operations on pixel masks.

A mask is (H, W), (N, H, W) or (N, 1, H, W), or a picture (H, W, C) or (N, H, W, C) with C of 1, 3 or 4, of
which channel 0 counts; `maskgrid.geometry.mask_axes` has the rule for shapes that could be read in two
ways. Where there are N masks each is worked on by itself. Any strides, read-only or not; numpy, torch on
any device, or any object with the buffer protocol or DLPack (`__dlpack__`, or a capsule itself).

Its numbers are

- bool;
- uint8, where 255 is 1. If the largest of all is 1 the mask is refused: it is most likely one of 0 and 1,
  of which 1 would be 1/255. Multiply it by 255, or give it as bool. Masks of all 0 are fine;
- float16, bfloat16, float32 or float64 in [0, 1];
- other whole numbers, signed or wider than a byte: either 0 and 1, or 0 and 255, nothing else. They are
  read as bool, and results are those of a bool mask.

A result has the mask's shape and dtype (bool for the other whole numbers; for a picture every channel holds
the result). It is a tensor on the same device for a tensor, else a numpy array; or it is `out`, which has
the mask's shape, may have any of the dtypes but the other whole numbers and any strides, and may be pinned,
but must be host memory apart from the mask (for a tensor on a device: a tensor on that device).

A pixel is *inside* where its value, read as float32, is at least `level`, rounded to float32. Distances are
Euclidean, between pixel centres, in pixels. What lies beyond the border is unknown: it neither grows in nor
eats away.

All functions raise

- `InvalidTypeError` for what is no array or has another dtype, as mask or as `out`;
- `InvalidValueError` for another number of axes, values or a level outside [0, 1], NaN, a negative or
  infinite radius or width, and an `out` of another shape;
- `InvalidBufferError` for memory that can't be read, and an `out` that is read-only, lies on another device,
  requires grad, or overlaps the mask or itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from maskgrid import _native
from maskgrid.geometry import latent_coverage as latent
from maskgrid.geometry.arrays import as_source, is_off_host, result_for, shape_of
from maskgrid.geometry.mask_axes import read_mask_axes

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray
    from torch import Tensor

    from maskgrid.geometry.grid import Grid, Rect

__all__ = ["bounding_box", "feather", "fill_holes", "grow", "invert", "shrink", "threshold", "to_latent"]


@overload
def threshold(mask: Tensor, level: float = ..., *, out: Any = ...) -> Tensor: ...
@overload
def threshold(mask: NDArray[Any], level: float = ..., *, out: Any = ...) -> NDArray[Any]: ...
@overload
def threshold(mask: Any, level: float = ..., *, out: Any = ...) -> Any: ...
def threshold(mask: Any, level: float = 0.5, *, out: Any = None) -> Any:
    """One where the value is at least `level`, zero elsewhere.

    Args:
        mask: As this module says.
        level: What counts as inside, 0 to 1.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype, or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        return _on_device().threshold(mask, level, out=out)
    source, target, result = result_for(mask, out)
    _native.threshold(source, target, level)
    return result


@overload
def invert(mask: Tensor, *, out: Any = ...) -> Tensor: ...
@overload
def invert(mask: NDArray[Any], *, out: Any = ...) -> NDArray[Any]: ...
@overload
def invert(mask: Any, *, out: Any = ...) -> Any: ...
def invert(mask: Any, *, out: Any = None) -> Any:
    """1 - value; 255 - value for uint8; not for bool.

    Args:
        mask: As this module says.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype, or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        return _on_device().invert(mask, out=out)
    source, target, result = result_for(mask, out)
    _native.invert(source, target)
    return result


@overload
def grow(mask: Tensor, radius: float, *, level: float = ..., out: Any = ...) -> Tensor: ...
@overload
def grow(mask: NDArray[Any], radius: float, *, level: float = ..., out: Any = ...) -> NDArray[Any]: ...
@overload
def grow(mask: Any, radius: float, *, level: float = ..., out: Any = ...) -> Any: ...
def grow(mask: Any, radius: float, *, level: float = 0.5, out: Any = None) -> Any:
    """One where an inside pixel lies within `radius`.

    Pixel p becomes inside where |p - q| <= radius for some inside pixel q.

    Args:
        mask: As this module says.
        radius: In pixels, 0 or more, fractions allowed; 0 is `threshold`, 1 takes the four neighbours, 1.5
            the eight.
        level: What counts as inside, 0 to 1.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype, 0 and 1 (255 for uint8), or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        return _on_device().grow(mask, radius, level=level, out=out)
    source, target, result = result_for(mask, out)
    _native.grow(source, target, radius, level)
    return result


@overload
def shrink(mask: Tensor, radius: float, *, level: float = ..., out: Any = ...) -> Tensor: ...
@overload
def shrink(mask: NDArray[Any], radius: float, *, level: float = ..., out: Any = ...) -> NDArray[Any]: ...
@overload
def shrink(mask: Any, radius: float, *, level: float = ..., out: Any = ...) -> Any: ...
def shrink(mask: Any, radius: float, *, level: float = 0.5, out: Any = None) -> Any:
    """The complement of the grown complement.

    Pixel p stays inside unless |p - q| <= radius for some pixel q outside.

    Args:
        mask: As this module says.
        radius: In pixels, 0 or more, fractions allowed; 0 is `threshold`.
        level: What counts as inside, 0 to 1.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype, 0 and 1 (255 for uint8), or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        return _on_device().shrink(mask, radius, level=level, out=out)
    source, target, result = result_for(mask, out)
    _native.shrink(source, target, radius, level)
    return result


@overload
def feather(
    mask: Tensor, width: float, *, where: str = ..., level: float = ..., out: Any = ...
) -> Tensor: ...
@overload
def feather(
    mask: NDArray[Any], width: float, *, where: str = ..., level: float = ..., out: Any = ...
) -> NDArray[Any]: ...
@overload
def feather(mask: Any, width: float, *, where: str = ..., level: float = ..., out: Any = ...) -> Any: ...
def feather(mask: Any, width: float, *, where: str = "inside", level: float = 0.5, out: Any = None) -> Any:
    """A ramp from 0 to 1 across the edge of the mask, by exact Euclidean distance.

    The edge lies half way between the centres of neighbouring pixels. With d the distance to the nearest
    pixel of the other side, s = d - 1/2 inside and s = 1/2 - d outside; the result is, cut to [0, 1],

    - "inside": s / width, so that nothing outside changes;
    - "outside": 1 + s / width, so that everything inside is 1;
    - "centred": 1/2 + s / width.

    A mask without an edge stays all 1 or all 0.

    Args:
        mask: As this module says.
        width: Of the ramp in pixels, 0 or more; 0 is `threshold`.
        where: "inside", "outside" or "centred".
        level: What counts as inside, 0 to 1.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype (float32 for bool), or `out`.

    Raises:
        MaskGridError: As this module says; InvalidValueError also for another word for `where`.
    """
    if is_off_host(mask):
        return _on_device().feather(mask, width, where=where, level=level, out=out)
    source, target, result = result_for(mask, out, soft=True)
    _native.feather(source, target, width, where, level)
    return result


@overload
def fill_holes(mask: Tensor, *, level: float = ..., out: Any = ...) -> Tensor: ...
@overload
def fill_holes(mask: NDArray[Any], *, level: float = ..., out: Any = ...) -> NDArray[Any]: ...
@overload
def fill_holes(mask: Any, *, level: float = ..., out: Any = ...) -> Any: ...
def fill_holes(mask: Any, *, level: float = 0.5, out: Any = None) -> Any:
    """What is outside and has no way to the border, over pixels that share an edge, becomes inside.

    Args:
        mask: As this module says.
        level: What counts as inside, 0 to 1.
        out: Where to write the result; default a new array.

    Returns:
        As the mask: its shape and dtype, 0 and 1 (255 for uint8), or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        return _on_device().fill_holes(mask, level=level, out=out)
    source, target, result = result_for(mask, out)
    _native.fill_holes(source, target, level)
    return result


def bounding_box(mask: Any, *, level: float = 0.5) -> Rect | list[Rect]:
    """The smallest rectangle around all inside pixels; the empty one at (0, 0) where there are none.

    Args:
        mask: As this module says.
        level: What counts as inside, 0 to 1.

    Returns:
        A rectangle in pixels for (H, W) and (H, W, C); otherwise a list of N.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(mask):
        boxes: Rect | list[Rect] = _on_device().bounding_box(mask, level=level)
        return boxes
    # Before a capsule is used up.
    shape = shape_of(mask, "the mask")
    rects = _native.bounding_boxes(as_source(mask), level)
    return rects[0] if len(shape) == 2 or read_mask_axes(shape).masks is None else rects


def to_latent(mask: Any, grid: Grid, *, coverage: str = "center", out: Any = None) -> Any:
    """The masks of single cells at latent size.

    With one mask for all cells there is one result for each distinct place of a cell's corner inside its
    latent cell: a single one where `grid.stride` divides what lies between the cells. With one mask per cell
    there is one per cell.

    Args:
        mask: The stencil, as large as a cell: one for all cells, or one per cell.
        grid: Where the cells lie.
        coverage: What a latent cell takes from its block of stride x stride pixels: "center" the mean of the
            central 2 x 2 (bilinear without antialias, as ComfyUI), "nearest" the first (as diffusers), "area"
            the mean, "max" or "min". "center" and "nearest" lose thin lines.
        out: Where to write the result, float32; default a new array.

    Returns:
        (count, h, w) float32, 1 = sample again, as large as the largest latent rectangle of a cell and 0 at
        the end where a cell needs less; or `out`.

    Raises:
        MaskGridError: As this module says; InvalidValueError also for another size or count of masks and an
            unknown coverage.
    """
    return latent.cover_cells(mask, grid, coverage=coverage, out=out)[0]


def _on_device() -> ModuleType:
    from maskgrid.geometry.on_device import pixel_masks

    return pixel_masks
