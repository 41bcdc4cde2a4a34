"""Records that are true: what made each fork is kept through slices, sums and files, and made again."""

import numpy as np
import pytest
import torch

from maskgrid import Forks
from maskgrid.errors import InvalidValueError, MaskGridError
from maskgrid.mask_grid import repeat
from maskgrid.result.fork_records import plain_settings
from maskgrid.result.repeat_runs import recorded_model, recorded_runs, repeat_runs

PROMPTS = ["a", "bb", "ccc", "dddd", "e f", "g h i"]


def run(maker, sheet, stencil, **options) -> Forks:
    options = {
        "rows": 2,
        "columns": 3,
        "prompt": "a sad face",
        "mode": "fork",
        "steps": 2,
        "seed": 3,
        **options,
    }
    return maker(image=sheet, mask=stencil, **options)


def told(forks: Forks) -> list[tuple[int, str | None, int | None]]:
    return [(record.cell, record.prompt, record.seed) for record in forks.records]


def test_each_fork_has_its_own_prompt_and_seed(maker, sheet, stencil):
    forks = run(
        maker, sheet, stencil, prompt=PROMPTS, fork_seeds="increment", negative_prompt=[["x"] * 3] * 2
    )
    assert told(forks) == [(cell, PROMPTS[cell], 3 + cell) for cell in range(6)]
    assert forks.records[4].own == {"prompt": "e f", "negative_prompt": "x", "seed": 7}
    assert told(forks[4:1:-2]) == [(4, "e f", 7), (2, "ccc", 5)]
    seeds = run(maker, sheet, stencil, fork_seeds=np.arange(6).reshape(2, 3) + 10)
    assert told(seeds)[5] == (5, "a sad face", 15)


def test_a_fork_of_a_cell_that_comes_later_has_the_seed_it_was_made_with(maker, sheet, stencil):
    mask = np.zeros(sheet.shape[:2], np.uint8)
    mask[:16, 16:32], mask[16:, :16] = stencil, stencil
    forks = run(maker, sheet, mask, prompt=PROMPTS, fork_seeds="increment")
    assert told(forks) == [(1, "bb", 3), (3, "dddd", 4)]
    alone = run(maker, sheet, mask, prompt="dddd", seed=4)
    assert np.abs(alone.patches[1].astype(int) - forks.patches[1]).max() <= 1


def test_sums_keep_what_made_each_of_their_forks(maker, sheet, stencil, tmp_path):
    one = run(maker, sheet, stencil, prompt=PROMPTS, sampler="dpmpp_2m")
    other = run(maker, sheet, 255 - stencil, prompt="else", seed=9, steps=3)
    both = other[5:] + one[1:3] + other[:1]
    expected = [(5, "else", 9), (1, "bb", 3), (2, "ccc", 3), (0, "else", 9)]
    assert told(both) == expected
    assert told(Forks.load(both.save(tmp_path / "both"))) == expected
    assert both.settings["columns"] == 3
    assert not {"prompt", "seed", "sampler", "steps"} & set(both.settings)
    again = maker.again(tmp_path / "both")
    assert told(again) == expected
    assert np.array_equal(again.patches, both.patches)
    assert np.array_equal(again.records[0].run.stencil, 255 - stencil)
    assert again.stencil is None


@pytest.mark.parametrize("options", [{"mode": "sample"}, {"fork_at": 1}, {"fork_seeds": "increment"}])
def test_a_part_that_was_saved_is_made_again_as_this_part(maker, sheet, stencil, tmp_path, options):
    part = run(maker, sheet, stencil, prompt=PROMPTS, **options)[4:0:-2]
    part.save(tmp_path / "part")
    again = maker.again(tmp_path / "part")
    assert again.cells == (4, 2)
    assert np.array_equal(again.patches, part.patches)
    again.save(tmp_path / "again")
    assert np.array_equal(maker.again(tmp_path / "again").patches, part.patches)
    loaded = Forks.load(tmp_path / "part")
    loaded.save(tmp_path / "loaded")
    assert np.array_equal(maker.again(tmp_path / "loaded" / "manifest.json").patches, part.patches)


def test_changes_are_for_the_forks_of_the_folder_unless_they_move_the_cells(maker, sheet, stencil, tmp_path):
    (run(maker, sheet, stencil)[1:3] + run(maker, sheet, stencil, seed=4)[2:3]).save(tmp_path / "out")
    changed = maker.again(tmp_path / "out", prompt="else", seed=8)
    assert told(changed) == [(1, "else", 8), (2, "else", 8), (2, "else", 8)]
    assert len(maker.again(tmp_path / "out", rows=1, columns=1, mask=np.ones((32, 48), bool))) == 2
    with pytest.raises(InvalidValueError, match="rows"):
        maker.again(tmp_path / "out", rows=0)


def test_an_error_carries_what_earlier_runs_made(maker, sheet, stencil, tmp_path):
    both = run(maker, sheet, stencil)[1:2] + run(maker, sheet, stencil, seed=4, micro_batch=2)[1:4]
    both.save(tmp_path / "out")
    calls = []

    def fail_in_the_second_run(progress):
        calls.append(progress.forks)
        if progress.forks == (2, 3):
            raise ValueError("a callback of somebody's")

    with pytest.raises(ValueError, match="somebody") as caught:
        maker.again(tmp_path / "out", callback=fail_in_the_second_run)
    assert told(caught.value.result) == [(1, "a sad face", 3), (1, "a sad face", 4)]
    assert np.array_equal(caught.value.result.patches, both.patches[:2])


def test_pipelines_arguments_and_small_arrays_are_recorded():
    settings = {
        "a": {"scale": 0.5, "of": [1, (2, None)]},
        "b": np.arange(4).reshape(2, 2),
        "c": np.float32(2),
    }
    settings |= {"d": torch.arange(2), "e": {1: 2}, "f": np.zeros((2, 2)), "g": float("inf"), "h": b"x"}
    assert plain_settings(settings) == {
        "a": {"scale": 0.5, "of": [1, [2, None]]},
        "b": [[0, 1], [2, 3]],
        "c": 2.0,
        "d": [0, 1],
        "not_recorded": ["e", "f", "g", "h"],
    }


def test_what_cannot_be_repeated_says_why(maker, forks, sheet, stencil, tmp_path):
    pixels = np.asarray(forks.original), forks.patches, forks.cells, forks.grid, forks.tint
    Forks(*pixels, settings={"seed": 1}).save(tmp_path / "without")
    with pytest.raises(MaskGridError, match="without a stencil"):
        recorded_runs(tmp_path / "without")
    run(maker, sheet, stencil, noise=torch.zeros(1, 4, 16, 24)).save(tmp_path / "noise")
    with pytest.raises(MaskGridError, match="can't hold noise"):
        maker.again(tmp_path / "noise")
    one = Forks(*pixels, stencil=stencil, settings={"pipeline": {"model": "one"}})
    two = Forks(*pixels, stencil=stencil, settings={"pipeline": {"model": "two"}})
    (one + two).save(tmp_path / "models")
    assert recorded_model(one.save(tmp_path / "one")) == {"model": "one"}
    with pytest.raises(MaskGridError, match=r"several models \(one, two\)"):
        repeat(tmp_path / "models")
    run(maker, sheet, stencil)[:2].save(tmp_path / "lost")
    mask = np.zeros(sheet.shape[:2], np.uint8)
    mask[:16, :16] = stencil
    other = run(maker, sheet, mask)
    with pytest.raises(MaskGridError, match=r"cells \[1\], which its run no longer gives"):
        repeat_runs(lambda **arguments: other, tmp_path / "lost")
