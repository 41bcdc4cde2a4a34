"""What is known before a model is: sheets, stencils, numbers, texts; and what is known with its stride."""

import warnings

import numpy as np
import pytest

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, MaskGridWarning
from maskgrid.run_inputs import read_inputs
from maskgrid.run_plan import plan_run


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"image": None}, InvalidTypeError, "image is missing"),
        ({"mask": None}, InvalidTypeError, "mask is missing"),
        ({"image": "none.png"}, MaskGridError, "there is no file none.png"),
        ({"rows": 0}, InvalidValueError, "rows is 0; allowed: 1 or more"),
        ({"columns": 2.0}, InvalidTypeError, "columns is 2.0"),
        ({"rows": 5}, InvalidValueError, "mask is 16 x 16"),
        ({"gap": 99}, InvalidValueError, "gap"),
        ({"mask": np.zeros((16, 16), bool)}, MaskGridError, "the stencil is empty"),
        ({"mask": np.full((16, 16), np.nan, np.float32)}, MaskGridError, "NaN"),
        ({"prompt": None}, InvalidValueError, "prompt is missing"),
        ({"prompt": ["a", "b"]}, InvalidValueError, "prompt has 2 items; allowed: one for all, or 6 items"),
        ({"prompt": ["a", None, "b", "c", "d", "e"]}, InvalidTypeError, "prompt has None for cell 1"),
        ({"negative_prompt": [["a"]]}, InvalidValueError, "negative_prompt is a table of 1 rows"),
        ({"prompt": 7}, InvalidTypeError, "prompt is int; allowed: a text"),
        ({"fork_seeds": [1, 2]}, InvalidValueError, "fork_seeds has 2 items"),
        ({"fork_seeds": [1, 2, 3, 4, 5, -1]}, InvalidValueError, "fork_seeds of cell 5 is -1"),
        ({"coverage": "centre"}, InvalidValueError, "centre"),
        ({"feather": -1}, InvalidValueError, "feather is -1"),
        ({"feather": "2"}, InvalidTypeError, "feather is '2'"),
        ({"feather": float("nan")}, InvalidValueError, "feather is nan"),
        ({"cfg": float("inf")}, InvalidValueError, "cfg is inf"),
        ({"micro_batch": 0}, InvalidValueError, "micro_batch is 0"),
        ({"fork_at": 21}, InvalidValueError, "fork_at is 21; allowed: 0 to 20"),
        ({"fork_at": -1}, InvalidValueError, "fork_at is -1"),
        ({"fork_at": 3, "schedule": [1.0, 0.5, 0.0]}, InvalidValueError, "fork_at is 3; allowed: 0 to 2"),
        ({"steps": 0}, InvalidValueError, "steps is 0"),
        ({"denoise": 2}, InvalidValueError, "denoise is 2"),
        ({"seed": -1}, InvalidValueError, "seed is -1"),
        ({"start_at_step": 3, "end_at_step": 2}, InvalidValueError, "start_at_step is 3"),
        ({"start_at_step": 25}, InvalidValueError, "none is left; allowed: a start before the end"),
        ({"steps": 4, "end_at_step": 9, "start_at_step": 4}, InvalidValueError, "the steps end at 4"),
        ({"callback": 1}, InvalidTypeError, "callback is int; allowed: a function"),
        ({"control_image": np.zeros((8, 9), np.uint8)}, InvalidValueError, "control_image is 8 x 9 px"),
        ({"reference_image": "none.png"}, MaskGridError, "reference_image: there is no file none.png"),
        ({"guidance_scale": 2}, InvalidTypeError, "did you mean cfg"),
    ],
)
def test_what_no_model_could_do_is_refused_without_one(job, change, error, said):
    with pytest.raises(error, match=said):
        read_inputs(job | change)


def test_embeddings_stand_in_for_a_prompt(job):
    del job["prompt"]
    assert read_inputs({**job, "prompt_embeds": np.zeros((1, 8, 16))}).texts == {}


def test_texts_and_seeds_are_brought_to_the_cells(job):
    table = [["a", "b", "c"], ["d", "e", "f"]]
    inputs = read_inputs(job | {"prompt": table, "fork_seeds": np.arange(6).reshape(2, 3)})
    assert inputs.texts == {"prompt": list("abcdef")}
    assert inputs.seeds == [0, 1, 2, 3, 4, 5]


def thin(*cells: int) -> np.ndarray:
    """Discs in a sheet of 2 x 3 cells; in these cells a line that the coverage "center" loses at stride 8."""
    mask = np.zeros((6, 16, 16), np.uint8)
    mask[:, 4:12, 4:12] = 255
    for cell in cells:
        mask[cell] = 0
        mask[cell, :, 0] = 255
    return mask


def test_cells_that_the_coverage_loses_are_named(job):
    inputs = read_inputs(job | {"mask": thin(1, 5)})
    lost = r"cells \(row, column\) \(0, 1\), \(1, 2\): coverage 'center' loses"
    said = rf"{lost} .* stride 8; allowed: coverage 'max'"
    with pytest.warns(MaskGridWarning, match=said):
        plan = plan_run(inputs, stride=8)
    assert plan.forks.lost == (1, 5)


def test_where_nothing_is_lost_nothing_is_said(job):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan_run(read_inputs(job | {"mask": thin(1, 5), "coverage": "max"}), stride=8)
        plan_run(read_inputs(job | {"mask": thin(1, 5)}), stride=2)


def test_a_stencil_that_is_lost_everywhere_is_an_error(job):
    inputs = read_inputs(job | {"mask": thin(*range(6))})
    with pytest.raises(
        MaskGridError, match="too thin for coverage 'center': at stride 8 nothing of it is left"
    ):
        plan_run(inputs, stride=8)


def test_a_run_warns_of_lost_cells_and_leaves_them_as_they_were(maker, job):
    mask = thin(4)
    mask[4] = 0
    # At stride 2 the coverage reads the middle of each latent cell's 2 x 2 pixels; "min" does not.
    mask[4, :, 5] = 255
    with pytest.warns(MaskGridWarning, match=r"\(1, 1\)"):
        forks = maker(**job | {"mask": mask}, coverage="min", steps=1, mode="fork")
    assert np.array_equal(forks.latents[4], forks.latents.image_latents)
