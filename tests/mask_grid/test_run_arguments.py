"""The arguments of a run: one list for signatures and type checkers; foreign words; the pipeline's own."""

import copy
import inspect
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

import maskgrid
from maskgrid import MaskGrid
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.run_arguments import ARGUMENT_NAMES, RunArguments, RunOptions, call_signature, split_options
from maskgrid.sampling import SAMPLERS, SCHEDULES
from maskgrid.sampling.controls import MODES, ControlOptions, Controls
from maskgrid.sampling.forking.fork_masks import BLENDS

GOOD = """
from typing import Any, assert_type
import maskgrid
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

def wider(drawn: NDArray[np.bool_], on_device: Tensor) -> None:
    assert_type(maskgrid.masks.grow(drawn, 1), NDArray[Any])
    assert_type(maskgrid.masks.feather(on_device, 1), Tensor)

def forks(pipe: Any, settings: dict[str, Any]) -> maskgrid.Forks:
    maker = maskgrid.MaskGrid(pipe)
    maker(**settings)
    return maker(image="a.png", mask="b.png", rows=2, prompt=["a", "b"], sampler="dpmpp_2m",
        schedule=[14.0, 1.0, 0.0], mode="fork", callback=lambda progress: progress.step < 3,
        decode_callback=lambda done, count: print(done), pipe_kwargs={"eta": 1}, fork_seeds=[1, 2])
"""


def make(maker, sheet, stencil, **options):
    job = {"rows": 2, "columns": 3, "prompt": "a sad face", "steps": 1, "mode": "fork", **options}
    return maker(image=sheet, mask=stencil, **job)


def test_type_checkers_and_the_engine_have_the_same_controls():
    names = {each.name for each in fields(Controls)} - {"scaling_factor", "shift_factor"}
    assert set(get_type_hints(ControlOptions)) == names


@pytest.mark.parametrize(
    ("control", "allowed"),
    [("sampler", SAMPLERS), ("schedule", SCHEDULES), ("mode", MODES), ("blend", BLENDS)],
)
def test_type_checkers_and_the_engine_have_the_same_names(control, allowed):
    hint = get_type_hints(ControlOptions)[control]
    literal = get_args(hint)[0] if control == "schedule" else hint
    assert list(get_args(literal)) == list(allowed)


def test_type_checkers_and_the_run_have_the_same_arguments():
    assert set(get_type_hints(RunArguments)) == set(ARGUMENT_NAMES)


def test_the_signature_shows_every_argument_with_its_type_and_default(maker):
    shown = inspect.signature(MaskGrid.__call__).parameters
    assert list(shown) == ["self", *ARGUMENT_NAMES]
    assert list(inspect.signature(maker).parameters) == list(ARGUMENT_NAMES)
    assert shown["steps"].default == Controls().steps
    assert shown["rows"].default == RunOptions().rows
    assert "dpmpp_2m" in get_args(shown["sampler"].annotation)


def test_every_argument_is_described_or_is_a_control():
    described = str(MaskGrid.__call__.__doc__)
    controls = {each.name for each in fields(Controls)}
    missing = [name for name in ARGUMENT_NAMES if name not in controls and f"{name}:" not in described]
    assert missing == ["prompt_2", "negative_prompt_2", "prompt_3", "negative_prompt_3"]


def check_types(script: str, folder: Path) -> str:
    (folder / "script.py").write_text(script)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(folder.parent / "mypy"),
        "script.py",
    ]
    environment = {"MYPYPATH": str(Path(maskgrid.__file__).parent.parent), "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    # What mypy says of the package itself depends on how that is installed.
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if line.startswith("script.py"))


def test_a_type_checker_accepts_a_right_script_and_finds_each_wrong_argument(tmp_path):
    wrong = (
        'sampler="nonsense"',
        'schedule="nonsense"',
        'mode="nonsense"',
        'blend="nonsense"',
        'coverage="nonsense"',
        'rows="2"',
        "prompt=7",
        "promt='a face'",
        "scheduler='karras'",
    )
    calls = [f'maskgrid.MaskGrid(None)(image="a.png", mask="b.png", {argument})' for argument in wrong]
    said = check_types("\n".join([GOOD, *calls, 'maskgrid.MaskGrid(None)(image="a.png")']), tmp_path)
    first = GOOD.count("\n") + 2
    lines = [int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line]
    assert lines == list(range(first, first + len(wrong) + 1)), said


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("scheduler", "schedule"),
        ("strength", "denoise"),
        ("num_inference_steps", "steps"),
        ("guidance_scale", "cfg"),
        ("mask_image", "mask"),
        ("fork_seed", "fork_seeds"),
        ("generator", "seed"),
        ("sampler_name", "sampler"),
        ("promt", "prompt"),
        ("negative_promt", "negative_prompt"),
        ("colums", "columns"),
        ("micro_batches", "micro_batch"),
    ],
)
def test_foreign_and_misspelt_words_are_answered_with_ours(maker, sheet, stencil, word, ours):
    with pytest.raises(InvalidTypeError, match=rf"{word} .*(did you mean {ours}\?|allowed: {ours}$)"):
        make(maker, sheet, stencil, **{word: 1})


@pytest.mark.parametrize("word", ["width", "height", "output_type", "return_dict", "scaling_factor"])
def test_what_no_run_can_be_told_says_why(word):
    with pytest.raises(InvalidTypeError, match=f"^{word} is no argument of a run: "):
        split_options({word: 1})


def test_guidance_is_given_once(maker, sheet, stencil):
    with pytest.raises(InvalidTypeError, match="cfg and guidance_scale are both given"):
        make(maker, sheet, stencil, cfg=2.0, guidance_scale=9.0)
    with pytest.raises(InvalidTypeError, match="cfg and guidance_scale are both given"):
        make(maker, sheet, stencil, cfg=2.0, pipe_kwargs={"guidance_scale": 9.0})
    ours = make(maker, sheet, stencil, cfg=3.0)
    theirs = make(maker, sheet, stencil, pipe_kwargs={"guidance_scale": 3.0})
    assert np.array_equal(ours.patches, theirs.patches)


def test_what_goes_to_the_pipeline_is_told_apart_or_matched_by_name(maker, sheet, stencil):
    plain = make(maker, sheet, stencil)
    by_name = make(maker, sheet, stencil, guidance_rescale=0.7)
    apart = make(maker, sheet, stencil, pipe_kwargs={"guidance_rescale": 0.7})
    assert not np.array_equal(plain.patches, by_name.patches)
    assert np.array_equal(apart.patches, by_name.patches)
    assert apart.settings == by_name.settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pipe_kwargs": {"prompt": "a"}}, "prompt is among pipe_kwargs; allowed: prompt as an argument"),
        ({"pipe_kwargs": {"clip_skip": 1}, "clip_skip": 1}, "clip_skip is among pipe_kwargs"),
        ({"pipe_kwargs": [("a", 1)]}, "pipe_kwargs is"),
        ({"pipe_kwargs": {1: 2}}, "pipe_kwargs is"),
    ],
)
def test_pipe_kwargs_are_the_pipelines_own(given, said):
    with pytest.raises(InvalidTypeError, match=said):
        split_options(given)


def test_what_the_pipeline_does_not_take_is_refused_before_the_sheet_is_encoded(
    maker, sheet, stencil, monkeypatch
):
    monkeypatch.setattr(maker.host, "encode", lambda pixels: pytest.fail("encoded"))
    with pytest.raises(InvalidTypeError, match="does not take zzz"):
        make(maker, sheet, stencil, pipe_kwargs={"zzz": 1})
    with pytest.raises(InvalidTypeError, match="latents can't be given"):
        make(maker, sheet, stencil, pipe_kwargs={"latents": 1})


def test_a_maker_is_pickled_and_copied_with_its_pipeline(model_folder, sheet, stencil):
    first = MaskGrid.load(model_folder, device="cpu")
    again = pickle.loads(pickle.dumps(first))
    assert again.host.pipe is not first.host.pipe
    forks, same = make(first, sheet, stencil), make(again, sheet, stencil)
    assert np.array_equal(forks.patches, same.patches)
    assert forks.settings == same.settings
    assert copy.copy(first).host.pipe is first.host.pipe


def test_a_signature_is_of_the_class_that_it_gives():
    assert call_signature(int).return_annotation is int


def test_a_control_is_checked_when_the_options_are_split():
    with pytest.raises(InvalidValueError, match=r"Did you mean 'euler'\?"):
        split_options({"sampler": "eulr"})
