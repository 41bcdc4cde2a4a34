"""Cells, sheets and windows copied into each other.

An image is (H, W), (H, W, C) with channels "last", or (C, H, W) with channels "first"; several images have
one axis more in front. Arrays are numpy, torch on any device, or any object with the buffer protocol or
DLPack (`__dlpack__`, or a capsule itself); any strides, read-only or not. Copies take bool, integers of 1 to
8 bytes, float16, bfloat16, float32 and float64, and keep every bit; `paste` takes uint8 and floats.

A result is dense and has the dtype of the input. It is a tensor on the same device for a tensor, else a numpy
array; or it is `out`, which may have any strides, and may be pinned, but must be host memory apart from all
inputs (for a tensor on a device: a tensor on that device).

All functions raise

- `InvalidTypeError` for what is no array or no `Grid`, and for arrays of different or of other dtypes;
- `InvalidValueError` for another number of axes, shapes that do not fit the grid or each other, another word
  for `channels`, and an `out` of another shape;
- `InvalidBufferError` for memory that can't be read, and an `out` that is read-only, lies on another device,
  requires grad, or overlaps an input or itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid import _native
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.arrays import as_source, as_target, is_off_host, is_tensor, shape_of
from maskgrid.geometry.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from maskgrid.geometry.grid import Rect, Size

__all__ = ["cell_view", "join", "merge", "paste", "split", "tile"]


def tile(cell: Any, grid: Grid, *, background: Any = 0, channels: str = "last", out: Any = None) -> Any:
    """A canvas, in numpy or torch, with one cell in every place.

    Args:
        cell: One image of the size of a cell.
        grid: Where the cells lie.
        background: What gaps, margins and the rest of the canvas hold: one number, which the dtype must
            have, or a sheet of the result's shape and dtype.
        channels: "last" or "first".
        out: Where to write the sheet; default a new array.

    Returns:
        One image of the canvas's size, or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(cell):
        return _on_device().tile(cell, grid, background=background, channels=channels, out=out)
    if out is None:
        out = _empty(cell, _resize_shape(shape_of(cell, "cell"), "cell", channels, _check(grid).canvas))
    _native.tile(as_source(cell), grid, as_source(background), channels, as_target(out))
    return out


def join(cells: Any, grid: Grid, *, background: Any = 0, channels: str = "last", out: Any = None) -> Any:
    """A canvas, in numpy or torch, of cells row by row; the inverse of `split`.

    Args:
        cells: As many images as the grid has cells, of the size of a cell.
        grid: Where the cells lie.
        background: What gaps, margins and the rest of the canvas hold: one number, which the dtype must
            have, or a sheet of the result's shape and dtype.
        channels: "last" or "first".
        out: Where to write the sheet; default a new array.

    Returns:
        One image of the canvas's size, or `out`.

    Raises:
        MaskGridError: As this module says.
    """
    if is_off_host(cells):
        return _on_device().join(cells, grid, background=background, channels=channels, out=out)
    if out is None:
        shape = shape_of(cells, "cells")
        out = _empty(cells, _resize_shape(shape, "cells", channels, _check(grid).canvas, several=True)[1:])
    _native.join(as_source(cells), grid, as_source(background), channels, as_target(out))
    return out


def cell_view(sheet: Any, grid: Grid, *, channels: str = "last") -> Any:
    """The cells of a sheet as a view of its memory; never a copy.

    What is written into the view is written into the sheet. Where the sheet is read-only the view is.

    Args:
        sheet: One image of the canvas's size; anything but a tensor is seen as a numpy array.
        grid: Where the cells lie.
        channels: "last" or "first".

    Returns:
        (rows, columns, h, w), (rows, columns, h, w, C) or (rows, columns, C, h, w).

    Raises:
        MaskGridError: As this module says; InvalidBufferError also where numpy can't see the memory.
    """
    canvas = _check(grid).canvas
    if is_tensor(sheet):
        return _on_device().cell_view(sheet, grid, channels=channels)
    sheet = _as_numpy(sheet)
    if sheet.shape != _resize_shape(sheet.shape, "sheet", channels, canvas):
        raise InvalidValueError(
            f"sheet has shape {sheet.shape}; allowed: height and width of the canvas, "
            f"{canvas.height} x {canvas.width}"
        )
    axis = _height_axis(sheet.ndim, channels)
    shape = (grid.rows, grid.columns, *_resize_shape(sheet.shape, "sheet", channels, grid.cell))
    strides = (*_steps(sheet.strides, axis, grid), *sheet.strides)
    margin = grid.margin
    if sheet.flags.c_contiguous and sheet.size:
        # Ten times faster than as_strided, but it takes no other memory.
        offset = margin.height * sheet.strides[axis] + margin.width * sheet.strides[axis + 1]
        return np.ndarray(shape, sheet.dtype, sheet, offset, strides)
    start = (slice(None),) * axis + (slice(margin.height, None), slice(margin.width, None))
    return np.lib.stride_tricks.as_strided(sheet[start], shape, strides)


def split(
    sheet: Any, grid: Grid, *, channels: str = "last", copy: bool | None = None, out: Any = None
) -> Any:
    """The cells of a canvas, in numpy or torch, row by row.

    A view in which cells are numbered exists where the grid has one row or one column, and hardly elsewhere;
    `cell_view`, in which they have a row and a column, always exists.

    Args:
        sheet: One image of the canvas's size.
        grid: Where the cells lie.
        channels: "last" or "first".
        copy: None for a view where the strides allow one, and a copy elsewhere; True for a copy; False for a
            view or an error.
        out: Where to write the cells, which are then copied; default a view or a new array.

    Returns:
        (N, h, w), (N, h, w, C) or (N, C, h, w) with N = rows * columns, or `out`.

    Raises:
        MaskGridError: As this module says; InvalidValueError also where `copy` is False and there is no view,
            or `out` is given.
    """
    if copy is False and out is not None:
        raise InvalidValueError("copy is False and out is given; allowed: one of them")
    if out is None and copy is not True:
        view = _number_cells(sheet, grid, channels)
        if view is not None:
            return view
        if copy is False:
            raise InvalidValueError(
                f"cells of {grid.rows} rows and {grid.columns} columns can't be one view (N, ...) of this "
                "sheet; allowed: copy=None and copy=True, or cell_view"
            )
    if is_off_host(sheet):
        return _on_device().split(sheet, grid, channels=channels, copy=copy, out=out)
    if out is None:
        cell = _resize_shape(shape_of(sheet, "sheet"), "sheet", channels, _check(grid).cell)
        out = _empty(sheet, (len(grid), *cell))
    _native.split(as_source(sheet), grid, channels, as_target(out))
    return out


def merge(
    forks: Any,
    grid: Grid,
    *,
    cells: Sequence[int] | None = None,
    original: Any = None,
    channels: str = "last",
    out: Any = None,
) -> Any:
    """One sheet in which each fork's cell is new.

    Args:
        forks: n sheets, n >= 1 where there is no original.
        grid: Where the cells lie.
        cells: n different numbers of cells: cell `cells[i]` is taken from fork i. Default 0 to n - 1.
        original: The sheet that everything else is taken from. Default fork 0.
        channels: "last" or "first".
        out: Where to write the sheet; default a new array.

    Returns:
        One image of the canvas's size, or `out`.

    Raises:
        MaskGridError: As this module says; InvalidValueError also for a cell that does not exist or is named
            twice.
    """
    if is_off_host(forks):
        return _on_device().merge(forks, grid, cells=cells, original=original, channels=channels, out=out)
    if out is None:
        shape = shape_of(forks, "forks")
        out = _empty(forks, _resize_shape(shape, "forks", channels, _check(grid).canvas, several=True)[1:])
    _native.merge(as_source(forks), grid, cells, as_source(original), channels, as_target(out))
    return out


def paste(
    original: Any,
    patches: Any,
    where: Grid | Sequence[Rect],
    mask: Any = None,
    *,
    together: bool = False,
    channels: str = "last",
    out: Any = None,
) -> Any:
    """Patches over an original, through a soft mask.

    Outside the places, and where the mask is 0, every bit is the original's; where it is 1, the patch's.
    Between, the result is original + (patch - original) * mask, in float32 (float64 for float64), rounded to
    the nearest number of the dtype, halves to even.

    Args:
        original: One sheet; uint8, float16, bfloat16, float32 or float64.
        patches: n images of one size, of the original's dtype.
        where: The places of the patches in pixels, as large as they; a `Grid` for the places of its cells.
        mask: (h, w) for all patches, or (n, h, w), as `maskgrid.masks` takes it: 0 keeps the original, 1
            takes the patch. Default 1 everywhere.
        together: Whether all patches go into one sheet, one after the other, or each into a sheet of its own.
        channels: "last" or "first".
        out: Where to write the result; default a new array.

    Returns:
        n sheets, or one where `together`; or `out`.

    Raises:
        MaskGridError: As this module says; InvalidValueError also for mask values outside [0, 1].
    """
    if is_off_host(original):
        options = {"together": together, "channels": channels, "out": out}
        return _on_device().paste(original, patches, where, mask, **options)
    if out is None:
        shape = shape_of(original, "original")
        out = _empty(original, shape if together else (*shape_of(patches, "patches")[:1], *shape))
    sources = as_source(original), as_source(patches)
    _native.paste(*sources, where, as_source(mask), together, channels, as_target(out))
    return out


def _on_device() -> ModuleType:
    from maskgrid.geometry.on_device import canvas

    return canvas


def _check(grid: Grid) -> Grid:
    if type(grid) is not Grid:
        raise InvalidTypeError(f"grid is a {type(grid).__name__}; allowed: a Grid")
    return grid


def _resize_shape(
    shape: tuple[int, ...], name: str, channels: str, size: Size, *, several: bool = False
) -> tuple[int, ...]:
    """The shape of the same images in another size."""
    front, image = (shape[:1], shape[1:]) if several else ((), shape)
    if len(image) == 2:
        return (*front, size.height, size.width)
    if len(image) == 3 and channels == "first":
        return (*front, image[0], size.height, size.width)
    if len(image) == 3:
        return (*front, size.height, size.width, image[2])
    axes = ("N, " if several else "") + "{}"
    colours = axes.format("C, H, W" if channels == "first" else "H, W, C")
    raise InvalidValueError(f"{name} has shape {shape}; allowed: ({axes.format('H, W')}) or ({colours})")


def _empty(like: Any, shape: tuple[int, ...]) -> Any:
    """An uninitialised array in host memory, of the kind and dtype of `like`."""
    if type(like) is np.ndarray:
        return np.empty(shape, like.dtype if like.dtype.isnative else like.dtype.newbyteorder("="))
    if is_tensor(like):
        return sys.modules["torch"].empty(shape, dtype=like.dtype)
    return np.empty(shape, _native.describe(like, "the array")[1])


def _as_numpy(sheet: Any) -> np.ndarray[Any, Any]:
    """The memory of a sheet as a numpy array."""
    if isinstance(sheet, np.ndarray):
        return sheet
    # Refuses what is no array, and what no other operation takes.
    shape_of(sheet, "sheet")
    try:
        return np.from_dlpack(sheet) if hasattr(sheet, "__dlpack__") else np.asarray(memoryview(sheet))
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        raise InvalidBufferError(f"sheet can't be seen as a numpy array: {error}") from error


def _height_axis(axes: int, channels: str) -> int:
    return 1 if axes == 3 and channels == "first" else 0


def _steps(strides: Sequence[int], axis: int, grid: Grid) -> tuple[int, int]:
    """From a cell to the one below and to the one at its right, in units of `strides`."""
    height, width = grid.cell
    return (height + grid.gap.height) * strides[axis], (width + grid.gap.width) * strides[axis + 1]


def _number_cells(sheet: Any, grid: Grid, channels: str) -> Any:
    """The cells as a view with one axis for rows and columns; None where strides or numpy do not allow it."""
    columns = _check(grid).columns
    if grid.rows > 1 and columns > 1 and type(sheet) is np.ndarray and sheet.ndim in (2, 3):
        row, column = _steps(sheet.strides, _height_axis(sheet.ndim, channels), grid)
        if row != columns * column:
            return None
    try:
        cells = cell_view(sheet, grid, channels=channels)
    except InvalidBufferError:
        return None
    row, column = (cells.stride() if is_tensor(cells) else cells.strides)[:2]
    if grid.rows == 1:
        return cells[0]
    if columns == 1:
        return cells[:, 0]
    return cells.reshape(len(grid), *cells.shape[2:]) if row == columns * column else None
