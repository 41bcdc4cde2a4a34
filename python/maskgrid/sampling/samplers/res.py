"""The refined exponential solver, multistep (Zhang et al., arXiv 2308.02157)."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.steps import ancestral_levels, move
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["res_multistep", "res_multistep_ancestral"]


def res_multistep_ancestral(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """RES, second order, to below the next sigma, then noise back up to it.

    A two-stage exponential Runge-Kutta step (arXiv 2308.02157) whose other stage is the last
    step's denoised, at c_2 of this step, c_2 < 0. With h the step in lambda = -log(sigma) and phi_k of -h:

        x' = exp(-h) * x + h * ((phi_1 - phi_2 / c_2) * denoised + phi_2 / c_2 * last)

    Flow models take the same form as the others, noise included, as ComfyUI does.
    """
    last = run.recall("denoised")
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        down, up = ancestral_levels(sigma, following, eta)
        if down == 0 or last is None:
            x = move(x, denoised, sigma, down)
        else:
            h = (sigma / down).log()
            c2 = _last_offset(run, i, eta) / h
            phi_1 = torch.expm1(-h) / -h
            phi_2 = (phi_1 - 1) / -h
            x = move(x, denoised, sigma, down) + (last - denoised) * (h * phi_2 / c2)
        if following > 0 and eta > 0:
            x = x + run.noise(sigma, following) * up
        last = run.memory["denoised"] = denoised
    return x


def res_multistep(x: Tensor, run: Run) -> Steps:
    """RES, second order, without noise, see `res_multistep_ancestral`."""
    return res_multistep_ancestral(x, run, eta=0.0)


def _last_offset(run: Run, i: int, eta: float) -> Tensor:
    """How far in lambda the last step's denoised lies from where that step went down to; below 0."""
    before = run.sigmas[i - 1]
    down, _ = ancestral_levels(before, run.sigmas[i], eta)
    return (down / before).log()
