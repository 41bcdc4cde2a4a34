"""Which cells are forked, how many tries each has, and going on from a fork that was liked."""

import numpy as np
import pytest

from maskgrid import Forks
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.run_inputs import read_inputs


@pytest.fixture
def job(job) -> dict:
    return {**job, "mode": "fork", "steps": 2, "seed": 3}


def largest_difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("cells", [[(1, 2), (0, 1)], [5, 1], np.array([5, 1]), np.array([[1, 2], [0, 1]])])
def test_the_cells_that_are_named_come_out_as_in_a_run_of_all(maker, job, cells):
    some, whole = maker(**job, cells=cells), maker(**job)
    assert some.cells == (1, 5)
    assert largest_difference(some.patches, whole.patches[[1, 5]]) <= 1


def test_together_only_the_named_cells_change(maker, job, sheet):
    forks = maker(**{**job, "mode": "sample"}, cells=[4])
    merged = np.asarray(forks.merged())
    changed = (merged != sheet).any(axis=2)
    assert changed[16:, 16:32].any()
    changed[16:, 16:32] = False
    assert not changed.any()


def test_named_cells_may_have_a_prompt_and_a_seed_each(maker, job):
    forks = maker(**{**job, "prompt": ["b", "a"]}, cells=[5, 1], fork_seeds=[9, 8])
    assert [(each.cell, each.prompt, each.seed) for each in forks.records] == [(1, "a", 8), (5, "b", 9)]


@pytest.mark.parametrize(
    ("cells", "error", "said"),
    [
        ([], InvalidValueError, "cells is empty"),
        ([6], InvalidValueError, "cells has cell 6; allowed: 0 to 5"),
        ([(2, 0)], InvalidValueError, r"cells has \(2, 0\); allowed: rows 0 to 1, columns 0 to 2"),
        ([(0, 0), 0], InvalidValueError, "names cell 0 twice"),
        ("1,1", InvalidTypeError, "cells is '1,1'"),
        ([True], InvalidTypeError, "cells has True"),
        ([(1, 2, 3)], InvalidTypeError, r"cells has \(1, 2, 3\)"),
        ([1.5], InvalidTypeError, "cells has 1.5"),
    ],
)
def test_cells_that_are_none_are_refused(job, cells, error, said):
    with pytest.raises(error, match=said):
        read_inputs({**job, "cells": cells})


def test_named_cells_without_a_stencil_are_refused(job, sheet, stencil):
    mask = np.zeros(sheet.shape[:2], np.uint8)
    mask[:16, :16] = stencil
    with pytest.raises(MaskGridError, match="the stencil is empty in the chosen cells"):
        read_inputs({**job, "mask": mask, "cells": [1]})


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"variants": 0}, InvalidValueError, "variants is 0; allowed: 1 to 4096"),
        ({"variants": 1.5}, InvalidTypeError, "variants is 1.5"),
        ({"variants": 2, "add_noise": False}, InvalidValueError, "all tries of a cell are the same"),
    ],
)
def test_tries_that_are_none_are_refused(job, change, error, said):
    with pytest.raises(error, match=said):
        read_inputs({**job, **change})


@pytest.mark.parametrize("fork_at", [0, 1, 2])
def test_each_try_is_the_run_with_the_next_seed(maker, job, fork_at):
    options = {**job, "fork_at": fork_at, "steps": 2}
    tries = maker(**options, variants=3, micro_batch=4)
    assert tries.cells == (*range(6),) * 3
    for variant in range(3):
        alone = maker(**{**options, "seed": 3 + variant})
        assert largest_difference(tries.patches[variant * 6 : variant * 6 + 6], alone.patches) <= 1
    assert [each.seed for each in tries.records] == [3] * 6 + [4] * 6 + [5] * 6
    assert [each.variant for each in tries.records] == [0] * 6 + [1] * 6 + [2] * 6


@pytest.mark.parametrize(("rule", "seeds"), [("increment", [3, 4, 5, 6]), ([7, 1], [7, 1, 8, 2])])
def test_seeds_of_tries_count_on(maker, job, rule, seeds):
    forks = maker(**job, cells=[0, 3], variants=2, fork_seeds=rule)
    assert [each.seed for each in forks.records] == seeds
    other = maker(**{**job, "seed": seeds[3]}, cells=[3])
    assert largest_difference(forks.patches[3:], other.patches) <= 1


def test_a_fork_is_found_by_row_column_and_try(maker, job):
    forks = maker(**job, cells=[0, 5], variants=2)
    assert forks.find(1, 2, 1) == 3
    assert np.array_equal(np.asarray(forks[1, 2, 1]), forks.array(3))
    assert np.array_equal(np.asarray(forks[1, 2]), forks.array(1))
    with pytest.raises(IndexError, match="2 forks, and no fork 2 of them"):
        forks[1, 2, 2]
    with pytest.raises(IndexError, match="0 forks"):
        forks[0, 1]
    with pytest.raises(InvalidValueError, match="row 2 does not exist"):
        forks[2, 0]
    with pytest.raises(IndexError, match="a number, or row, column and try"):
        forks[1, 2, 3, 4]


def test_saved_tries_are_made_again(maker, job, tmp_path):
    forks = maker(**{**job, "prompt": ["b", "a"]}, cells=[5, 1], variants=2)
    folder = forks[1:].save(tmp_path / "tries")
    loaded = Forks.load(folder)
    expected = [(5, 0, "b", 3), (1, 1, "a", 4), (5, 1, "b", 4)]
    assert [(each.cell, each.variant, each.prompt, each.seed) for each in loaded.records] == expected
    again = maker.again(folder)
    assert np.array_equal(again.patches, loaded.patches)
    assert [(each.cell, each.variant, each.prompt, each.seed) for each in again.records] == expected
    more = maker.again(folder, variants=3)
    assert len(more) == 6


def test_going_on_from_a_fork(maker, job, tmp_path):
    forks = maker(**{**job, "prompt": ["b", "a"]}, cells=[5, 1], variants=2)
    folder = forks.save(tmp_path / "liked")
    on = maker.again(folder, from_fork=3, denoise=0.5)
    assert np.array_equal(np.asarray(on.original), forks.array(3))
    assert [(each.cell, each.prompt, each.seed) for each in on.records] == [(5, "b", 4), (5, "b", 5)]
    same = maker(**{**job, "image": forks[3], "prompt": "b", "seed": 4}, cells=[5], denoise=0.5)
    assert largest_difference(on.patches[:1], same.patches) <= 1
    elsewhere = maker.again(folder, from_fork=0, cells=[0, 2], variants=1, prompt="c")
    assert [(each.cell, each.prompt) for each in elsewhere.records] == [(0, "c"), (2, "c")]
    saved = on.save(tmp_path / "on")
    assert np.array_equal(maker.again(saved).patches, on.patches)


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [(6, InvalidValueError, "from_fork is 6; allowed: 0 to 5"), ("1", InvalidTypeError, "from_fork is '1'")],
)
def test_a_fork_that_is_not_there_is_nothing_to_go_on_from(maker, job, tmp_path, number, error, said):
    folder = maker(**job).save(tmp_path / "forks")
    with pytest.raises(error, match=said):
        maker.again(folder, from_fork=number)
    with pytest.raises(InvalidTypeError, match="allowed: one of them"):
        repeat_with_image(folder)


def repeat_with_image(folder) -> Forks:
    from maskgrid.result.repeat_runs import repeat_runs

    return repeat_runs(lambda **_: pytest.fail("it ran"), folder, from_fork=1, image="x.png")


def test_the_contact_sheet_of_tries_tells_number_seed_and_prompt(maker, job):
    forks = maker(**{**job, "prompt": ["b", "a"]}, cells=[5, 1], variants=2)
    tries = forks._tries()
    assert [(each.title, [words for _, words in each.tries]) for each in tries] == [
        ("row 0, column 1 · a", ["fork 0 · seed 3", "fork 2 · seed 4"]),
        ("row 1, column 2 · b", ["fork 1 · seed 3", "fork 3 · seed 4"]),
    ]
    assert np.array_equal(tries[1].tries[1][0], forks.array(3)[16:, 32:])
    assert forks.contact_sheet().size[1] > forks[:2].contact_sheet().size[1]
