"""The refined exponential solver, multistep (Zhang et al., arXiv 2308.02157)."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.ancestral_step import ancestral_levels
from maskgrid.sampling.samplers.euler_step import move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["res_multistep", "res_multistep_ancestral"]


def res_multistep_ancestral(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """RES, second order, to below the next sigma, then noise back up to it.

    A two-stage exponential Runge-Kutta step (arXiv 2308.02157) whose other stage is the last
    step's denoised, at c_2 of this step, c_2 < 0. With h the step in lambda = -log(sigma) and phi_k of -h:

        x' = exp(-h) * x + h * ((phi_1 - phi_2 / c_2) * denoised + phi_2 / c_2 * last)

    Flow models take the same form as the others, noise included, as ComfyUI does.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        past = walk.recall("denoised")
        down, up = ancestral_levels(sigma, following, eta)
        if down == 0 or not past:
            x = move(x, denoised, sigma, down)
        else:
            h = (sigma / down).log()
            c2 = _last_offset(walk, step, eta) / h
            phi_1 = torch.expm1(-h) / -h
            phi_2 = (phi_1 - 1) / -h
            x = move(x, denoised, sigma, down) + (past[0] - denoised) * (h * phi_2 / c2)
        if following > 0 and eta > 0:
            x = x + walk.noise(sigma, following) * up
        walk.remember("denoised", denoised)
    return x


def res_multistep(x: Tensor, walk: Walk) -> Steps:
    """RES, second order, without noise, see `res_multistep_ancestral`."""
    return res_multistep_ancestral(x, walk, eta=0.0)


def _last_offset(walk: Walk, step: int, eta: float) -> Tensor:
    """How far in lambda the last step's denoised lies from where that step went down to; below 0."""
    before = walk.sigmas[step - 1]
    down, _ = ancestral_levels(before, walk.sigmas[step], eta)
    return (down / before).log()
