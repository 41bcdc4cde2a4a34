"""All small grids: 1 to 4 rows and columns, cells of 1 to 9 px, gaps and margins of 0 to 2, strides 1 to 5."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from maskgrid._native import Plan

from maskgrid import Grid
from maskgrid.geometry.twin.grid import PlainGrid, windows

if TYPE_CHECKING:
    from collections.abc import Iterator

# Count, cell, gap and margin along one axis.
AXIS = list(product(range(1, 5), range(1, 10), range(3), range(3)))


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


@pytest.mark.parametrize("stride", range(1, 6))
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


@pytest.mark.parametrize("stride", range(1, 6))
def test_windows_of_every_grid(stride: int) -> None:
    for index, grid in enumerate(small_grids(stride)):
        halo, cells = index % 4, list(range(index % 3, len(grid)))
        align = max(n for n in (1, 2, 3) if all(side % n == 0 for side in grid.latent_size))
        plan = Plan(grid, cells, halo=halo, align=align)
        found = [tuple(plan.window(fork)) for fork in range(len(plan))]
        assert found == windows(plain(grid), cells, halo, align)
