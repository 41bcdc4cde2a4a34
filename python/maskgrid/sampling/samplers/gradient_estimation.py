"""Gradient estimation: Euler's method with the error of the last step's gradient taken out of this step's."""

from torch import Tensor

from maskgrid.sampling.samplers.euler_step import derivative, move
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["GAMMA", "gradient_estimation"]

GAMMA = 2.0
"""How far the estimate goes from the last derivative through this one, as in the paper; 1 is Euler's."""


def gradient_estimation(x: Tensor, walk: Walk, *, gamma: float = GAMMA) -> Steps:
    """The gradient estimation sampler (Permenter and Yuan, arXiv 2306.04848).

    Denoising is gradient descent on the distance to the images, and two of its gradients tell a better one:

        d_bar = gamma * d + (1 - gamma) * last d,   x' = x + d_bar * (sigma' - sigma)

    The first step is Euler's. A step to sigma 0 gives denoised itself.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        d = derivative(x, sigma, denoised)
        x = move(x, denoised, sigma, following)
        if following > 0:
            for last in walk.recall("derivatives"):
                x = x + (d - last) * ((gamma - 1) * (following - sigma))
        walk.remember("derivatives", d)
    return x
