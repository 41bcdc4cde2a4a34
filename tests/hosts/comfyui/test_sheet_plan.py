"""Masks of the nodes at latent size, against the way that ComfyUI makes them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.comfyui.sheet_plan import over_time, plan_sheet, read_cells, stencil_of


def full_size_masks(mask: torch.Tensor, rows: int, columns: int, stride: int) -> torch.Tensor:
    """(N, 1, h, w): a mask of the sheet for each cell, brought down by bilinear interpolation."""
    height, width = mask.shape[1:3]
    masks = torch.zeros(rows * columns, 1, rows * height, columns * width)
    for number, full in enumerate(masks[:, 0]):
        top, left = number // columns * height, number % columns * width
        full[top : top + height, left : left + width] = mask[0, :, :, 0]
    size = rows * height // stride, columns * width // stride
    return torch.nn.functional.interpolate(masks, size=size, mode="bilinear")


def soft(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((1, height, width, 3), generator=torch.Generator().manual_seed(seed))


@given(
    stride=st.sampled_from([4, 8, 16]),
    cell=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
)
def test_masks_are_comfyuis(stride, cell, rows, columns):
    mask = soft(cell[0] * stride, cell[1] * stride)
    plan = plan_sheet(mask, (cell[0] * rows, cell[1] * columns), rows, columns, stride=stride)
    expected = full_size_masks(mask, rows, columns, stride)
    assert torch.equal(plan.masks, expected)


def test_the_union_is_the_tiled_stencil():
    mask = soft(32, 40)
    plan = plan_sheet(mask, (8, 15), 2, 3, stride=8)
    tiled = torch.nn.functional.interpolate(mask[..., 0].repeat(1, 2, 3)[None], size=(8, 15), mode="bilinear")
    assert torch.equal(plan.union, tiled)


def test_cells_that_the_stride_does_not_divide():
    mask = soft(20, 28)
    plan = plan_sheet(mask, (5, 7), 2, 2, stride=8)
    tiled = torch.nn.functional.interpolate(mask[..., 0].repeat(1, 2, 2)[None], size=(5, 7), mode="bilinear")
    torch.testing.assert_close(plan.union, tiled, rtol=0, atol=2e-7)


def test_the_stride_is_found_where_the_model_does_not_say():
    assert plan_sheet(soft(64, 64), (4, 12), 1, 3, stride=None).grid.stride == 16


def test_chosen_cells_keep_their_order():
    plan = plan_sheet(soft(16, 16), (4, 6), 2, 3, stride=8, cells=[4, 0])
    place = [(mask[0] > 0).nonzero().amin(0).tolist() for mask in plan.masks]
    assert (plan.cells, place) == ((4, 0), [[2, 2], [0, 0]])


def test_one_mask_for_each_cell():
    masks = torch.zeros(3, 16, 16)
    masks[1] = 1
    plan = plan_sheet(masks, (2, 6), 1, 3, stride=8)
    assert (plan.cells, plan.live, len(plan.masks)) == ((0, 1, 2), (1,), 1)


def test_an_empty_stencil_has_no_live_fork():
    plan = plan_sheet(torch.zeros(1, 16, 16, 3), (2, 6), 1, 3, stride=8)
    assert (len(plan.cells), plan.live, tuple(plan.masks.shape)) == (3, (), (0, 1, 2, 6))


def test_what_the_coverage_loses_is_not_live():
    line = torch.zeros(1, 16, 16, 3)
    line[:, :, 0] = 1
    lives = [
        plan_sheet(line, (2, 4), 1, 2, stride=8, coverage=coverage).live for coverage in ("center", "max")
    ]
    assert lives == [(), (0, 1)]


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((2, 5), 1, 3), ((4, 6), 1, 3), ((2, 6), 1, 2), ((3, 6), 1, 3)]
)
def test_sizes_that_do_not_fit(size, rows, columns):
    with pytest.raises(InvalidValueError, match="allowed: "):
        plan_sheet(soft(16, 16), size, rows, columns, stride=8)


@pytest.mark.parametrize("masks", [torch.zeros(2, 16, 16), torch.zeros(4, 16, 16, 3)])
def test_another_number_of_masks(masks):
    with pytest.raises(InvalidValueError, match="allowed: 1 for all cells, or 3"):
        plan_sheet(masks, (2, 6), 1, 3, stride=8)


def test_values_a_little_outside_are_cut():
    assert stencil_of(torch.tensor([[[-0.1, 1.1]]]), 1).tolist() == [[0.0, 1.0]]


def test_what_is_no_mask():
    with pytest.raises(InvalidTypeError, match="allowed: an IMAGE or a MASK"):
        stencil_of([1, 0], 1)


def test_masks_of_five_axes_are_the_same_at_all_times():
    masks = torch.rand(3, 1, 4, 5)
    spread = over_time(masks, torch.zeros(2, 16, 7, 4, 5))
    assert (tuple(spread.shape), torch.equal(spread[:, :, 6], masks)) == ((3, 1, 7, 4, 5), True)


def test_masks_of_four_axes_stay():
    masks = torch.rand(3, 1, 4, 5)
    assert over_time(masks, torch.zeros(2, 4, 4, 5)) is masks


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", None), (" ", None), ("0", [0]), ("0, 2, 4-6", [0, 2, 4, 5, 6]), ("8;7 1", [8, 7, 1]), ("1,", [1])],
)
def test_cells_from_text(text, cells):
    assert read_cells(text, 9) == cells


@pytest.mark.parametrize("text", ["9", "0-9", "0 0", "1-3 2", "a", "-1", "1.5", "0-99999999999"])
def test_cells_that_are_none(text):
    with pytest.raises(InvalidValueError, match="allowed: "):
        read_cells(text, 9)
