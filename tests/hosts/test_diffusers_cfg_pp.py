"""Samplers with CFG++ in pipelines: the answer without the condition, and where it can't be seen."""

import pytest
import torch
from families import FAMILIES, QUIET, SIZE, cached
from forking_hosts import fork_latents, relative, sheet, stencils

from maskgrid.errors import InvalidValueError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.guided_network import GuidedNetwork
from maskgrid.sampling import SAMPLERS, sample_forks
from maskgrid.sampling.noise_levels.schedules import make_sigmas

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]

CFG_PP = sorted(name for name, info in SAMPLERS.items() if info.needs_uncond)
UNSEEN = {
    "flux": "the guidance is in the network",
    "flux2": "the guidance is in the network",
    "qwen": "not plainly classifier-free",
    "lumina2": "not plainly classifier-free",
}
# Their guided answer is cond + g (cond - uncond).
PLUS_ONE = ("z_image", "krea2", "krea2_distilled")


@pytest.mark.parametrize("sampler", CFG_PP)
@pytest.mark.parametrize("family", ["sd", "sd_v"])
def test_a_pipeline_gives_what_its_network_alone_gives(family, sampler):
    pipe, told = cached(family)
    host, options = DiffusersHost(pipe), {"sampler": sampler, "fork_at": 1}
    table = host.table(SIZE, 3)
    texts = (told["prompt_embeds"], told["negative_prompt_embeds"])
    network = GuidedNetwork(pipe.unet, table, *texts, cfg=told["guidance_scale"])
    grid = {"rows": 2, "columns": 2}
    expected = sample_forks(network, sheet(host), stencils(), table=table, steps=3, seed=3, **grid, **options)
    result = fork_latents(host, told, **options)
    assert relative(result.latents, expected.latents) < 1e-5


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in UNSEEN])
def test_a_step_goes_along_the_answer_without_the_condition(family):
    """It is further than Euler's by to / sigma x alpha x (guided - uncond), alpha being that of sigma.

    What guided - uncond is follows from Euler's steps with two scales, as guidance is linear in its scale.
    """
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    table = host.table(SIZE, 4)
    sigma, to = (float(each) for each in make_sigmas("normal", table, 4)[1:3])

    def step(sampler: str, cfg: float) -> torch.Tensor:
        controls = {"start_at_step": 1, "end_at_step": 2, "return_with_leftover_noise": True, "mode": "fork"}
        conditioning = {**told, host.family.cfg: cfg}
        white = torch.ones(1, 1, *SIZE)
        forks = fork_latents(host, conditioning, masks=white, sampler=sampler, steps=4, **controls)
        return forks.latents.double()

    euler = step("euler", 3)
    alpha = 1 - sigma if table.is_flow else 1.0
    guidance = (step("euler", 6) - euler) / (1 - to / sigma) * (4 / 3 if family in PLUS_ONE else 1)
    assert relative(step("euler_cfg_pp", 3) - euler, to / sigma * alpha * guidance) < 1e-3


@pytest.mark.parametrize(("family", "reason"), UNSEEN.items())
def test_where_it_can_not_be_seen_the_error_says_why(family, reason):
    pipe, told = cached(family)
    with pytest.raises(InvalidValueError, match=f"{reason}.*allowed: .*or sampler 'euler'"):
        fork_latents(DiffusersHost(pipe), told, sampler="euler_cfg_pp")


def test_without_guidance_there_is_nothing_to_see():
    pipe, told = cached("sd")
    with pytest.raises(InvalidValueError, match="cfg is 1 or less"):
        fork_latents(DiffusersHost(pipe), {**told, "guidance_scale": 1.0}, sampler="euler_cfg_pp")


def test_rescaled_guidance_is_not_taken_for_the_plain_one():
    pipe, told = cached("sd")
    with pytest.raises(InvalidValueError, match="not plainly classifier-free"):
        fork_latents(DiffusersHost(pipe), {**told, "guidance_rescale": 0.7}, sampler="euler_cfg_pp")


def test_the_network_is_left_without_hooks():
    pipe, told = cached("sd")
    with pytest.raises(InvalidValueError, match="cfg is 1 or less"):
        fork_latents(DiffusersHost(pipe), {**told, "guidance_scale": 1.0}, sampler="euler_cfg_pp")
    fork_latents(DiffusersHost(pipe), told, sampler="euler_cfg_pp")
    assert not pipe.unet._forward_hooks


def test_a_sampler_that_chooses_its_steps_is_refused_and_one_with_planned_steps_runs():
    pipe, told = cached("sd")
    host = DiffusersHost(pipe)
    with pytest.raises(
        InvalidValueError, match=r"'dpm_adaptive' chooses its steps by what the network answers"
    ):
        fork_latents(host, told, sampler="dpm_adaptive")
    table, texts = host.table(SIZE, 3), (told["prompt_embeds"], told["negative_prompt_embeds"])
    network = GuidedNetwork(pipe.unet, table, *texts, cfg=told["guidance_scale"])
    options = {"steps": 3, "seed": 3, "sampler": "dpm_fast", "rows": 2, "columns": 2}
    expected = sample_forks(network, sheet(host), stencils(), table=table, **options)
    assert relative(fork_latents(host, told, sampler="dpm_fast").latents, expected.latents) < 1e-5
