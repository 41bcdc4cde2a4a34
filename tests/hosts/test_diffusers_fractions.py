"""Arguments that name a fraction of a run, wherever the forks part."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import QUIET, SIZE, cached
from forking_hosts import fork_latents, relative
from torch import Tensor

from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.sampling import prepare_continuation

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]


def runs_that_agree(host: DiffusersHost, told: dict[str, Any], sampler: str) -> list[Tensor]:
    """One run in four ways: whole, forked at two steps, and cut in two with leftover noise."""
    white = {"masks": torch.ones(1, 1, *SIZE), "sampler": sampler, "steps": 7}
    whole = [fork_latents(host, told, fork_at=step, **white).latents for step in (0, 2, 5)]
    first = fork_latents(host, told, mode="fork", end_at_step=3, return_with_leftover_noise=True, **white)
    return [*whole, host.run(prepare_continuation(first), 7, told).latents]


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize(
    ("family", "fractions"),
    [
        ("controlnet", {"control_guidance_end": 0.5}),
        ("controlnet", {"control_guidance_start": 0.4, "control_guidance_end": 0.6}),
        ("controlnet", {"control_guidance_start": [0.75], "control_guidance_end": 1.0}),
        ("controlnet", {"control_guidance_end": 0.1}),
        ("lumina2", {"cfg_trunc_ratio": 0.5}),
        ("sd3", {"skip_guidance_layers": [0]}),
        (
            "sd3",
            {"skip_guidance_layers": [0], "skip_layer_guidance_start": 0.3, "skip_layer_guidance_stop": 0.8},
        ),
    ],
)
def test_a_fraction_of_the_run_is_that_wherever_the_forks_part(family, fractions, sampler):
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    whole, *others = runs_that_agree(host, {**told, **fractions}, sampler)
    plain, *_ = runs_that_agree(host, told, sampler)
    assert relative(plain, whole) > 1e-4 or fractions == {"control_guidance_end": 0.1}
    assert all(relative(other, whole) < 1e-5 for other in others)


@pytest.mark.parametrize("wrong", [{"control_guidance_end": 1.5}, {"control_guidance_start": 1.0}])
def test_a_fraction_out_of_range_is_refused_by_the_pipeline(wrong):
    pipe, told = cached("controlnet")
    with pytest.raises(ValueError, match="control guidance"):
        fork_latents(DiffusersHost(pipe), {**told, **wrong}, fork_at=1)
