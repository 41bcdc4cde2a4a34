"""`Size`, `Rect`, `Grid` and the native `Plan` and `DistinctCoverages` as Python objects."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from maskgrid import Grid, Rect, Size
from maskgrid._native import DistinctCoverages, Plan
from maskgrid.errors import InvalidTypeError, InvalidValueError

GRID = Grid(3, 4, cell=(20, 24), gap=2, margin=(1, 3), stride=8)

OBJECTS: dict[str, tuple[Any, str, list[str], Any]] = {
    "Size": (Size(3, 4), "Size(height=3, width=4)", ["height", "width", "area"], Size(4, 3)),
    "Rect": (
        Rect(1, 2, 4, 6),
        "Rect(top=1, left=2, bottom=4, right=6)",
        ["top", "left", "bottom", "right", "height", "width", "size", "area", "slices"],
        Rect(1, 2, 4, 7),
    ),
    "Grid": (
        GRID,
        "Grid(3, 4, cell=(20, 24), canvas=(66, 108), gap=(2, 2), margin=(1, 3), stride=8)",
        ["rows", "columns", "cell", "gap", "margin", "canvas", "stride", "latent_size", "padded_canvas"],
        Grid(3, 4, cell=(20, 24), gap=2, margin=(1, 3), stride=16),
    ),
    "Plan": (
        Plan(GRID, [0, 5], halo=1, align=1),
        "<Plan: 2 forks of 12 cells>",
        ["grid", "cells", "halo", "align", "window_size"],
        Plan(GRID, [5, 0], halo=1, align=1),
    ),
    "DistinctCoverages": (
        DistinctCoverages(GRID, 1),
        "<DistinctCoverages: 12 latent coverages of 4 x 4>",
        ["grid", "mask_count", "count", "height", "width", "shared"],
        DistinctCoverages(GRID, 12),
    ),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_are_values(kind: str) -> None:
    value, text, _, other = OBJECTS[kind]
    again = pickle.loads(pickle.dumps(value))
    assert repr(value) == text
    assert value == again == copy.copy(value) == copy.deepcopy(value)
    assert hash(value) == hash(again)
    assert value != other
    assert value != text
    assert len({value, again, other}) == 2
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_do_not_change(kind: str) -> None:
    value, _, names, _ = OBJECTS[kind]
    for name in names:
        with pytest.raises(AttributeError):
            setattr(value, name, getattr(value, name))
        with pytest.raises(AttributeError):
            delattr(value, name)
    with pytest.raises(AttributeError):
        value.extra = 1


@pytest.mark.parametrize("kind", OBJECTS)
def test_everything_public_is_documented(kind: str) -> None:
    value = OBJECTS[kind][0]
    public = [name for name in dir(type(value)) if not name.startswith("_")]
    assert [name for name in public if not getattr(type(value), name).__doc__] == []
    for words in ("Args:", "Raises:"):
        assert words in type(value).__doc__


def test_reprs_of_public_objects_evaluate() -> None:
    for kind in ("Size", "Rect", "Grid"):
        value = OBJECTS[kind][0]
        assert eval(repr(value)) == value
    assert repr(Grid(1, 2, cell=8)) == "Grid(1, 2, cell=(8, 8), canvas=(8, 16), stride=8)"


def test_sizes_and_rectangles_unpack() -> None:
    height, width = Size(3, 4)
    top, left, bottom, right = Rect(1, 2, 4, 6)
    assert (height, width, top, left, bottom, right) == (3, 4, 1, 2, 4, 6)
    assert Size(3, 4)[1] == Size(3, 4)[-1] == 4
    assert Rect(1, 2, 4, 6)[2:] == (4, 6)
    assert tuple(Rect(1, 2, 4, 6).size) == (3, 4)
    for value in (Size(3, 4), Rect(1, 2, 4, 6)):
        with pytest.raises(IndexError):
            value[4]
    assert sorted([Rect(1, 0, 2, 2), Rect(0, 5, 9, 9)])[0].left == 5


def test_rectangles() -> None:
    rect = Rect(1, 2, 4, 6)
    array = np.arange(100).reshape(10, 10)
    assert array[rect.slices].shape == (rect.height, rect.width) == (3, 4)
    assert array[rect.slices][0, 0] == 12
    assert rect.area == rect.size.area == 12
    assert rect.intersect(Rect(3, 0, 9, 4)) == Rect(3, 2, 4, 4)
    assert not rect.intersect(Rect(4, 0, 9, 9))
    assert rect.contains(Rect(1, 2, 2, 6))
    assert rect.contains(Rect(90, 90, 90, 95))
    assert not rect.contains(Rect(0, 2, 2, 6))
    assert bool(rect)
    with pytest.raises(InvalidValueError, match="ends before it starts; allowed: bottom >= top"):
        Rect(4, 0, 3, 1)


def test_cells_are_numbered_row_by_row() -> None:
    assert len(GRID) == 12
    assert GRID.position(7) == (1, 3)
    assert GRID.index_of(1, 3) == 7
    assert GRID.cell_rect(7) == GRID.cell_rect(-5) == GRID.cell_rects[7] == Rect(23, 81, 43, 105)
    assert GRID.index_of(-1, -1) == 11
    assert GRID.latent_rect(0) == Rect(0, 0, 3, 4)
    assert GRID.write_rect(0) == Rect(0, 0, 3, 3)
    assert GRID.latent_size == Size(9, 14)
    assert GRID.padded_canvas == Size(72, 112)


def test_a_grid_is_made_from_a_cell_a_canvas_or_both() -> None:
    assert Grid(2, 3, cell=8).canvas == Size(16, 24)
    assert Grid(2, 3, canvas=(17, 24)).cell == Size(8, 8)
    assert Grid.from_canvas((17, 24), 2, 3) == Grid(2, 3, canvas=(17, 24))
    both = Grid(2, 3, cell=5, canvas=(17, 24), gap=(1, 2))
    assert (both.cell, both.canvas, both.gap) == (Size(5, 5), Size(17, 24), Size(1, 2))
    assert Grid(2, 3, cell=Size(8, 9)) == Grid(2, 3, cell=[8, 9])
    assert (Grid(1, 1, cell=8).stride, Grid(1, 1, cell=8, stride=1).stride) == (8, 1)


def test_integers_of_numpy_are_numbers() -> None:
    for kind in (np.int8, np.uint16, np.int64, np.uint64):
        assert Grid(kind(3), kind(4), cell=(kind(20), kind(24)), gap=kind(2)).cell == Size(20, 24)
        assert Rect(kind(1), kind(2), kind(4), kind(6)) == Rect(1, 2, 4, 6)
        assert GRID.cell_rect(kind(3)) == GRID.cell_rect(3)
    assert Grid(1, 1, cell=np.array([3, 4])).cell == Size(3, 4)


@pytest.mark.parametrize("value", [2.0, True, np.bool_(True), np.float64(2), "2", None, [2], 2j])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    kind = type(value).__name__
    for name, call in {
        "rows": lambda: Grid(value, 4, cell=8),
        "columns": lambda: Grid(3, value, cell=8),
        "stride": lambda: Grid(3, 4, cell=8, stride=(2, 2) if value is None else value),
        "gap": lambda: Grid(3, 4, cell=8, gap=(value, 0)),
        "cell": lambda: GRID.cell_rect(value),
        "row": lambda: GRID.index_of(value, 0),
        "height": lambda: Size(value, 3),
        "right": lambda: Rect(0, 0, 3, value),
        "halo": lambda: Plan(GRID, [0], halo=value, align=1),
        "a cell": lambda: Plan(GRID, [value], halo=0, align=1),
        "mask_count": lambda: DistinctCoverages(GRID, value),
    }.items():
        wrong = "tuple" if name == "stride" and value is None else kind
        with pytest.raises(InvalidTypeError, match=f"^{name} is a {wrong}; allowed: a whole number$"):
            call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Grid(3, 4, cell=8, gap=-1), "gap is -1; allowed: 0 to 65536"),
        (lambda: Grid(3, 4, cell=8, margin=(0, 2**40)), f"margin is {2**40}; allowed: 0 to 65536"),
        (lambda: Grid(0, 4, cell=8), "rows is 0; allowed: 1 to 4096"),
        (lambda: Grid(-2, 4, cell=8), "rows is -2; allowed: 1 to 4096"),
        (lambda: Grid(3, 4, cell=8, stride=-8), "stride is -8; allowed: 1 to 65536"),
        (lambda: Grid(3, 4, cell=(8, -8)), "cell is -8; allowed: 1 to 65536"),
        (lambda: Grid(3, 4, cell=(8, 8, 8)), "cell has 3 numbers; allowed: one, or (height, width)"),
        (lambda: Grid(3, 4, cell=()), "cell has 0 numbers; allowed: one, or (height, width)"),
        (lambda: Grid(3, 4), "a grid needs cell=, canvas= or both; neither was given"),
        (lambda: Size(-1, 3), f"height is -1; allowed: 0 to {2**32 - 1}"),
        (lambda: Rect(0, 0, 2**32, 1), f"bottom is {2**32}; allowed: 0 to {2**32 - 1}"),
        (lambda: GRID.cell_rect(12), "cell 12 does not exist; there are 12, numbered from 0"),
        (lambda: GRID.cell_rect(-13), "cell -13 does not exist; there are 12, numbered from 0"),
        (lambda: GRID.write_rect(2**70), f"cell {2**70} does not exist; there are 12, numbered from 0"),
        (lambda: GRID.index_of(3, 0), "row 3 does not exist; there are 3, numbered from 0"),
        (lambda: GRID.index_of(0, 4), "column 4 does not exist; there are 4, numbered from 0"),
        (
            lambda: Plan(GRID, [0, 12], halo=0, align=1),
            "cell 12 does not exist; there are 12, numbered from 0",
        ),
        (
            lambda: Plan(GRID, [0, -1], halo=0, align=1),
            "cell -1 does not exist; there are 12, numbered from 0",
        ),
        (
            lambda: Plan(GRID, [3, 0, 3], halo=0, align=1),
            "cell 3 is named twice; allowed: each cell at most once",
        ),
        (lambda: Plan(GRID, [0], halo=-1, align=1), f"halo is -1; allowed: 0 to {2**32 - 1}"),
        (lambda: Plan(GRID, [0], halo=0, align=0), "align is 0; allowed: 1 or more latent cells"),
        (
            lambda: Plan(GRID, [0], halo=0, align=1).window(1),
            "fork 1 does not exist; there are 1, numbered from 0",
        ),
        (
            lambda: DistinctCoverages(GRID, 5),
            "the number of masks is 5; allowed: 1 or the number of cells, 12",
        ),
        (
            lambda: DistinctCoverages(GRID, 1).index(12),
            "cell 12 does not exist; there are 12, numbered from 0",
        ),
    ],
)
def test_refusals_name_the_argument_its_value_and_the_range(call: Any, words: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        call()
    assert str(refusal.value) == words
