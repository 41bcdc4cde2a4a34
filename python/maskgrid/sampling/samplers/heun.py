"""Second-order solvers that evaluate the network two or three times a step."""

from torch import Tensor

from maskgrid.sampling.run import Run, Steps
from maskgrid.sampling.samplers.steps import derivative

__all__ = ["heun"]


def heun(x: Tensor, run: Run) -> Steps:
    """Heun's method (Karras et al., arXiv 2206.00364, algorithm 1); a step to sigma 0 is Euler's."""
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        d = derivative(x, sigma, denoised)
        ahead = x + d * (following - sigma)
        if following == 0:
            x = ahead
            continue
        denoised = yield ahead, following
        x = x + (d + derivative(ahead, following, denoised)) * ((following - sigma) / 2)
    return x
