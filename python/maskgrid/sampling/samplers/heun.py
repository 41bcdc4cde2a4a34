"""Heun's method and Heun++: two or three evaluations a step, whose derivatives dx/dsigma are averaged."""

from torch import Tensor

from maskgrid.sampling.samplers.euler_step import derivative, move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["heun", "heunpp2"]


def heun(x: Tensor, walk: Walk) -> Steps:
    """Heun's method (Karras et al., arXiv 2206.00364, algorithm 1); a step to sigma 0 is Euler's."""
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        if following == 0:
            x = denoised
            continue
        d = derivative(x, sigma, denoised)
        ahead = x + d * (following - sigma)
        denoised = yield ahead, following, step
        x = x + (d + derivative(ahead, following, denoised)) * ((following - sigma) / 2)
    return x


def heunpp2(x: Tensor, walk: Walk) -> Steps:
    """Heun++ (github.com/Carzit/sd-webui-samplers-scheduler): Heun's method that looks two steps ahead.

    It averages the derivatives here, at the following sigma and at the one after that; the further two weigh
    their sigma / (3 * first sigma of the run). So a step is a mean of three at the beginning of the run and
    all but Euler's near its end. The last step is Euler's, the one before it looks one step ahead.
    """
    sigmas, last = walk.sigmas, walk.sigmas[-1]
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        if following == last:
            x = move(x, denoised, sigma, following)
            continue
        d1 = derivative(x, sigma, denoised)
        ahead = x + d1 * (following - sigma)
        denoised = yield ahead, following, step
        d2 = derivative(ahead, following, denoised)
        beyond = sigmas[step + 2]
        if beyond == last:
            w2 = following / (2 * sigmas[0])
            slope = d1 * (1 - w2) + d2 * w2
        else:
            ahead = ahead + d2 * (beyond - following)
            denoised = yield ahead, beyond, step
            d3 = derivative(ahead, beyond, denoised)
            w2, w3 = following / (3 * sigmas[0]), beyond / (3 * sigmas[0])
            slope = d1 * (1 - w2 - w3) + d2 * w2 + d3 * w3
        x = x + slope * (following - sigma)
    return x
