"""DPM-Solver-2 and its ancestral form: a midpoint method over sigma, two evaluations a step."""

from torch import Tensor

from maskgrid.sampling.samplers.ancestral_step import ancestral_split
from maskgrid.sampling.samplers.euler_step import derivative, move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["dpm_2", "dpm_2_ancestral"]


def dpm_2(x: Tensor, walk: Walk) -> Steps:
    """DPM-Solver-2 (Lu et al., arXiv 2206.00927, algorithm 1) as a midpoint method over sigma.

    The midpoint is the geometric mean of the two sigmas; the step over it takes the derivative there.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        if following == 0:
            x = denoised
            continue
        middle = (sigma * following).sqrt()
        halfway = move(x, denoised, sigma, middle)
        denoised = yield halfway, middle, step
        x = x + derivative(halfway, middle, denoised) * (following - sigma)
    return x


def dpm_2_ancestral(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """DPM-Solver-2 to below the next sigma, then noise back up to it (see `dpm_2`, `euler_ancestral`)."""
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        down, up, keep = ancestral_split(walk, sigma, following, eta)
        if down == 0:
            x = denoised
            continue
        middle = (sigma * down).sqrt()
        halfway = move(x, denoised, sigma, middle)
        denoised = yield halfway, middle, step
        x = x + derivative(halfway, middle, denoised) * (down - sigma)
        if eta > 0:
            x = x * keep + walk.noise(sigma, following) * up
    return x
