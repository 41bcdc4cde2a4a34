"""Which axes of a mask are which: one rule for `masks`, `ForkPlan`, `paste` and tensors on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import ForkPlan, Grid, Rect, masks
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.geometry.mask_axes import read_mask_axes, stack_masks
from maskgrid.geometry.on_device import pixel_masks as on_device
from strategies import mask_shapes, same_bits, stencil_shapes

SQUARE = np.zeros((64, 48), np.float32)
SQUARE[20:40, 10:30] = 1
BOX = Rect(20, 10, 40, 30)
# The same mask as the field has it: the array, and whether its boxes come as a list.
SHAPES: dict[str, tuple[np.ndarray, bool]] = {
    "(H, W)": (SQUARE, False),
    "(1, H, W)": (SQUARE[None], True),
    "(N, H, W)": (np.stack([SQUARE] * 5), True),
    "(1, 1, H, W)": (SQUARE[None, None], True),
    "(N, 1, H, W)": (np.stack([SQUARE] * 5)[:, None], True),
    "(H, W, 1)": (SQUARE[..., None], False),
    "(H, W, 3)": (np.repeat(SQUARE[..., None], 3, 2), False),
    "(H, W, 4)": (np.repeat(SQUARE[..., None], 4, 2), False),
    "(N, H, W, 3)": (np.stack([np.repeat(SQUARE[..., None], 3, 2)] * 5), True),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["numpy", "torch", "DLPack", "on a device"])
def test_every_shape_of_the_field_is_the_same_mask(shape: str, kind: str) -> None:
    array, several = SHAPES[shape]
    mask: Any = array if kind == "numpy" else torch.from_numpy(array.copy())
    module = on_device if kind == "on a device" else masks
    boxes = module.bounding_box(mask.__dlpack__() if kind == "DLPack" else mask)
    assert boxes == ([BOX] * stack_masks(array).shape[0] if several else BOX)
    grown = module.grow(mask.__dlpack__() if kind == "DLPack" else mask, 3)
    assert tuple(grown.shape) == array.shape
    assert (stack_masks(np.asarray(grown)) == np.asarray(masks.grow(SQUARE, 3))).all()


def test_every_channel_of_a_result_holds_the_mask() -> None:
    picture = np.zeros((9, 8, 4), np.uint8)
    picture[2:5, 3:6] = (255, 7, 9, 200)
    result = masks.invert(picture)
    assert (result == (255 - picture[..., :1])).all()
    out = np.zeros((9, 16, 4), np.float16)[:, ::2]
    assert masks.invert(picture, out=out) is out
    assert (out == (picture[..., :1] == 0)).all()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((64, 64, 2), r"mask\[..., 0\]"),
        ((3, 5, 4), "read in two ways: say mask\\[:, None\\] for N masks"),
        ((9, 4, 3), "read in two ways"),
        ((1, 64, 1), "read in two ways"),
        ((7, 3, 64, 64), r"mask\[:, :1\] of \(N, C, H, W\)"),
        ((7, 64, 64, 64), "C of 1, 3 or 4"),
        ((1, 1, 1, 8, 8), r"\(N, 1, H, W\)"),
        ((8,), r"allowed: \(H, W\)"),
    ],
)
def test_what_is_ambiguous_or_absurd_is_refused(shape: tuple[int, ...], words: str) -> None:
    for mask in (np.zeros(shape), torch.zeros(shape)):
        with pytest.raises(InvalidValueError, match=words):
            masks.grow(mask, 1)
    with pytest.raises(InvalidValueError, match=words):
        on_device.grow(torch.zeros(shape), 1)
    with pytest.raises(InvalidValueError, match=words):
        read_mask_axes(shape)


def test_a_grid_decides_where_a_shape_alone_does_not() -> None:
    stencils = np.random.default_rng(0).random((9, 4, 4), np.float32)
    grid = Grid(3, 3, cell=4, stride=2)
    expected = ForkPlan(grid, stencils[:, None])
    assert ForkPlan(grid, stencils) == expected
    assert len(expected) == 9
    picture = np.repeat(stencils[0, ..., None], 3, 2)
    assert ForkPlan(grid, picture) == ForkPlan(grid, stencils[0])
    with pytest.raises(InvalidValueError, match="read in two ways"):
        ForkPlan(Grid(2, 2, cell=4, stride=2), stencils[:4])


def test_pasting_reads_masks_by_the_same_rule() -> None:
    sheet, patches = np.zeros((8, 8), np.float32), np.ones((2, 4, 4), np.float32)
    places = [Rect(0, 0, 4, 4), Rect(4, 4, 8, 8)]
    mask = np.random.default_rng(0).random((2, 4, 4), np.float32)
    expected = canvas.paste(sheet, patches, places, mask)
    for same in (mask[:, None], np.repeat(mask[..., None], 3, 3)):
        assert same_bits(canvas.paste(sheet, patches, places, same), expected)
    assert same_bits(
        canvas.paste(sheet, patches, places, np.repeat(mask[0][..., None], 3, 2)),
        canvas.paste(sheet, patches, places, mask[0]),
    )


@given(mask_shapes())
def test_a_stack_is_a_view_of_the_same_numbers(shape: tuple[int, ...]) -> None:
    mask = np.arange(int(np.prod(shape))).reshape(shape)
    axes, stack = read_mask_axes(shape), stack_masks(mask)
    assert stack.shape == (axes.count, *axes.size)
    assert stack.size == 0 or np.shares_memory(stack, mask)
    assert torch.equal(stack_masks(torch.from_numpy(mask)), torch.from_numpy(stack))


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_stencils_of_a_grid_have_its_cells_size(
    data: st.DataObject, rows: int, columns: int, cell: tuple[int, int]
) -> None:
    grid = Grid(rows, columns, cell=cell)
    shape = data.draw(st.sampled_from(stencil_shapes(grid)))
    axes = read_mask_axes(shape, size=grid.cell)
    assert axes.size == cell
    assert axes.count in (1, len(grid))


def test_only_arrays_have_axes() -> None:
    with pytest.raises(InvalidTypeError, match="the mask is a list"):
        stack_masks([[0.0]])
