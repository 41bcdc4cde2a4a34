"""Canvas operations on a device against numpy's indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import Grid, Rect
from maskgrid.errors import InvalidValueError
from maskgrid.geometry.mask_axes import stack_masks
from maskgrid.geometry.on_device import canvas as on_device
from maskgrid.geometry.on_device.mask_values import to_units
from strategies import PASTE_DTYPES, array_of, grids, images, masks, same_bits, soft_masks, tensor_of

AXES = st.sampled_from(["plain", "first", "last"])


def shape_of(size: Any, axes: str, *, images: int | None = None) -> tuple[int, ...]:
    """The shape of one image, or of several, with 3 channels unless plain."""
    inner = {"plain": tuple(size), "first": (3, *size), "last": (*size, 3)}[axes]
    return inner if images is None else (images, *inner)


def at(rect: Rect, axes: str) -> tuple[Any, ...]:
    """The index of a rectangle in an image."""
    return (..., *rect.slices, slice(None)) if axes == "last" else (..., *rect.slices)


def word(axes: str) -> str:
    """What `channels` is for these axes."""
    return "first" if axes == "first" else "last"


def laid(cells: list[np.ndarray], grid: Grid, axes: str, base: np.ndarray) -> np.ndarray:
    """The cells written one by one into a copy of the base."""
    sheet = base.copy()
    for index, cell in enumerate(cells):
        sheet[at(grid.cell_rect(index), axes)] = cell
    return sheet


@given(st.data(), grids(), AXES)
def test_tile_and_join_are_written_cell_by_cell(data: st.DataObject, grid: Grid, axes: str) -> None:
    cells = data.draw(images(shape_of(grid.cell, axes, images=len(grid))))
    tensor, array = tensor_of(cells), array_of(cells)
    zero = np.zeros(shape_of(grid.canvas, axes), array.dtype)
    joined = on_device.join(tensor, grid, channels=word(axes))
    np.testing.assert_array_equal(array_of(joined), laid(list(array), grid, axes, zero))
    tiled = on_device.tile(tensor[0], grid, background=1, channels=word(axes))
    np.testing.assert_array_equal(array_of(tiled), laid([array[0]] * len(grid), grid, axes, zero + 1))


@given(st.data(), grids(), AXES)
def test_split_and_view_are_cut_out_cell_by_cell(data: st.DataObject, grid: Grid, axes: str) -> None:
    sheet = tensor_of(data.draw(images(shape_of(grid.canvas, axes))))
    expected = np.stack([array_of(sheet)[at(rect, axes)] for rect in grid.cell_rects])
    for copy in (None, True):
        found = on_device.split(sheet, grid, channels=word(axes), copy=copy)
        np.testing.assert_array_equal(array_of(found), expected)
    view = on_device.cell_view(sheet, grid, channels=word(axes))
    assert view.untyped_storage().data_ptr() == sheet.untyped_storage().data_ptr()
    np.testing.assert_array_equal(array_of(view).reshape(expected.shape), expected)


@given(st.data(), grids(), AXES)
def test_merge_takes_each_cell_from_its_fork(data: st.DataObject, grid: Grid, axes: str) -> None:
    numbers = data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=4, unique=True))
    forks = tensor_of(data.draw(images(shape_of(grid.canvas, axes, images=len(numbers)))))
    with_original = data.draw(st.booleans())
    original = forks.flip(-1)[0] if with_original else None
    expected = array_of(forks[0] if original is None else original).copy()
    for fork, cell in zip(array_of(forks), numbers, strict=True):
        where = at(grid.cell_rect(cell), axes)
        expected[where] = fork[where]
    merged = on_device.merge(forks, grid, cells=numbers, original=original, channels=word(axes))
    np.testing.assert_array_equal(array_of(merged), expected)


@given(st.data(), AXES, st.booleans())
def test_paste_is_numpys_mix_inside_and_the_original_outside(
    data: st.DataObject, axes: str, together: bool
) -> None:
    side = st.integers(1, 12)
    height, width = data.draw(side), data.draw(side)
    patch = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    corners = st.tuples(st.integers(0, height - patch[0]), st.integers(0, width - patch[1]))
    places = [Rect(y, x, y + patch[0], x + patch[1]) for y, x in data.draw(st.lists(corners, max_size=3))]
    original = tensor_of(data.draw(images(shape_of((height, width), axes), PASTE_DTYPES)))
    patches = data.draw(images(shape_of(patch, axes, images=len(places)), [str(original.dtype)[6:]]))
    counts = st.sampled_from([patch, (1, *patch), (len(places), 1, *patch)])
    mask = data.draw(soft_masks(counts))
    found = on_device.paste(
        original,
        tensor_of(patches),
        places,
        None if mask is None else tensor_of(mask),
        together=together,
        channels=word(axes),
    )
    weights = None if mask is None else to_units(stack_masks(tensor_of(mask), size=patch)).numpy()
    sheets = [array_of(original).copy() for _ in places]
    total = array_of(original).copy()
    for index, rect in enumerate(places):
        weight = None if weights is None else weights[index % len(weights)]
        for sheet in (sheets[index], total):
            mixed_into(sheet[at(rect, axes)], array_of(patches)[index], weight, axes)
    expected = total if together else np.array(sheets).reshape(found.shape)
    tolerance = {"bfloat16": 8e-3, "float16": 1e-3, "uint8": 0}.get(str(original.dtype)[6:], 1e-6)
    actual = array_of(found).astype(np.float64)
    np.testing.assert_allclose(actual, expected.astype(np.float64), rtol=tolerance, atol=tolerance)


def mixed_into(target: np.ndarray, patch: np.ndarray, weight: np.ndarray | None, axes: str) -> None:
    """`target + (patch - target) * weight` in float64, rounded for bytes."""
    if weight is None:
        target[...] = patch
        return
    weight = (weight[..., None] if axes == "last" else weight).astype(np.float32)
    wide = np.float64 if target.dtype == np.float64 else np.float32
    start = target.astype(wide)
    mixed = start + (patch.astype(wide) - start) * weight
    target[...] = np.rint(mixed) if target.dtype == np.uint8 else mixed


@given(st.data(), grids(), AXES)
def test_paste_keeps_every_bit_where_the_mask_is_zero_or_one(
    data: st.DataObject, grid: Grid, axes: str
) -> None:
    # Not-a-number and infinity come through unchanged too, in both.
    original = torch.full(shape_of(grid.canvas, axes), torch.nan)
    patches = torch.full(shape_of(grid.cell, axes, images=len(grid)), torch.inf)
    mask = tensor_of(data.draw(masks(st.just((len(grid), 1, *grid.cell)), ["bool"])))
    together = on_device.paste(original, patches, grid, mask, together=True, channels=word(axes))
    places = torch.zeros(tuple(grid.canvas), dtype=torch.bool)
    for rect, one in zip(grid.cell_rects, mask[:, 0], strict=True):
        places[rect.slices] = one
    wide = {"plain": places, "first": places[None], "last": places[..., None]}[axes].expand(together.shape)
    assert same_bits(together[~wide], original[~wide])
    assert bool(torch.isposinf(together[wide]).all())


def test_views_are_made_where_strides_allow() -> None:
    column = Grid(4, 1, cell=(3, 5), gap=(2, 0))
    sheet = torch.rand(tuple(column.canvas))
    view = on_device.split(sheet, column, copy=False)
    view[2, 0, 0] = 7.0
    assert float(sheet[10, 0]) == 7.0
    square = Grid(2, 2, cell=(3, 5))
    with pytest.raises(InvalidValueError, match="2 rows and 2 columns"):
        on_device.split(torch.rand(6, 10), square, copy=False)
    assert on_device.split(torch.rand(6, 10), square).is_contiguous()


def test_out_is_written_whatever_its_strides() -> None:
    grid = Grid(2, 2, cell=(3, 5), gap=1)
    sheet = torch.rand(tuple(grid.canvas))
    out = torch.zeros(4, 6, 10)[:, ::2, ::2]
    assert on_device.split(sheet, grid, out=out) is out
    assert torch.equal(out, on_device.split(sheet, grid))
    back = torch.zeros(11, 7).T[: grid.canvas.height, : grid.canvas.width]
    assert on_device.join(out, grid, background=sheet, out=back) is back
    assert torch.equal(back, sheet)


def test_everything_is_made_on_the_sheets_device() -> None:
    grid = Grid(2, 2, cell=(3, 5), gap=1)
    sheet = torch.rand(2, *grid.canvas)
    cells = torch.rand(4, 3, 5)
    mask = torch.rand(3, 5)
    calls = [
        lambda: on_device.tile(cells[0], grid, background=0.5),
        lambda: on_device.join(cells, grid),
        lambda: on_device.split(sheet[0], grid, copy=True),
        lambda: on_device.merge(sheet, grid, cells=[3, 0]),
        lambda: on_device.paste(sheet[0], cells, grid, mask),
        lambda: on_device.paste(sheet[0], cells, grid, together=True),
    ]
    for call in calls:
        expected = call()
        with torch.device("meta"):
            assert same_bits(call(), expected)
