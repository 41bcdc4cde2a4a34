"""DPM-Solver++ (Lu et al., arXiv 2211.01095) without noise between its steps, in data prediction."""

from torch import Tensor

from maskgrid.sampling.run import Run, Steps
from maskgrid.sampling.samplers.steps import move

__all__ = ["dpmpp_2m"]


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
