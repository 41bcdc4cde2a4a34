"""DPM-Solver++ without noise of its own kind: the multistep and the ancestral solver, in data prediction.

Lu et al., arXiv 2211.01095. With lambda = log(alpha / sigma) as time, the solution of the probability flow is
an integral over denoised weighted by exp(lambda); where denoised is constant over the step it is
`euler_step.move`.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.ancestral_step import ancestral_split
from maskgrid.sampling.samplers.euler_step import move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["dpmpp_2m", "dpmpp_2s_ancestral"]

# A flow model's lambda at sigma 1 is minus infinity; the midpoint of a step from there is put just below it.
_FLOW_MIDPOINT_FROM_ONE = 0.9999


def dpmpp_2m(x: Tensor, walk: Walk) -> Steps:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2).

    With lambda = -log(sigma) and h its step, denoised is extrapolated from this evaluation and the last one:

        D = (1 + 1 / (2 r)) * denoised - 1 / (2 r) * last,   r = h_last / h
        x' = (sigma' / sigma) * x - (exp(-h) - 1) * D
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        past = walk.recall("denoised")
        if not past or following == 0:
            x = move(x, denoised, sigma, following)
        else:
            r = (sigma / walk.sigmas[step - 1]).log() / (following / sigma).log()
            x = move(x, denoised + (denoised - past[0]) / (2 * r), sigma, following)
        walk.remember("denoised", denoised)
    return x


def dpmpp_2s_ancestral(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(2S) (arXiv 2211.01095, algorithm 1) to below the next sigma, then noise back up to it.

    The step takes denoised from its midpoint in lambda.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        down, up, keep = ancestral_split(walk, sigma, following, eta)
        if down == 0:
            x = denoised
        else:
            middle = _midpoint(walk, sigma, down)
            denoised = yield move(x, denoised, sigma, middle), middle, step
            x = move(x, denoised, sigma, down)
        if following > 0 and eta > 0:
            x = x * keep + walk.noise(sigma, following) * up
    return x


def _midpoint(walk: Walk, sigma: Tensor, down: Tensor) -> Tensor:
    """The sigma halfway between two in lambda."""
    if walk.table.is_flow and sigma >= 1:
        return torch.full_like(sigma, _FLOW_MIDPOINT_FROM_ONE)
    return walk.table.sigma_of_half_log_snr(
        (walk.table.half_log_snr(sigma) + walk.table.half_log_snr(down)) / 2
    )
