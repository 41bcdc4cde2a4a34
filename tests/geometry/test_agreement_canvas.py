"""Canvas operations of the Rust core against torch: the same bits, mixed pixels too."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import Grid, Rect
from maskgrid import canvas as native
from maskgrid.geometry.on_device import canvas as on_device
from strategies import PASTE_DTYPES, array_of, dtype_name, grids, images, same_bits, soft_masks, tensor_of

AXES = st.sampled_from(["plain", "first", "last"])
GRIDS = st.one_of(grids(), grids(most=2, cell=70, space=9))


def shape_of(size: Any, axes: str, channels: int, *, images: int | None = None) -> tuple[int, ...]:
    """The shape of one image, or of several."""
    inner = {"plain": tuple(size), "first": (channels, *size), "last": (*size, channels)}[axes]
    return inner if images is None else (images, *inner)


def word(axes: str) -> str:
    """What `channels` is for these axes."""
    return "first" if axes == "first" else "last"


CHANNELS = st.integers(1, 4)


@given(st.data(), GRIDS, AXES, CHANNELS)
def test_tile_and_join(data: st.DataObject, grid: Grid, axes: str, channels: int) -> None:
    cells = data.draw(images(shape_of(grid.cell, axes, channels, images=len(grid))))
    sheets = images(shape_of(grid.canvas, axes, channels), [dtype_name(cells)])
    background = data.draw(st.one_of(st.sampled_from([0, 1]), sheets))
    plain = tensor_of(background) if hasattr(background, "shape") else background
    for name, given_cells in (("join", cells), ("tile", cells[-1])):
        found = getattr(native, name)(given_cells, grid, background=background, channels=word(axes))
        expected = getattr(on_device, name)(
            tensor_of(given_cells), grid, background=plain, channels=word(axes)
        )
        assert isinstance(found, torch.Tensor if isinstance(cells, torch.Tensor) else np.ndarray)
        assert same_bits(found, expected)


@given(st.data(), GRIDS, AXES, CHANNELS)
def test_split_and_cell_view(data: st.DataObject, grid: Grid, axes: str, channels: int) -> None:
    sheet = data.draw(images(shape_of(grid.canvas, axes, channels)))
    tensor = tensor_of(sheet)
    expected = on_device.split(tensor, grid, channels=word(axes))
    for copy in (None, True):
        assert same_bits(native.split(sheet, grid, channels=word(axes), copy=copy), expected)
    view = native.cell_view(sheet, grid, channels=word(axes))
    assert np.shares_memory(array_of(view.view(torch.int16) if is_brain(view) else view), raw(sheet))
    assert same_bits(view, on_device.cell_view(tensor, grid, channels=word(axes)))


def is_brain(values: Any) -> bool:
    """Whether it is a torch tensor that numpy can't show."""
    return isinstance(values, torch.Tensor) and values.dtype == torch.bfloat16


def raw(values: Any) -> np.ndarray:
    """The memory itself as numpy."""
    return values.view(torch.int16).numpy() if is_brain(values) else np.asarray(values)


@given(st.data(), GRIDS, AXES, CHANNELS)
def test_merge(data: st.DataObject, grid: Grid, axes: str, channels: int) -> None:
    cells = data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=4, unique=True))
    forks = data.draw(images(shape_of(grid.canvas, axes, channels, images=len(cells))))
    originals = images(shape_of(grid.canvas, axes, channels), [dtype_name(forks)])
    original = data.draw(st.one_of(st.none(), originals))
    found = native.merge(forks, grid, cells=cells, original=original, channels=word(axes))
    plain = None if original is None else tensor_of(original)
    expected = on_device.merge(tensor_of(forks), grid, cells=cells, original=plain, channels=word(axes))
    assert same_bits(found, expected)


@given(st.data(), AXES, CHANNELS, st.booleans())
def test_paste(data: st.DataObject, axes: str, channels: int, together: bool) -> None:
    side = st.one_of(st.integers(1, 12), st.integers(1, 90))
    height, width = data.draw(side), data.draw(side)
    patch = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    corners = st.tuples(st.integers(0, height - patch[0]), st.integers(0, width - patch[1]))
    places = [Rect(y, x, y + patch[0], x + patch[1]) for y, x in data.draw(st.lists(corners, max_size=3))]
    original = data.draw(images(shape_of((height, width), axes, channels), PASTE_DTYPES))
    patches = data.draw(images(shape_of(patch, axes, channels, images=len(places)), [dtype_name(original)]))
    mask = data.draw(soft_masks(st.sampled_from([patch, (1, *patch), (len(places), *patch)])))
    options: dict[str, Any] = {"together": together, "channels": word(axes)}
    found = native.paste(original, patches, places, mask, **options)
    plain = None if mask is None else tensor_of(mask)
    expected = on_device.paste(tensor_of(original), tensor_of(patches), places, plain, **options)
    assert same_bits(found, expected)
    out = torch.zeros(expected.shape, dtype=expected.dtype)
    assert native.paste(original, patches, places, mask, **options, out=out) is out
    assert same_bits(out, expected)


@given(st.data(), grids(), AXES, CHANNELS)
def test_paste_into_the_cells_of_a_grid(data: st.DataObject, grid: Grid, axes: str, channels: int) -> None:
    original = data.draw(images(shape_of(grid.canvas, axes, channels), PASTE_DTYPES))
    shape = shape_of(grid.cell, axes, channels, images=len(grid))
    patches = data.draw(images(shape, [dtype_name(original)]))
    mask = data.draw(soft_masks(st.just(tuple(grid.cell))))
    options: dict[str, Any] = {"together": True, "channels": word(axes)}
    found = native.paste(original, patches, grid, mask, **options)
    plain = None if mask is None else tensor_of(mask)
    assert same_bits(found, on_device.paste(tensor_of(original), tensor_of(patches), grid, plain, **options))
