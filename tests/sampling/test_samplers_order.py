"""Solvers converge at their order, on a linear denoiser whose probability flow is known in closed form.

The start is exact: multistep solvers get the history that the exact solution had, so that what is measured is
the solver and not its first steps.
"""

import math
from functools import partial

import pytest
import torch
from solving import drive, gaussian_denoiser, gaussian_std, solve
from torch import Tensor

from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers import SAMPLERS
from maskgrid.sampling.samplers.deis import deis
from maskgrid.sampling.samplers.dpm_2 import dpm_2, dpm_2_ancestral
from maskgrid.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from maskgrid.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde, dpmpp_sde
from maskgrid.sampling.samplers.euler import euler, euler_ancestral
from maskgrid.sampling.samplers.heun import heun, heunpp2
from maskgrid.sampling.samplers.ipndm import ipndm, ipndm_v
from maskgrid.sampling.samplers.lms import lms
from maskgrid.sampling.samplers.res_multistep import res_multistep
from maskgrid.sampling.samplers.uni_pc import uni_pc, uni_pc_bh2
from maskgrid.sampling.samplers.walk import Memory, Solver, Walk

VE, FLOW = NoiseTable.stable_diffusion(), NoiseTable.flow()
BEFORE, AFTER = 3, 3


def exact(table: NoiseTable, sigma: Tensor) -> Tensor:
    """The solution that is 1 for clean latents."""
    return gaussian_std(table, sigma).reshape(1, 1, 1, 1)


def slopes(table: NoiseTable, sigmas: Tensor) -> Memory:
    """Derivatives at the steps before the first, newest first."""
    denoise = gaussian_denoiser(table)
    past = [sigmas[BEFORE - k] for k in (1, 2, 3)]
    return {"derivatives": tuple((exact(table, s) - denoise(exact(table, s), s)) / s for s in past)}


def denoised(table: NoiseTable, sigmas: Tensor) -> tuple[Tensor, ...]:
    past = [sigmas[BEFORE - k] for k in (1, 2, 3)]
    return tuple(gaussian_denoiser(table)(exact(table, s), s) for s in past)


def one(table: NoiseTable, sigmas: Tensor) -> Memory:
    return {"denoised": denoised(table, sigmas)[:1]}


def two(table: NoiseTable, sigmas: Tensor) -> Memory:
    return {"denoised": denoised(table, sigmas)[:2]}


def corrected(table: NoiseTable, sigmas: Tensor) -> Memory:
    return {"denoised": denoised(table, sigmas), "corrected": (exact(table, sigmas[BEFORE - 1]),)}


def nothing(table: NoiseTable, sigmas: Tensor) -> Memory:
    return {}


def error(table: NoiseTable, solver: Solver, history, steps: int, *, even: bool) -> float:  # type: ignore[no-untyped-def]
    """How far x is off after these steps, even in sigma or in log sigma."""
    first, last = (0.8, 0.2) if table.is_flow else (6.0, 0.5)
    places = torch.arange(-BEFORE, steps + AFTER + 1, dtype=torch.float64) / steps
    sigmas = first + (last - first) * places if even else first * (last / first) ** places
    # The list goes on a little, so that no solver sees its end and lowers its order.
    walk = Walk(sigmas, table, start=BEFORE, stop=BEFORE + steps, memory=history(table, sigmas))
    x = solve(solver, exact(table, sigmas[BEFORE]), walk, gaussian_denoiser(table))
    return abs(float(x - exact(table, sigmas[BEFORE + steps])))


# solver, its history, its order over steps even in log sigma, and even in sigma if that is another
SOLVERS = {
    "euler": (euler, nothing, 1, 1),
    "euler_ancestral": (partial(euler_ancestral, eta=0.0), nothing, 1, 1),
    "heun": (heun, nothing, 2, 2),
    "heunpp2": (heunpp2, nothing, 1, 1),
    "dpm_2": (dpm_2, nothing, 2, 2),
    "dpm_2_ancestral": (partial(dpm_2_ancestral, eta=0.0), nothing, 2, 2),
    "lms": (lms, slopes, 4, 4),
    "ipndm": (ipndm, slopes, 2, 4),
    "ipndm_v": (ipndm_v, slopes, 3, 3),
    "deis": (deis, slopes, 3, 3),
    "dpmpp_2s_ancestral": (partial(dpmpp_2s_ancestral, eta=0.0), nothing, 2, 2),
    "dpmpp_2m": (dpmpp_2m, one, 2, 2),
    "dpmpp_sde": (partial(dpmpp_sde, eta=0.0), nothing, 2, 2),
    "dpmpp_2m_sde": (partial(dpmpp_2m_sde, eta=0.0), one, 2, 2),
    "dpmpp_2m_sde_heun": (partial(dpmpp_2m_sde_heun, eta=0.0), one, 2, 2),
    "dpmpp_3m_sde": (partial(dpmpp_3m_sde, eta=0.0), two, 2, 2),
    "res_multistep": (res_multistep, one, 2, 2),
    "uni_pc": (uni_pc, corrected, 4, 4),
    "uni_pc_bh2": (uni_pc_bh2, corrected, 4, 4),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_the_error_falls_at_the_solvers_order(name: str) -> None:
    solver, history, uneven, even = SOLVERS[name]
    for is_even, order in ((False, uneven), (True, even)):
        coarse, fine = (error(FLOW, solver, history, steps, even=is_even) for steps in (64, 128))
        assert math.log2(coarse / fine) > order - 0.3, (is_even, coarse, fine)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_error_falls_on_variance_exploding_models_too(name: str) -> None:
    solver, history, order, _ = SOLVERS[name]
    coarse, fine = (error(VE, solver, history, steps, even=False) for steps in (16, 256))
    assert math.log2(coarse / fine) / 4 > order - 0.3, (coarse, fine)


def test_every_solver_without_noise_is_measured() -> None:
    assert {name for name, info in SAMPLERS.items() if info.noise == "none"} - {"ddim"} <= set(SOLVERS)


@pytest.mark.parametrize("name", [name for name, info in SAMPLERS.items() if info.noise == "none"])
def test_a_whole_run_from_noise_converges(name: str) -> None:
    """From the top of the table to sigma 0, the way people run it: ramping up, and ending with denoised."""
    ends = []
    for steps in (20, 160):
        sigmas = torch.cat([torch.linspace(10.0 ** (1 / 7), 0.02 ** (1 / 7), steps) ** 7, torch.zeros(1)])
        walk = Walk(sigmas, VE)
        x = drive(SAMPLERS[name].solve(exact(VE, sigmas[0]), walk), gaussian_denoiser(VE))
        ends.append(abs(float(x) - 1))
    assert ends[1] < 0.02
    assert ends[1] < ends[0] / 4 or ends[1] < 2e-3
