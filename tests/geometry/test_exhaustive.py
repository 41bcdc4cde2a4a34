"""All small grids: 1 to 4 rows and columns, cells of 1 to 9 px, gaps, margins of 0 to 2, strides to 5."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskgrid import ForkPlan, Grid, canvas
from maskgrid._native import Plan
from maskgrid.geometry import latent_coverage as latent
from maskgrid.geometry.on_device.plain_grid import PlainGrid, windows
from strategies import COVERAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

# Count, cell, gap and margin along one axis.
AXIS = list(product(range(1, 5), range(1, 10), range(3), range(3)))
STRIDES = pytest.mark.parametrize("stride", range(1, 6))


def small_grids(stride: int) -> Iterator[Grid]:
    """A grid for every way to lay out rows, each with another way to lay out columns: all occur in both."""
    for index, (rows, height, gap_y, margin_y) in enumerate(AXIS):
        # 7 has no divisor in common with the number of ways: every one is taken once.
        columns, width, gap_x, margin_x = AXIS[(7 * index + stride) % len(AXIS)]
        yield Grid(
            rows,
            columns,
            cell=(height, width),
            gap=(gap_y, gap_x),
            margin=(margin_y, margin_x),
            stride=stride,
        )


def plain(grid: Grid) -> PlainGrid:
    """The same grid in plain Python, its canvas found anew."""
    return PlainGrid.of_cell(
        grid.rows, grid.columns, tuple(grid.cell), tuple(grid.gap), tuple(grid.margin), grid.stride
    )


@STRIDES
def test_rectangles_of_every_grid(stride: int) -> None:
    for grid in small_grids(stride):
        expected = plain(grid)
        assert tuple(grid.canvas) == expected.canvas
        assert tuple(grid.latent_size) == expected.latent_size()
        owned = set()
        for cell in range(len(grid)):
            assert tuple(grid.cell_rect(cell)) == expected.cell_rect(cell)
            assert tuple(grid.latent_rect(cell)) == expected.latent_rect(cell)
            write = grid.write_rect(cell)
            places = set(product(range(write.top, write.bottom), range(write.left, write.right)))
            assert places == expected.write_cells(cell)
            assert not places & owned
            owned |= places


@STRIDES
def test_windows_of_every_grid(stride: int) -> None:
    for index, grid in enumerate(small_grids(stride)):
        halo, cells = index % 4, list(range(index % 3, len(grid)))
        align = max(n for n in (1, 2, 3) if all(side % n == 0 for side in grid.latent_size))
        plan = Plan(grid, cells, halo=halo, align=align)
        found = [tuple(plan.window(fork)) for fork in range(len(plan))]
        assert found == windows(plain(grid), cells, halo, align)


@STRIDES
@pytest.mark.parametrize("coverage", COVERAGES)
def test_latent_masks_of_every_grid(stride: int, coverage: str) -> None:
    rng = np.random.default_rng(stride)
    for index, grid in enumerate(small_grids(stride)):
        # Eighths, and sums of them, are exact in float32; the mean of a block is divided once.
        stencils = rng.integers(0, 9, (1 if index % 2 else len(grid), 1, *grid.cell)).astype(np.float32) / 8
        sheet = np.zeros(tuple(grid.padded_canvas), np.float32)
        for cell, rect in enumerate(grid.cell_rects):
            sheet[rect.slices] = stencils[cell if len(stencils) > 1 else 0, 0]
        found = latent.cover_sheet(stencils, grid, coverage=coverage)
        np.testing.assert_allclose(found, by_blocks(sheet, stride, coverage), rtol=0, atol=1e-7)
        plan = ForkPlan(grid, stencils, coverage=coverage)
        cell = plan.cells[index % len(plan)] if len(plan) else None
        for fork in (fork for fork in plan if fork.cell == cell):
            alone = np.zeros_like(sheet)
            alone[fork.rect.slices] = sheet[fork.rect.slices]
            expected = by_blocks(alone, stride, coverage)
            np.testing.assert_allclose(fork.noise_mask, expected[fork.place.slices], rtol=0, atol=1e-7)
            expected[fork.place.slices] = 0.0
            assert not expected.any()


def by_blocks(sheet: np.ndarray, stride: int, coverage: str) -> np.ndarray:
    """What each stride x stride block gives, by numpy."""
    height, width = (side // stride for side in sheet.shape)
    blocks = sheet.reshape(height, stride, width, stride).swapaxes(1, 2)
    if coverage == "center":
        low, high = (stride - 1) // 2, stride // 2 + 1
        return blocks[:, :, low:high, low:high].mean(axis=(2, 3))
    if coverage == "nearest":
        return blocks[:, :, 0, 0]
    return {"area": blocks.mean, "max": blocks.max, "min": blocks.min}[coverage](axis=(2, 3))


def test_cells_of_every_grid() -> None:
    for index, grid in enumerate(small_grids(1)):
        dtype = (np.uint8, np.uint16, np.float32, np.float64)[index % 4]
        sheet = np.arange(grid.canvas.height * grid.canvas.width).reshape(tuple(grid.canvas)).astype(dtype)
        cells = np.stack([sheet[rect.slices] for rect in grid.cell_rects])
        np.testing.assert_array_equal(canvas.split(sheet, grid), cells)
        np.testing.assert_array_equal(canvas.cell_view(sheet, grid).reshape(cells.shape), cells)
        np.testing.assert_array_equal(canvas.join(cells, grid, background=sheet), sheet)
        expected = np.full_like(sheet, 7)
        for rect in grid.cell_rects:
            expected[rect.slices] = cells[-1]
        np.testing.assert_array_equal(canvas.tile(cells[-1], grid, background=7), expected)
        forks = np.stack([sheet, expected])
        merged = sheet.copy()
        last = grid.cell_rect(-1).slices
        merged[last] = expected[last]
        chosen = [0, len(grid) - 1] if len(grid) > 1 else [0]
        np.testing.assert_array_equal(
            canvas.merge(forks[-len(chosen) :], grid, cells=chosen, original=sheet), merged
        )
