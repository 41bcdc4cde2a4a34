"""DEIS: the diffusion exponential integrator sampler, a linear multistep solver (arXiv 2204.13902)."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from maskgrid.sampling.samplers.euler_step import derivative, move
from maskgrid.sampling.samplers.linear_multistep import lagrange_basis, nodes_of, weighted_sum
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["deis"]

# The variance-preserving time that DEIS's polynomials run over: sigma 0.002 at t = 0.001, sigma 80 at t = 1.
_VP_LOG_LOW = (torch.tensor(0.002) ** 2 + 1).log()
_VP_LOG_HIGH = (torch.tensor(80.0) ** 2 + 1).log()
_VP_SLOPE = 2 * (_VP_LOG_LOW / 1e-3 - _VP_LOG_HIGH) / (1e-3 - 1)
_VP_START = _VP_LOG_HIGH - 0.5 * _VP_SLOPE
_DEIS_POINTS = 10_000


def deis(x: Tensor, walk: Walk, *, order: int = 3) -> Steps:
    """DEIS, tAB variant (Zhang and Chen, arXiv 2204.13902): polynomials over the time of a VP model.

    The last step, and only that, is Euler's.
    """
    times = _vp_time(walk.sigmas)
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        slopes = walk.remember("derivatives", derivative(x, sigma, denoised), most=order)
        if len(slopes) == 1 or following == 0:
            x = move(x, denoised, sigma, following)
        else:
            x = x + weighted_sum(
                _deis_weights(nodes_of(times, step, len(slopes)), float(times[step + 1])), slopes
            )
    return x


def _vp_time(sigmas: Tensor) -> Tensor:
    """The time t of a VP model whose sigma(t) is this: sigma^2 + 1 = exp(slope * t^2 / 2 + start * t)."""
    return ((_VP_START**2 + 2 * _VP_SLOPE * (sigmas**2 + 1).log()).sqrt() - _VP_START) / _VP_SLOPE


@lru_cache(maxsize=4096)
def _deis_weights(nodes: tuple[float, ...], end: float) -> tuple[float, ...]:
    """The integrals of dsigma/dt times the basis polynomials from the first node to the end.

    The mean over evenly spaced points, both ends included, is what the DEIS code in use takes for the
    integral. Its error of 1e-4 shows in the latents, so it is kept.
    """
    t = np.linspace(nodes[0], end, _DEIS_POINTS)
    slope, first = float(_VP_SLOPE), float(_VP_START)
    log_alpha = -0.5 * slope * t**2 - first * t
    speed = 0.5 * (slope * t + first) / np.sqrt(np.exp(log_alpha) * -np.expm1(log_alpha))
    return tuple(float((speed * value).mean()) * (end - nodes[0]) for value in lagrange_basis(nodes, t))
