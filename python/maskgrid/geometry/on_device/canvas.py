"""Copies of cells and windows into and out of sheets, as torch operations on the sheet's device.

An image is (H, W), (H, W, C) with channels "last" or (C, H, W) with channels "first"; several images have one
axis more in front. Copies take any dtype; only `paste` through a mask does arithmetic.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch

from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.grid import Grid, Rect, Size
from maskgrid.geometry.on_device.argument_checks import a_grid, cell_numbers, fill_number
from maskgrid.geometry.on_device.mask_values import dtype_name, prepare_out, read_masks, to_units
from maskgrid.geometry.on_device.sheet_axes import check_channels, five_axes, resize_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["cell_view", "join", "merge", "paste", "split", "tile"]

PASTE_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


@torch.no_grad()
def tile(
    cell: Tensor,
    grid: Grid,
    *,
    background: float | Tensor = 0,
    channels: str = "last",
    out: Tensor | None = None,
) -> Tensor:
    """A canvas on the device with one cell in every place.

    Args:
        cell: One image of the cell's size.
        grid: Where the cells lie.
        background: What gaps, margins and the rest hold: a number, or a whole sheet.
        channels: "last" or "first".
        out: Where to write the sheet.

    Raises:
        InvalidTypeError: No tensor, or tensors of different dtypes.
        InvalidValueError: Shapes that do not fit.
        InvalidBufferError: An `out` on another device, or one that overlaps an input.
    """
    image = five_axes(cell, check_channels(channels), argument="cell", several=False)
    _check_size(cell, image, a_grid(grid).cell, "cell", "the cell's size")
    shape = resize_shape(cell.shape, channels, grid.canvas)
    return _lay_out(cell, image, grid, shape, background, channels, out)


@torch.no_grad()
def join(
    cells: Tensor,
    grid: Grid,
    *,
    background: float | Tensor = 0,
    channels: str = "last",
    out: Tensor | None = None,
) -> Tensor:
    """A canvas on the device of cells row by row; the inverse of `split`.

    Args:
        cells: As many images as the grid has cells, of the cell's size.
        grid: Where the cells lie.
        background: What gaps, margins and the rest hold: a number, or a whole sheet.
        channels: "last" or "first".
        out: Where to write the sheet.

    Raises:
        InvalidTypeError: No tensor, or tensors of different dtypes.
        InvalidValueError: Shapes or counts that do not fit.
        InvalidBufferError: An `out` on another device, or one that overlaps an input.
    """
    images = five_axes(cells, check_channels(channels), argument="cells", several=True)
    _check_size(cells, images, a_grid(grid).cell, "cells", "the cell's size")
    _check_count(cells, len(images), len(grid), "cells")
    shape = resize_shape(cells.shape[1:], channels, grid.canvas)
    return _lay_out(cells, images, grid, shape, background, channels, out)


def cell_view(sheet: Tensor, grid: Grid, *, channels: str = "last") -> Tensor:
    """The cells of a sheet as a view, never a copy: (rows, columns, h, w[, C]) or (rows, columns[, C], h, w).

    Raises:
        InvalidTypeError: No tensor.
        InvalidValueError: A sheet of another size.
    """
    image = five_axes(sheet, check_channels(channels), argument="sheet", several=False)
    _check_size(sheet, image, a_grid(grid).canvas, "sheet", "the canvas")
    cells = _cell_grid(image, grid)[0]
    if sheet.ndim == 2:
        return cells[:, :, 0, :, :, 0]
    return cells[..., 0] if channels == "first" else cells[:, :, 0]


def split(
    sheet: Tensor,
    grid: Grid,
    *,
    channels: str = "last",
    copy: bool | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The cells of a sheet, row by row: (N, h, w[, C]) or (N[, C], h, w).

    Args:
        sheet: One image of the canvas's size.
        grid: Where the cells lie.
        channels: "last" or "first".
        copy: None for a view where the strides allow one, True for a copy, False for a view or an error.
        out: Where to write the cells; a copy then.

    Raises:
        InvalidTypeError: No tensor.
        InvalidValueError: A sheet of another size, or no view is possible and `copy` is False.
        InvalidBufferError: An `out` on another device, or one that overlaps the sheet.
    """
    if copy is False and out is not None:
        raise InvalidValueError("copy is False and out is given; allowed: one of them")
    cells = cell_view(sheet, grid, channels=channels)
    if out is None and copy is not True:
        rows, columns = cells.stride()[:2]
        if grid.rows == 1 or grid.columns == 1 or rows == grid.columns * columns:
            return cells.flatten(0, 1)
    if copy is False:
        raise InvalidValueError(
            f"cells of {grid.rows} rows and {grid.columns} columns can't be one view (N, ...) of a sheet of "
            f"elem_strides {sheet.stride()}; allowed: copy=None and copy=True, or cell_view"
        )
    shape = (len(grid), *cells.shape[2:])
    result = prepare_out(out, shape, sheet.dtype, [sheet], allowed=(sheet.dtype,))
    result.view(cells.shape).copy_(cells)
    return result


@torch.no_grad()
def merge(
    forks: Tensor,
    grid: Grid,
    *,
    cells: Sequence[int] | None = None,
    original: Tensor | None = None,
    channels: str = "last",
    out: Tensor | None = None,
) -> Tensor:
    """One sheet in which cell `cells[i]` comes from fork i and everything else from the original.

    Args:
        forks: n sheets.
        grid: Where the cells lie.
        cells: n numbers of cells, default 0 to n - 1.
        original: The sheet that the rest comes from; default fork 0.
        channels: "last" or "first".
        out: Where to write the sheet.

    Raises:
        InvalidTypeError: No tensor, or tensors of different dtypes.
        InvalidValueError: Shapes or counts that do not fit, or a cell that does not exist.
        InvalidBufferError: An `out` on another device, or one that overlaps an input.
    """
    images = five_axes(forks, check_channels(channels), argument="forks", several=True)
    _check_size(forks, images, a_grid(grid).canvas, "forks", "the canvas")
    chosen = cell_numbers(range(len(images)) if cells is None else cells, len(grid), most=len(grid))
    _check_count(forks, len(images), len(chosen), "forks")
    if len(set(chosen)) < len(chosen):
        raise InvalidValueError(f"cells is {chosen}; allowed: each cell at most once")
    if original is None and len(images) == 0:
        raise InvalidValueError(
            f"forks has shape {tuple(forks.shape)}; allowed: at least one fork, or original="
        )
    base = forks[0] if original is None else original
    _check_alike(base, forks, "original", "forks")
    _check_shape(base, forks.shape[1:], "original")
    result = prepare_out(out, forks.shape[1:], forks.dtype, [forks, base], allowed=(forks.dtype,))
    result.copy_(base)
    target = five_axes(result, channels, argument="out", several=False)
    for fork, cell in enumerate(chosen):
        rows, columns = grid.cell_rect(cell).slices
        target[0, :, rows, columns] = images[fork, :, rows, columns]
    return result


@torch.no_grad()
def paste(
    original: Tensor,
    patches: Tensor,
    where: Grid | Sequence[Rect],
    mask: Tensor | None = None,
    *,
    together: bool = False,
    channels: str = "last",
    out: Tensor | None = None,
) -> Tensor:
    """Patches over an original through a soft mask; outside and where the mask is 0, the original.

    Between 0 and 1 it is original + (patch - original) * mask in float32 (float64 for float64), rounded to
    the nearest number of the dtype, halves to even.

    Args:
        original: One sheet: uint8, float16, bfloat16, float32 or float64.
        patches: n images of one size.
        where: The place of each patch in pixels; a grid for the places of its cells.
        mask: (h, w) for all patches or (n, h, w); default all 1.
        together: All patches in one sheet, one after the other; otherwise a sheet for each.
        channels: "last" or "first".
        out: Where to write the result.

    Returns:
        n sheets, or one where `together`.

    Raises:
        InvalidTypeError: No tensor, tensors of different dtypes, or a dtype that can't be mixed.
        InvalidValueError: Shapes, counts or places that do not fit, or mask values outside [0, 1].
        InvalidBufferError: An `out` on another device, or one that overlaps an input.
    """
    sheet = five_axes(original, check_channels(channels), argument="original", several=False)
    images = five_axes(patches, channels, argument="patches", several=True)
    if original.dtype not in PASTE_DTYPES:
        allowed = ", ".join(dtype_name(dtype) for dtype in PASTE_DTYPES)
        raise InvalidTypeError(f"original has dtype {dtype_name(original.dtype)}; allowed: {allowed}")
    _check_alike(patches, original, "patches", "original")
    patch = Size(images.shape[2], images.shape[3])
    _check_shape(patches, (len(images), *resize_shape(original.shape, channels, patch)), "patches")
    places = _places(where, sheet, images)
    through = _mask_of_patches(mask, images)
    shape = original.shape if together else (len(images), *original.shape)
    inputs = [original, patches] if mask is None else [original, patches, mask]
    result = prepare_out(out, shape, original.dtype, inputs, allowed=(original.dtype,))
    result.copy_(original)
    target = five_axes(result, channels, argument="out", several=not together)
    for index, (rows, columns) in enumerate(places):
        place = target[0 if together else index, :, rows, columns]
        new = images[index]
        place.copy_(new if through is None else _mix(place, new, through[index % len(through)]))
    return result


def _mix(original: Tensor, patch: Tensor, mask: Tensor) -> Tensor:
    """`original + (patch - original) * mask`, exact where the mask is 0 or 1; (planes, h, w, samples)."""
    wide = torch.float64 if original.dtype == torch.float64 else torch.float32
    weight = mask[None, :, :, None]
    start = original.to(wide)
    mixed = start + (patch.to(wide) - start) * weight.to(wide)
    if original.dtype == torch.uint8:
        mixed = mixed.round()
    return torch.where(weight == 0, original, torch.where(weight == 1, patch, mixed.to(original.dtype)))


def _lay_out(
    given: Tensor,
    images: Tensor,
    grid: Grid,
    shape: list[int],
    background: float | Tensor,
    channels: str,
    out: Tensor | None,
) -> Tensor:
    """A sheet of this shape: one image in all cells, or one in each, over a background."""
    inputs = [given]
    if isinstance(background, torch.Tensor):
        _check_alike(background, given, "background", "the cells")
        _check_shape(background, shape, "background")
        inputs.append(background)
    result = prepare_out(out, shape, given.dtype, inputs, allowed=(given.dtype,))
    if isinstance(background, torch.Tensor):
        result.copy_(background)
    else:
        result.fill_(fill_number(background, "background", result.dtype))
    target = _cell_grid(five_axes(result, channels, argument="out", several=False), grid)[0]
    counts = (grid.rows, grid.columns) if given.ndim > len(shape) else (1, 1)
    target.copy_(images.reshape(*counts, *images.shape[1:]))
    return result


def _cell_grid(images: Tensor, grid: Grid) -> Tensor:
    """The cells of (n, P, H, W, S) as a view (n, rows, columns, P, h, w, S)."""
    first, last = grid.cell_rect(0), grid.cell_rect(len(grid) - 1)
    cells = images[:, :, first.top : last.bottom, first.left : last.right]
    # Each unfolding puts the pixels of a cell at the end: (n, P, rows, columns, S, h, w).
    cells = cells.unfold(2, grid.cell.height, grid.cell.height + grid.gap.height)
    cells = cells.unfold(3, grid.cell.width, grid.cell.width + grid.gap.width)
    return cells.permute(0, 2, 3, 1, 5, 6, 4)


def _places(where: Grid | Sequence[Rect], sheet: Tensor, patches: Tensor) -> list[tuple[slice, slice]]:
    """Rows and columns of each patch, once there is a place for each, as large as it and on the sheet."""
    height, width = sheet.shape[2:4]
    if isinstance(where, Grid) and (height, width) != tuple(where.canvas):
        raise InvalidValueError(
            f"original is {height} x {width} px; allowed: the canvas, "
            f"{where.canvas.height} x {where.canvas.width} px"
        )
    rects = where.cell_rects if isinstance(where, Grid) else list(islice(where, len(patches) + 1))
    for rect in rects:
        if not isinstance(rect, Rect):
            raise InvalidTypeError(f"a place is a {type(rect).__name__}; allowed: a Rect")
    if len(rects) != len(patches):
        count = f"{len(rects)} or more" if len(rects) > len(patches) else str(len(rects))
        raise InvalidValueError(f"there are {len(patches)} patches and {count} places; allowed: as many")
    for index, rect in enumerate(rects):
        if tuple(rect.size) != tuple(patches.shape[2:4]) or rect.bottom > height or rect.right > width:
            raise InvalidValueError(
                f"place {index} is {rect!r}; allowed: {patches.shape[2]} x {patches.shape[3]} px, "
                f"as a patch, inside of {height} x {width} px"
            )
    return [rect.slices for rect in rects]


def _mask_of_patches(mask: Tensor | None, patches: Tensor) -> Tensor | None:
    """(1 or n, h, w) float32 in [0, 1], or None."""
    if mask is None:
        return None
    masks = read_masks(mask, size=patches.shape[2:4])
    count, height, width = masks.shape
    if (height, width) != tuple(patches.shape[2:4]) or count not in (1, len(patches)):
        raise InvalidValueError(
            f"mask has shape {tuple(mask.shape)}; allowed: 1 or {len(patches)} masks of a patch's size "
            f"{patches.shape[2]} x {patches.shape[3]}"
        )
    return to_units(masks)


def _check_size(given: Tensor, images: Tensor, size: Size, argument: str, what: str) -> None:
    if tuple(images.shape[2:4]) != tuple(size):
        raise InvalidValueError(
            f"{argument} has shape {tuple(given.shape)}; "
            f"allowed: height and width of {what}, {size.height} x {size.width}"
        )


def _check_count(given: Tensor, count: int, expected: int, argument: str) -> None:
    if count != expected:
        raise InvalidValueError(f"{argument} has shape {tuple(given.shape)}; allowed: {expected} images")


def _check_shape(given: Tensor, shape: Sequence[int], argument: str) -> None:
    if tuple(given.shape) != tuple(shape):
        raise InvalidValueError(f"{argument} has shape {tuple(given.shape)}; allowed: {tuple(shape)}")


def _check_alike(given: Tensor, other: Tensor, argument: str, other_argument: str) -> None:
    """Refuse tensors of two dtypes or devices."""
    if given.dtype != other.dtype:
        raise InvalidTypeError(
            f"{argument} has dtype {dtype_name(given.dtype)}; "
            f"allowed: {dtype_name(other.dtype)}, as {other_argument}"
        )
    if given.device != other.device:
        raise InvalidBufferError(
            f"{argument} lies on {given.device}; allowed: {other.device}, as {other_argument}"
        )
