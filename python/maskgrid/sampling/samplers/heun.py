"""Solvers that evaluate the network two or three times a step, in terms of the derivative dx/dsigma."""

from torch import Tensor

from maskgrid.sampling.samplers.steps import ancestral_split, derivative, move
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["dpm_2", "dpm_2_ancestral", "heun", "heunpp2"]


def heun(x: Tensor, run: Run) -> Steps:
    """Heun's method (Karras et al., arXiv 2206.00364, algorithm 1); a step to sigma 0 is Euler's."""
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        if following == 0:
            x = denoised
            continue
        d = derivative(x, sigma, denoised)
        ahead = x + d * (following - sigma)
        denoised = yield ahead, following
        x = x + (d + derivative(ahead, following, denoised)) * ((following - sigma) / 2)
    return x


def heunpp2(x: Tensor, run: Run) -> Steps:
    """Heun++ (github.com/Carzit/sd-webui-samplers-scheduler): Heun's method that looks two steps ahead.

    It averages the derivatives here, at the following sigma and at the one after that; the further two weigh
    their sigma / (3 * first sigma of the run). So a step is a mean of three at the beginning of the run and
    all but Euler's near its end. The last step is Euler's, the one before it looks one step ahead.
    """
    sigmas, last = run.sigmas, run.sigmas[-1]
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        if following == last:
            x = move(x, denoised, sigma, following)
            continue
        d1 = derivative(x, sigma, denoised)
        ahead = x + d1 * (following - sigma)
        denoised = yield ahead, following
        d2 = derivative(ahead, following, denoised)
        beyond = sigmas[i + 2]
        if beyond == last:
            w2 = following / (2 * sigmas[0])
            slope = d1 * (1 - w2) + d2 * w2
        else:
            ahead = ahead + d2 * (beyond - following)
            denoised = yield ahead, beyond
            d3 = derivative(ahead, beyond, denoised)
            w2, w3 = following / (3 * sigmas[0]), beyond / (3 * sigmas[0])
            slope = d1 * (1 - w2 - w3) + d2 * w2 + d3 * w3
        x = x + slope * (following - sigma)
    return x


def dpm_2(x: Tensor, run: Run) -> Steps:
    """DPM-Solver-2 (Lu et al., arXiv 2206.00927, algorithm 1) as a midpoint method over sigma.

    The midpoint is the geometric mean of the two sigmas; the step over it takes the derivative there.
    """
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        if following == 0:
            x = denoised
            continue
        middle = (sigma * following).sqrt()
        halfway = move(x, denoised, sigma, middle)
        denoised = yield halfway, middle
        x = x + derivative(halfway, middle, denoised) * (following - sigma)
    return x


def dpm_2_ancestral(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """DPM-Solver-2 to below the next sigma, then noise back up to it (see `dpm_2`, `euler_ancestral`)."""
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        down, up, keep = ancestral_split(run, sigma, following, eta)
        if down == 0:
            x = denoised
            continue
        middle = (sigma * down).sqrt()
        halfway = move(x, denoised, sigma, middle)
        denoised = yield halfway, middle
        x = x + derivative(halfway, middle, denoised) * (down - sigma)
        if eta > 0:
            x = x * keep + run.noise(sigma, following) * up
    return x
