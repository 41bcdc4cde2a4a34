"""DPM-Solver++ without noise of its own kind: the multistep and the ancestral solver, in data prediction.

Lu et al., arXiv 2211.01095. With lambda = log(alpha / sigma) as time, the solution of the probability flow is
an integral over denoised weighted by exp(lambda); where denoised is constant over the step it is
`steps.move`.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.steps import ancestral_split, move
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["dpmpp_2m", "dpmpp_2s_ancestral"]

# A flow model's lambda at sigma 1 is minus infinity; the midpoint of a step from there is put just below it.
_FLOW_MIDPOINT_FROM_ONE = 0.9999


def dpmpp_2m(x: Tensor, run: Run) -> Steps:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2).

    With lambda = -log(sigma) and h its step, denoised is extrapolated from this evaluation and the last one:

        D = (1 + 1 / (2 r)) * denoised - 1 / (2 r) * last,   r = h_last / h
        x' = (sigma' / sigma) * x - (exp(-h) - 1) * D
    """
    last = run.recall("denoised")
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        if last is None or following == 0:
            x = move(x, denoised, sigma, following)
        else:
            r = (sigma / run.sigmas[i - 1]).log() / (following / sigma).log()
            x = move(x, denoised + (denoised - last) / (2 * r), sigma, following)
        last = run.memory["denoised"] = denoised
    return x


def dpmpp_2s_ancestral(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(2S) (arXiv 2211.01095, algorithm 1) to below the next sigma, then noise back up to it.

    The step takes denoised from its midpoint in lambda.
    """
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        down, up, keep = ancestral_split(run, sigma, following, eta)
        if down == 0:
            x = denoised
        else:
            middle = _midpoint(run, sigma, down)
            denoised = yield move(x, denoised, sigma, middle), middle
            x = move(x, denoised, sigma, down)
        if following > 0 and eta > 0:
            x = x * keep + run.noise(sigma, following) * up
    return x


def _midpoint(run: Run, sigma: Tensor, down: Tensor) -> Tensor:
    """The sigma halfway between two in lambda."""
    if run.table.is_flow and sigma >= 1:
        return torch.full_like(sigma, _FLOW_MIDPOINT_FROM_ONE)
    return run.table.sigma_of_half_log_snr((run.table.half_log_snr(sigma) + run.table.half_log_snr(down)) / 2)
