"""Latent coverage on a device against torch's interpolation and pooling of full-size pixel masks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from maskgrid import Grid
from maskgrid.errors import InvalidValueError
from maskgrid.geometry.mask_axes import stack_masks
from maskgrid.geometry.on_device import latent_coverage as on_device
from maskgrid.geometry.on_device.mask_values import to_units
from strategies import COVERAGES, cell_stencils, grids, same_bits, tensor_of


def full_size(grid: Grid, masks: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """(H, W) float32 over the padded canvas: the masks of these cells in their places, zero elsewhere."""
    canvas = torch.zeros(tuple(grid.padded_canvas))
    for cell in cells:
        canvas[grid.cell_rect(cell).slices] = masks[cell if len(masks) > 1 else 0]
    return canvas


def scaled(canvas: torch.Tensor, stride: int, coverage: str) -> torch.Tensor:
    """The canvas at latent size, by torch's own functions."""
    batch = canvas[None, None]
    size = (canvas.shape[0] // stride, canvas.shape[1] // stride)
    if coverage == "center":
        return functional.interpolate(batch, size=size, mode="bilinear")[0, 0]
    if coverage == "nearest":
        return functional.interpolate(batch, size=size, mode="nearest")[0, 0]
    if coverage == "area":
        return functional.avg_pool2d(batch.double(), stride)[0, 0].float()
    if coverage == "max":
        return functional.max_pool2d(batch, stride)[0, 0]
    return -functional.max_pool2d(-batch, stride)[0, 0]


def assert_close(found: torch.Tensor, expected: torch.Tensor, coverage: str) -> None:
    """Equal for what only picks pixels, to 1e-6 for means."""
    exact = coverage in ("nearest", "max", "min")
    torch.testing.assert_close(found, expected, rtol=0, atol=0 if exact else 1e-6)


@given(st.data(), grids(), st.sampled_from(COVERAGES))
def test_the_sheet_is_the_tiled_full_size_mask_scaled(data: st.DataObject, grid: Grid, coverage: str) -> None:
    mask = tensor_of(data.draw(cell_stencils(grid)))
    canvas = full_size(grid, to_units(stack_masks(mask, size=grid.cell)), list(range(len(grid))))
    assert_close(
        on_device.cover_sheet(mask, grid, coverage=coverage), scaled(canvas, grid.stride, coverage), coverage
    )


@given(st.data(), grids(), st.sampled_from(COVERAGES))
def test_each_cell_is_its_full_size_mask_scaled(data: st.DataObject, grid: Grid, coverage: str) -> None:
    mask = tensor_of(data.draw(cell_stencils(grid)))
    units = to_units(stack_masks(mask, size=grid.cell))
    masks, occupied = on_device.cover_cells(mask, grid, coverage=coverage)
    distinct = PlainDistinct(grid, len(units))
    assert len(masks) == distinct.count
    assert occupied == [bool((unit > 0).any()) for unit in units]
    dense = on_device.lay_noise_masks(masks, distinct, grid, list(range(len(grid))))
    for cell, found in enumerate(dense[:, 0]):
        assert_close(found, scaled(full_size(grid, units, [cell]), grid.stride, coverage), coverage)


class PlainDistinct:
    """Which latent coverage belongs to which cell, found by looking at all cells."""

    def __init__(self, grid: Grid, masks: int) -> None:
        keys = []
        for cell in range(len(grid)):
            rect = grid.cell_rect(cell)
            keys.append((cell if masks > 1 else 0, rect.top % grid.stride, rect.left % grid.stride))
        distinct = list(dict.fromkeys(keys))
        self.count = len(distinct)
        self.numbers = [distinct.index(key) for key in keys]

    def index(self, cell: int) -> int:
        """The number of a cell's latent coverage."""
        return self.numbers[cell]


@given(st.data(), grids())
def test_what_a_mask_does_not_need_is_zero(data: st.DataObject, grid: Grid) -> None:
    mask = torch.ones(tuple(grid.cell))
    masks, _ = on_device.cover_cells(mask, grid, coverage="max")
    distinct = PlainDistinct(grid, 1)
    for cell in range(len(grid)):
        rect = grid.latent_rect(cell)
        needed = torch.zeros(masks.shape[1:])
        needed[: rect.height, : rect.width] = 1.0
        assert torch.equal(masks[distinct.index(cell)], needed)


def test_strides_longer_than_the_cell_read_only_the_cell() -> None:
    grid = Grid(2, 2, cell=(3, 5), stride=60_000)
    mask = torch.full((3, 5), 0.5)
    masks, _ = on_device.cover_cells(mask, grid, coverage="area")
    assert masks.shape == (4, 1, 1)
    assert float(masks[0]) == pytest.approx(7.5 / 60_000**2)
    assert float(on_device.cover_sheet(mask, grid, coverage="max")) == 0.5
    assert float(on_device.cover_sheet(mask, grid, coverage="min")) == 0.0


@pytest.mark.parametrize("coverage", COVERAGES)
def test_everything_is_made_on_the_masks_device(coverage: str) -> None:
    grid = Grid(2, 3, cell=(7, 9), gap=1, margin=2, stride=4)
    mask = torch.rand(6, 7, 9)
    masks, occupied = on_device.cover_cells(mask, grid, coverage=coverage)
    sheet = on_device.cover_sheet(mask, grid, coverage=coverage)
    dense = on_device.lay_noise_masks(masks, PlainDistinct(grid, 6), grid, [4, 1])
    with torch.device("meta"):
        again, occupied_again = on_device.cover_cells(mask, grid, coverage=coverage)
        assert same_bits(again, masks)
        assert occupied_again == occupied
        assert same_bits(on_device.cover_sheet(mask, grid, coverage=coverage), sheet)
        assert same_bits(on_device.lay_noise_masks(masks, PlainDistinct(grid, 6), grid, [4, 1]), dense)


def test_refusals_name_the_numbers() -> None:
    grid = Grid(2, 2, cell=(4, 6), stride=2)
    with pytest.raises(InvalidValueError, match=r"\(3, 4, 6\).*1 or 4 masks.*4 x 6"):
        on_device.cover_cells(torch.zeros(3, 4, 6), grid)
    with pytest.raises(InvalidValueError, match=r"\(6, 4\).*4 x 6"):
        on_device.cover_sheet(torch.zeros(6, 4), grid)
    with pytest.raises(InvalidValueError, match=r"'bilinear'.*'center', 'nearest', 'area', 'max', 'min'"):
        on_device.cover_sheet(torch.zeros(4, 6), grid, coverage="bilinear")
