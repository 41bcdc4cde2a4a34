"""Stochastic samplers: the amount of their noise, and what is left of them without it."""

from functools import partial

import pytest
import torch
from solving import crooked, gaussian_denoiser, gaussian_std, solve, take_steps

from maskgrid.errors import MaskGridError
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import make_sigmas
from maskgrid.sampling.samplers import SAMPLERS
from maskgrid.sampling.samplers.dpm_2 import dpm_2, dpm_2_ancestral
from maskgrid.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from maskgrid.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_sde
from maskgrid.sampling.samplers.euler import euler, euler_ancestral
from maskgrid.sampling.samplers.lcm import lcm
from maskgrid.sampling.samplers.noise import NoNoise, initial_noise, step_noise
from maskgrid.sampling.samplers.res_multistep import res_multistep, res_multistep_ancestral
from maskgrid.sampling.samplers.walk import Solver, Walk

TABLES = {"epsilon": NoiseTable.stable_diffusion(), "flow": NoiseTable.flow(3.0)}
VE = TABLES["epsilon"]
SHAPE = (1, 2, 4, 5)

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def begin(table: NoiseTable) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, sigmas) of a run from pure noise."""
    sigmas = make_sigmas("karras", table, 7)
    return table.start(torch.zeros(SHAPE), initial_noise(SHAPE, 3), sigmas[0]), sigmas


def falling(table: NoiseTable, steps: int) -> torch.Tensor:
    """Sigmas that stay clear of a flow model's 1 and of 0."""
    first, last = (0.98, 0.02) if table.is_flow else (10.0, 0.1)
    return torch.linspace(first ** (1 / 7), last ** (1 / 7), steps + 1) ** 7


STOCHASTIC = [name for name in SAMPLERS if SAMPLERS[name].noise != "none" and SAMPLERS[name].alias_of is None]
# These two add the noise of a variance-exploding model to every model, as ComfyUI does.
VE_ONLY = {"ddpm", "res_multistep_ancestral"}
# A consistency sampler goes to denoised and back, which is no step of an SDE.
MARGINAL = [
    (name, key)
    for name in STOCHASTIC
    for key in TABLES
    if name != "lcm" and (key != "flow" or name not in VE_ONLY)
]


@pytest.mark.parametrize(("name", "key"), MARGINAL)
def test_noise_keeps_the_variance_that_the_sigma_stands_for(name: str, key: str) -> None:
    """With the exact denoiser of Gaussian images, x at every sigma has the model's variance there."""
    table = TABLES[key]
    sigmas = falling(table, 48)
    shape = (1, 4, 40, 40)
    x = initial_noise(shape, 8) * gaussian_std(table, sigmas[0])
    for stop in (12, 36, 48):
        end, _ = take_steps(name, x, sigmas, table, gaussian_denoiser(table), stop=stop)
        assert float(end.std() / gaussian_std(table, sigmas[stop])) == pytest.approx(1, abs=0.07)


@each_table
def test_lcm_noises_denoised_to_the_next_sigma(table: NoiseTable) -> None:
    x, sigmas = begin(table)
    steps = lcm(x, Walk(sigmas, table, step_noise("gaussian", SHAPE, 3, sigmas)))
    next(steps)
    image = torch.full(SHAPE, 0.5)
    again, sigma, _ = steps.send(image)
    assert torch.equal(again, table.noised(image, initial_noise(SHAPE, 4), sigma))


def test_ddpm_is_euler_ancestral_in_other_variables() -> None:
    x, sigmas = begin(VE)
    one, _ = take_steps("ddpm", x, sigmas, VE, crooked)
    other, _ = take_steps("euler_ancestral", x, sigmas, VE, crooked)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@each_table
@pytest.mark.parametrize(
    ("noisy", "calm"),
    [
        (euler_ancestral, euler),
        (dpm_2_ancestral, dpm_2),
        (res_multistep_ancestral, res_multistep),
    ],
)
def test_without_noise_an_ancestral_sampler_is_the_plain_one(
    noisy: Solver, calm: Solver, table: NoiseTable
) -> None:
    x, sigmas = begin(table)
    one = solve(partial(noisy, eta=0.0), x, Walk(sigmas, table), crooked)
    other = solve(calm, x, Walk(sigmas, table), crooked)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_without_noise_the_sde_solvers_are_the_ode_solvers() -> None:
    x, sigmas = begin(VE)
    pairs = [
        (partial(dpmpp_2m_sde, eta=0.0), dpmpp_2m),
        (partial(dpmpp_sde, eta=0.0), partial(dpmpp_2s_ancestral, eta=0.0)),
        (partial(dpmpp_2m_sde_heun, eta=0.0), res_multistep),
    ]
    for one, other in pairs:
        torch.testing.assert_close(
            solve(one, x, Walk(sigmas, VE), crooked),
            solve(other, x, Walk(sigmas, VE), crooked),
            rtol=1e-4,
            atol=1e-5,
        )


@each_table
@pytest.mark.parametrize("name", [name for name in STOCHASTIC if SAMPLERS[name].noise == "brownian"])
def test_more_steps_refine_the_same_brownian_path(name: str, table: NoiseTable) -> None:
    fine = falling(table, 128)
    x = initial_noise(SHAPE, 8) * gaussian_std(table, fine[0])
    ends = {
        stride: take_steps(name, x, fine[::stride].contiguous(), table, gaussian_denoiser(table))[0]
        for stride in (1, 4, 16)
    }
    coarse, medium = ((ends[stride] - ends[1]).norm() for stride in (16, 4))
    assert float(medium) < 0.5 * float(coarse)
    other, _ = take_steps(name, x, fine, table, gaussian_denoiser(table), seed=99)
    assert float((other - ends[1]).norm()) > 3 * float(coarse)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_sampler_that_draws_says_when_it_has_no_noise(name: str) -> None:
    x, sigmas = begin(VE)
    with pytest.raises(MaskGridError, match="the run has none"):
        solve(SAMPLERS[name].solve, x, Walk(sigmas, VE, NoNoise()), crooked)
