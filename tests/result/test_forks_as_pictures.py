"""The result: whole pictures from one sheet and patches."""

import numpy as np
import pytest

import maskgrid
from maskgrid.errors import InvalidTypeError, InvalidValueError


def array(image) -> np.ndarray:
    return np.asarray(image)


def test_a_fork_is_the_sheet_with_its_patch_where_the_stencil_is(forks, sheet, stencil):
    for index in range(6):
        expected = sheet.copy()
        rows, columns = forks.grid.cell_rect(index).slices
        patch = forks.patches[index]
        expected[rows, columns][stencil > 0] = patch[stencil > 0]
        assert np.array_equal(array(forks[index]), expected)
        assert not np.array_equal(expected, sheet)


def test_merged_has_every_new_cell_and_picks_have_the_chosen(forks, sheet):
    merged = array(forks.merged())
    for index in range(6):
        cell = forks.grid.cell_rect(index).slices
        assert np.array_equal(merged[cell], forks.array(index)[cell])
    picked = array(forks.pick({1: 1, (1, 2): 5}))
    assert np.array_equal(picked, array(forks.pick([1, 5])))
    for index in range(6):
        cell = forks.grid.cell_rect(index).slices
        assert np.array_equal(picked[cell], (merged if index in (1, 5) else sheet)[cell])
    assert np.array_equal(array(forks.pick({})), sheet)
    assert np.array_equal(array(forks.original), sheet)


def test_slices_and_sums_are_forks(forks):
    assert [len(forks[2:5]), forks[2:5].cells, forks[::-1].cells[0]] == [3, (2, 3, 4), 5]
    assert np.array_equal(forks[2:5].array(0), forks.array(2))
    assert np.array_equal(forks.array(-1), forks.array(5))
    both = forks[:2] + forks[1:]
    assert both.cells == (0, 1, 1, 2, 3, 4, 5)
    assert [array(image).shape for image in both.images] == [(32, 48, 3)] * 7
    assert np.array_equal(both.array(3), forks.array(2))


def test_the_last_fork_of_a_cell_counts(forks):
    other = maskgrid.Forks(
        array(forks.original),
        255 - forks.patches[2:3],
        [2],
        forks.grid,
        np.ones((1, 16, 16), np.float32),
    )
    both = forks + other
    cell = forks.grid.cell_rect(2).slices
    assert np.array_equal(array(both.merged())[cell], other.array(0)[cell])
    assert np.array_equal(array(both.pick({2: 2}))[cell], forks.array(2)[cell])


def test_it_says_what_it_is(forks):
    assert repr(forks) == "<Forks: 6 of a 48 x 32 px sheet of 2 x 3 cells>"
    html = forks._repr_html_()
    assert html.startswith('<img alt="6 forks')
    assert len(html) > 1000
    assert forks.contact_sheet().size > (3 * 48, 32)


def test_a_contact_sheet_takes_alpha_large_sheets_and_long_texts(forks):
    grid = maskgrid.Grid(1, 2, cell=(700, 1000), stride=2)
    sheet = np.zeros((700, 2000, 4), np.uint8)
    patches = np.full((1, 700, 1000, 4), 200, np.uint8)
    large = maskgrid.Forks(sheet, patches, [1], grid, np.ones((1, 700, 1000), np.float32),
                           settings={"prompt": "a word " * 999})  # fmt: skip
    picture = large.contact_sheet()
    assert picture.mode == "RGB"
    assert picture.width < 3000


def test_what_does_not_exist_is_named(forks):
    with pytest.raises(IndexError, match="fork 6 does not exist"):
        forks[6]
    with pytest.raises(IndexError, match="fork 7"):
        forks.pick([7])
    with pytest.raises(InvalidTypeError, match="'two'"):
        forks.pick(["two"])
    with pytest.raises(InvalidValueError, match="fork 3 renews cell 3, not cell 1"):
        forks.pick({1: 3})
    with pytest.raises(InvalidValueError, match="same sheet"):
        forks + maskgrid.Forks(255 - array(forks.original), forks.patches, range(6), forks.grid,
                               np.ones((1, 16, 16), np.float32))  # fmt: skip
    with pytest.raises(TypeError):
        forks + 3


@pytest.mark.parametrize("name", ["original", "patches", "alpha"])
def test_shapes_have_to_go_together(forks, name):
    parts = {"original": array(forks.original), "patches": forks.patches, "alpha": np.ones((1, 16, 16))}
    parts[name] = parts[name][:, :-1]
    with pytest.raises(InvalidValueError, match=name if name != "original" else "sheet"):
        maskgrid.Forks(parts["original"], parts["patches"], range(6), forks.grid, parts["alpha"])
