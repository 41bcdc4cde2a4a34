"""KSamplerAdvanced's controls: which sigmas are walked, where the forks part, what is refused."""

from typing import Any

import pytest
import torch
from forking import SD
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling import Controls, LatentFormat
from maskgrid.sampling.controls import choose_seeds
from maskgrid.sampling.noise_levels.schedules import make_sigmas
from maskgrid.sampling.original_node import cut_range

WHOLE = make_sigmas("normal", SD, 8)


def test_a_plain_run_walks_the_schedule() -> None:
    walked = Controls(steps=8).sigma_range(SD)
    assert torch.equal(walked.sigmas, WHOLE)
    assert (walked.stop, walked.first, walked.steps) == (8, 0, 8)


def test_a_late_start_is_a_fresh_list() -> None:
    walked = Controls(steps=8, start_at_step=3).sigma_range(SD)
    assert torch.equal(walked.sigmas, WHOLE[3:])
    assert (walked.stop, walked.first) == (5, 3)


def test_an_early_end_goes_down_to_zero() -> None:
    walked = Controls(steps=8, end_at_step=5).sigma_range(SD)
    assert torch.equal(walked.sigmas, torch.cat([WHOLE[:5], torch.zeros(1)]))
    assert walked.stop == 5
    assert WHOLE[5] > 0, "the schedule itself stays as it is"


def test_leftover_noise_keeps_the_whole_list_in_sight() -> None:
    controls = Controls(steps=8, end_at_step=5, return_with_leftover_noise=True)
    walked = controls.sigma_range(SD)
    assert torch.equal(walked.sigmas, WHOLE)
    assert walked.stop == 5
    cut = cut_range(walked)
    assert torch.equal(cut.sigmas, WHOLE[:6])
    assert cut.stop == 5


def test_denoise_takes_the_end_of_a_longer_schedule() -> None:
    walked = Controls(steps=6, denoise=0.6).sigma_range(SD)
    assert torch.equal(walked.sigmas, make_sigmas("normal", SD, 10)[-7:])
    assert Controls(denoise=0).sigma_range(SD).stop == 0


@given(steps=st.integers(1, 12), start=st.integers(0, 15), length=st.integers(0, 15))
def test_ranges_are_inside_the_schedule(steps: int, start: int, length: int) -> None:
    walked = Controls(steps=steps, start_at_step=start, end_at_step=start + length).sigma_range(SD)
    expected = max(min(start + length, steps) - start, 0)
    assert walked.stop == expected
    assert len(walked.sigmas) == (expected + 1 if expected else 0)
    assert not expected or walked.sigmas[-1] == 0


def test_past_the_end_there_is_nothing_to_walk() -> None:
    for controls in (Controls(steps=8, start_at_step=8), Controls(steps=8, start_at_step=3, end_at_step=3)):
        assert controls.sigma_range(SD).stop == 0


def test_sigmas_of_ones_own() -> None:
    walked = Controls(schedule=[9.0, 4.0, 1.0], steps=50, start_at_step=1).sigma_range(SD)
    assert walked.sigmas.tolist() == [4, 1]
    assert walked.steps == 2


@pytest.mark.parametrize(
    ("mode", "fork_at", "start", "expected"),
    [
        ("Sample then Fork", None, 0, 8),
        ("Fork then Sample", None, 0, 0),
        ("sample", None, 3, 5),
        ("fork", None, 3, 0),
        ("fork", 8, 0, 8),
        ("sample", 0, 0, 0),
        ("sample", 5, 0, 5),
        ("sample", 5, 3, 2),
        ("sample", 2, 3, 0),
    ],
)
def test_where_the_forks_part(mode: str, fork_at: int | None, start: int, expected: int) -> None:
    controls = Controls(steps=8, mode=mode, fork_at=fork_at, start_at_step=start)
    assert controls.part_at(controls.sigma_range(SD)) == expected


def test_fork_at_steps_is_the_end_of_schedules_that_give_more_steps() -> None:
    controls = Controls(steps=6, schedule="ddim_uniform", fork_at=6)
    walked = controls.sigma_range(SD)
    assert walked.steps == 7
    assert controls.part_at(walked) == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "eulr"}, "sampler 'eulr'.*'euler'"),
        ({"sampler": "DPM++ 2M Karras"}, "sampler='dpmpp_2m', schedule='karras'"),
        ({"schedule": "karas"}, "'karras'"),
        ({"mode": "Sample than Fork"}, "'Sample then Fork'"),
        ({"blend": "lepr"}, "'lerp'"),
        ({"sheet_conditioning": "cell"}, "'cells'"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": -3}, "steps is -3"),
        ({"start_at_step": 5, "end_at_step": 4}, "start_at_step is 5 and end_at_step 4"),
        ({"start_at_step": -1}, "start_at_step is -1"),
        ({"end_at_step": -1}, "end_at_step is -1"),
        ({"denoise": float("nan")}, "denoise is nan"),
        ({"denoise": 1.2}, "denoise is 1.2"),
        ({"fork_at": -1}, "fork_at is -1"),
        ({"fork_at": 21}, "fork_at is 21; allowed: 0 to 20"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
    ],
)
def test_numbers_and_names_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        _part(options)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 2.5},
        {"steps": "8"},
        {"start_at_step": 1.0},
        {"end_at_step": True},
        {"fork_at": 0.5},
        {"seed": "7"},
        {"denoise": "1"},
    ],
)
def test_numbers_of_another_kind(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidTypeError, match=next(iter(options))):
        _part(options)


def _part(options: dict[str, Any]) -> int:
    controls = Controls(**options)
    return controls.part_at(controls.sigma_range(SD))


def test_choose_seeds() -> None:
    assert choose_seeds(7, "same", 3) == (7,)
    assert choose_seeds(7, "increment", 3) == (7, 8, 9)
    assert choose_seeds(2**64 - 1, "increment", 2) == (2**64 - 1, 0)
    assert choose_seeds(7, [4, 4, 1], 3) == (4, 4, 1)
    with pytest.raises(InvalidValueError, match="'increment'"):
        choose_seeds(7, "incremental", 3)
    with pytest.raises(InvalidValueError, match="2 seeds; allowed: 3"):
        choose_seeds(7, [1, 2], 3)
    with pytest.raises(InvalidValueError, match=str(2**64)):
        choose_seeds(7, [1, 2, 2**64], 3)


def test_latent_formats_go_both_ways() -> None:
    latents = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for scale, shift in [(0.18215, 0.0), (1.5305, 0.0609), (torch.rand(3, 1, 1) + 0.5, torch.rand(3, 1, 1))]:
        latent_format = LatentFormat(scale, shift)
        torch.testing.assert_close(latent_format.encode(latents), (latents - shift) * scale)
        torch.testing.assert_close(latent_format.decode(latent_format.encode(latents)), latents)


def test_an_empty_latent_is_not_shifted() -> None:
    zeros = torch.zeros(1, 4, 2, 2)
    assert not LatentFormat(1.5305, 0.0609).encode(zeros).any()


@pytest.mark.parametrize(("scale", "shift"), [(0.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_bad_latent_formats(scale: float, shift: float) -> None:
    with pytest.raises(InvalidValueError, match="_factor"):
        LatentFormat(scale, shift)
