"""Latent coverage of the Rust core against torch: the same bits where pixels are picked, else near."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from maskgrid import ForkPlan, Grid
from maskgrid.geometry import latent_coverage as native
from maskgrid.geometry.mask_axes import stack_masks
from maskgrid.geometry.on_device import latent_coverage as on_device
from strategies import (
    COVERAGES,
    MASK_DTYPES,
    array_of,
    cell_stencils,
    dtype_name,
    even_grids,
    grids,
    same_bits,
    tensor_of,
)

GRIDS = st.one_of(grids(), grids(most=2, cell=70, space=9), even_grids())
COVERAGE = st.sampled_from(COVERAGES)


# Where pixels are averaged the order of float32's roundings is free.
TOLERANCES = {"center": 2e-7, "area": 1e-6}


def assert_agree(result: Any, expected: torch.Tensor, coverage: str) -> None:
    """The same bits where pixels are picked, float32's rounding apart where they are averaged."""
    if coverage in TOLERANCES:
        assert dtype_name(result) == dtype_name(expected)
        assert_near(result, expected, TOLERANCES[coverage])
    else:
        assert same_bits(result, expected)


def assert_near(result: Any, expected: Any, tolerance: float) -> None:
    """Equal up to a number."""
    np.testing.assert_allclose(array_of(result), array_of(expected), rtol=0, atol=tolerance)


@given(st.data(), GRIDS, COVERAGE)
def test_cell_masks(data: st.DataObject, grid: Grid, coverage: str) -> None:
    mask = data.draw(cell_stencils(grid))
    masks, distinct, occupied = native.cover_cells(mask, grid, coverage=coverage)
    expected, expected_occupied = on_device.cover_cells(tensor_of(mask), grid, coverage=coverage)
    assert_agree(masks, expected, coverage)
    assert list(occupied) == expected_occupied
    assert (distinct.count, distinct.height, distinct.width) == tuple(expected.shape)


@given(st.data(), GRIDS, COVERAGE)
def test_sheet_mask(data: st.DataObject, grid: Grid, coverage: str) -> None:
    mask = data.draw(cell_stencils(grid))
    result = native.cover_sheet(mask, grid, coverage=coverage)
    expected = on_device.cover_sheet(tensor_of(mask), grid, coverage=coverage)
    assert_agree(result, expected, coverage)


@given(st.data(), GRIDS, COVERAGE, st.sampled_from(MASK_DTYPES))
def test_dense_masks_of_a_plan(data: st.DataObject, grid: Grid, coverage: str, dtype: str) -> None:
    mask = data.draw(cell_stencils(grid))
    plan = ForkPlan(grid, mask, coverage=coverage)
    start = data.draw(st.integers(0, len(plan)))
    stop = data.draw(st.integers(start, len(plan)))
    found = plan.noise_masks(start, stop)
    masks, distinct, _ = native.cover_cells(tensor_of(mask), grid, coverage=coverage)
    expected = on_device.lay_noise_masks(masks, distinct, grid, plan.cells[start:stop])
    assert same_bits(found, expected)
    out = torch.full(found.shape, True, dtype=getattr(torch, dtype))
    assert plan.noise_masks(start, stop, out=out) is out
    assert same_bits(
        out,
        on_device.lay_noise_masks(masks, distinct, grid, plan.cells[start:stop], out=torch.empty_like(out)),
    )


@given(st.data(), GRIDS, st.sampled_from([("center", "bilinear"), ("nearest", "nearest")]))
def test_forks_are_torchs_interpolation_of_full_size_masks(
    data: st.DataObject, grid: Grid, names: tuple[str, str]
) -> None:
    coverage, mode = names
    mask = data.draw(cell_stencils(grid, ["float32", "bool"]))
    plan = ForkPlan(grid, mask, coverage=coverage)
    stencils = tensor_of(mask).to(torch.float32)
    stencils = stack_masks(stencils, size=grid.cell)
    for fork, found in zip(plan, plan.noise_masks(), strict=True):
        full = torch.zeros(1, 1, *grid.padded_canvas)
        rows, columns = fork.rect.slices
        full[0, 0, rows, columns] = stencils[fork.cell if len(stencils) > 1 else 0]
        expected = functional.interpolate(full, size=tuple(grid.latent_size), mode=mode)[0]
        assert_near(found, expected, 1e-6)
