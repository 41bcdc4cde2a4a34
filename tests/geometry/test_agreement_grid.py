"""Grids and windows of the Rust core against their definitions in plain Python."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from maskgrid import Grid, Rect, Size
from maskgrid._native import Plan
from maskgrid.errors import InvalidValueError
from maskgrid.geometry.on_device.plain_grid import PlainGrid, fitting_cell, windows
from strategies import grids, strides

SPACE = st.integers(0, 5)
PAIR = st.tuples(SPACE, SPACE)


def plain(grid: Grid) -> PlainGrid:
    """The same grid in plain Python, from what it was made of."""
    return PlainGrid(
        grid.rows,
        grid.columns,
        tuple(grid.cell),
        tuple(grid.gap),
        tuple(grid.margin),
        grid.stride,
        tuple(grid.canvas),
    )


@given(grids(cell=20))
def test_every_rectangle_is_where_the_definition_puts_it(grid: Grid) -> None:
    expected = plain(grid)
    assert tuple(grid.latent_size) == expected.latent_size()
    assert [tuple(rect) for rect in grid.cell_rects] == [expected.cell_rect(i) for i in range(len(grid))]
    for index in range(len(grid)):
        assert grid.position(index) == divmod(index, grid.columns)
        assert grid.index_of(*grid.position(index)) == index
        assert tuple(grid.cell_rect(index)) == expected.cell_rect(index)
        assert tuple(grid.latent_rect(index)) == expected.latent_rect(index)
        assert pixels(grid.write_rect(index)) == expected.write_cells(index)


def pixels(rect: Rect) -> set[tuple[int, int]]:
    """Row and column of everything in a rectangle."""
    return {(y, x) for y in range(rect.top, rect.bottom) for x in range(rect.left, rect.right)}


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    cell=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    gap=PAIR,
    margin=PAIR,
    stride=strides(),
)
def test_the_canvas_of_a_cell_size_holds_them_exactly(
    rows: int,
    columns: int,
    cell: tuple[int, int],
    gap: tuple[int, int],
    margin: tuple[int, int],
    stride: int,
) -> None:
    grid = Grid(rows, columns, cell=cell, gap=gap, margin=margin, stride=stride)
    expected = PlainGrid.of_cell(rows, columns, cell, gap, margin, stride)
    assert plain(grid) == expected
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert hash(pickle.loads(pickle.dumps(grid))) == hash(grid)


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    canvas=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    gap=PAIR,
    margin=PAIR,
    stride=strides(),
)
def test_a_canvas_gets_the_largest_cells_that_fit(
    rows: int,
    columns: int,
    canvas: tuple[int, int],
    gap: tuple[int, int],
    margin: tuple[int, int],
    stride: int,
) -> None:
    fitting = (
        fitting_cell(canvas[0], rows, gap[0], margin[0]),
        fitting_cell(canvas[1], columns, gap[1], margin[1]),
    )
    try:
        grid = Grid.from_canvas(canvas, rows, columns, gap=gap, margin=margin, stride=stride)
    except InvalidValueError:
        assert 0 in fitting
        return
    assert tuple(grid.cell) == fitting
    assert tuple(grid.canvas) == canvas
    assert grid == Grid(rows, columns, cell=grid.cell, canvas=canvas, gap=gap, margin=margin, stride=stride)


@given(st.data(), grids(cell=20), st.integers(0, 5), st.sampled_from([1, 1, 2, 3, 4]))
def test_windows_are_where_the_definition_puts_them(
    data: st.DataObject, grid: Grid, halo: int, align: int
) -> None:
    assume(all(side % align == 0 for side in grid.latent_size))
    some = st.lists(st.integers(0, len(grid) - 1), max_size=len(grid), unique=True)
    cells = data.draw(st.one_of(st.just(list(range(len(grid)))), some))
    plan = Plan(grid, cells, halo=halo, align=align)
    expected = windows(plain(grid), cells, halo, align)
    assert [tuple(plan.window(fork)) for fork in range(len(plan))] == expected
    assert [plan.place(fork) for fork in range(len(plan))] == [grid.latent_rect(cell) for cell in cells]
    assert [plan.write(fork) for fork in range(len(plan))] == [grid.write_rect(cell) for cell in cells]
    if not cells:
        assert plan.window_size == Size(0, 0)


@given(grids(cell=20), st.integers(2, 5))
def test_windows_need_a_latent_size_that_the_alignment_divides(grid: Grid, align: int) -> None:
    unfit = [side for side in grid.latent_size if side % align]
    if not unfit:
        assert len(Plan(grid, [0], halo=0, align=align)) == 1
        return
    with pytest.raises(InvalidValueError) as refusal:
        Plan(grid, [0], halo=0, align=align)
    side = unfit[0]
    for number in (align, side, side // align * align, (side // align + 1) * align):
        assert str(number) in str(refusal.value)


BOXES = st.tuples(*[st.integers(0, 30)] * 4)


@given(BOXES, BOXES)
def test_rectangles_are_sets_of_places(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = (Rect(*map(min, box[:2], box[2:]), *map(max, box[:2], box[2:])) for box in (first, second))
    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
    assert a.contains(b) == (pixels(b) <= pixels(a))
    assert bool(a) == bool(pixels(a))
    assert a.area == len(pixels(a)) == a.height * a.width
    assert (a == b) == (tuple(a) == tuple(b))
