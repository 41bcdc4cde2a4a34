"""Euler's method, which is DDIM in these variables, and its ancestral form: one evaluation a step."""

from torch import Tensor

from maskgrid.sampling.samplers.ancestral_step import ancestral_split
from maskgrid.sampling.samplers.euler_step import move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["euler", "euler_ancestral"]


def euler(x: Tensor, walk: Walk) -> Steps:
    """Euler's method (Karras et al., arXiv 2206.00364, algorithm 1 without its second half).

    In these variables it is DDIM with eta 0 too (Song et al., arXiv 2010.02502, eq. 13).
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        x = move(x, denoised, sigma, following)
    return x


def euler_ancestral(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """Euler's method to below the next sigma, then noise back up to it.

    That is DDIM with its eta (Song et al., arXiv 2010.02502, eq. 12 and 16), ancestral sampling at eta 1; for
    flow models see `ancestral_split`.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        down, up, keep = ancestral_split(walk, sigma, following, eta)
        x = move(x, denoised, sigma, down)
        if down > 0 and eta > 0:
            x = x * keep + walk.noise(sigma, following) * up
    return x
