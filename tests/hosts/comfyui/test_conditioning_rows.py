"""Conditioning of several rows."""

from types import SimpleNamespace

import pytest
import torch

from maskgrid.errors import InvalidValueError
from maskgrid.hosts.comfyui.conditioning_rows import conds_of_forks, conds_of_one_fork
from maskgrid.hosts.comfyui.fork_options import ForkOptions, seeds_of


def conds(rows: int, **more) -> dict:
    cross = torch.arange(float(rows)).reshape(rows, 1, 1).expand(-1, 7, 16)
    return {"positive": [{"cross_attn": cross, "pooled_output": cross[:, 0], "strength": 1.0, **more}]}


def rows_of(found: dict) -> list[float]:
    return found["positive"][0]["cross_attn"][:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("rows", "batch", "expected"),
    [(1, 1, [0]), (3, 1, [0]), (3, 2, [0, 1]), (2, 3, [0, 1, 0]), (1, 2, [0])],
)
def test_a_fork_sees_what_a_single_run_sees(rows, batch, expected):
    assert rows_of(conds_of_one_fork(conds(rows), batch)) == expected


def test_row_i_for_fork_i():
    assert rows_of(conds_of_forks(conds(4), [3, 1], 4, 2)) == [3, 3, 1, 1]


def test_one_row_for_all_forks():
    assert rows_of(conds_of_forks(conds(1), [3, 1], 4, 2)) == [0]


def test_another_number_of_rows_than_forks():
    with pytest.raises(InvalidValueError, match="allowed: 4"):
        conds_of_forks(conds(3), [0], 4, 1)


def test_what_was_given_stays():
    given = conds(3)
    conds_of_one_fork(given, 1)
    assert len(given["positive"][0]["cross_attn"]) == 3


def test_hints_of_controlnets_are_cut_along_the_chain():
    first = SimpleNamespace(
        cond_hint_original=torch.zeros(3, 3, 8, 8), cond_hint="old", previous_controlnet=None
    )
    second = SimpleNamespace(cond_hint_original=torch.zeros(1, 3, 8, 8), previous_controlnet=first)
    found = conds_of_one_fork(conds(1, control=second), 1)["positive"][0]["control"]
    cut = found.previous_controlnet
    assert (len(cut.cond_hint_original), cut.cond_hint, len(first.cond_hint_original)) == (1, None, 3)


def test_positive_and_negative_keep_one_controlnet():
    control = SimpleNamespace(cond_hint_original=torch.zeros(3, 3, 8, 8), previous_controlnet=None)
    given = conds(1, control=control)
    found = conds_of_one_fork({**given, "negative": given["positive"]}, 1)
    assert found["positive"][0]["control"] is found["negative"][0]["control"]


def test_a_controlnet_with_one_hint_is_the_same_object():
    control = SimpleNamespace(cond_hint_original=torch.zeros(1, 3, 8, 8), previous_controlnet=None)
    assert conds_of_one_fork(conds(1, control=control), 2)["positive"][0]["control"] is control


@pytest.mark.parametrize(
    ("mode", "fork_at", "start", "expected"),
    [
        ("Sample then Fork", -1, 0, 8),
        ("Fork then Sample", -1, 0, 0),
        ("Fork then Sample", 3, 0, 3),
        ("Sample then Fork", 3, 2, 1),
        ("Sample then Fork", 0, 0, 0),
        ("Fork then Sample", 99, 4, 8),
        ("Sample then Fork", 2, 5, 0),
    ],
)
def test_steps_together(mode, fork_at, start, expected):
    assert ForkOptions(mode=mode, fork_at=fork_at).steps_together(start, 8) == expected


@pytest.mark.parametrize(
    "wrong", [{"mode": "Fork"}, {"rows": 0}, {"coverage": "mean"}, {"fork_at": -2}, {"micro_batch": -1}]
)
def test_options_that_are_none(wrong):
    with pytest.raises(InvalidValueError, match="allowed: "):
        ForkOptions(**wrong)


@pytest.mark.parametrize(
    ("mode", "seeds", "expected"),
    [
        ("same", "", [7, 7, 7]),
        ("increment", "", [7, 8, 9]),
        ("list", "5, 0 18446744073709551615", [5, 0, 2**64 - 1]),
    ],
)
def test_seeds(mode, seeds, expected):
    assert seeds_of(ForkOptions(seed_mode=mode, seeds=seeds), 7, 3) == expected


def test_seeds_wrap_around():
    assert seeds_of(ForkOptions(seed_mode="increment"), 2**64 - 1, 2) == [2**64 - 1, 0]


@pytest.mark.parametrize("seeds", ["", "1 2", "1 2 x", "1 2 -3", "1 2 18446744073709551616"])
def test_seeds_that_are_none(seeds):
    with pytest.raises(InvalidValueError, match="allowed: "):
        seeds_of(ForkOptions(seed_mode="list", seeds=seeds), 7, 3)
