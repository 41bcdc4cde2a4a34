"""Linear multistep solvers: one evaluation a step, the derivatives of earlier steps remembered.

All of them integrate d = dx/dsigma over the step by a polynomial through this derivative and the last ones;
they differ in the polynomial's variable and in whether they take the steps for equal.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskgrid.sampling.samplers.steps import derivative, move
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["deis", "ipndm", "ipndm_v", "lms"]

Floats = NDArray[np.float64]

# Adams-Bashforth over equal steps, newest derivative first.
_ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)

# The variance-preserving time that DEIS's polynomials run over: sigma 0.002 at t = 0.001, sigma 80 at t = 1.
_VP_LOG_LOW = (torch.tensor(0.002) ** 2 + 1).log()
_VP_LOG_HIGH = (torch.tensor(80.0) ** 2 + 1).log()
_VP_SLOPE = 2 * (_VP_LOG_LOW / 1e-3 - _VP_LOG_HIGH) / (1e-3 - 1)
_VP_START = _VP_LOG_HIGH - 0.5 * _VP_SLOPE
_DEIS_POINTS = 10_000


def lms(x: Tensor, run: Run, *, order: int = 4) -> Steps:
    """Adams-Bashforth over the uneven steps in sigma, k-diffusion's LMS.

    Liu et al., arXiv 2202.09778, have the form for equal steps. The polynomial through the derivatives
    is integrated exactly. A step to sigma 0 gives denoised itself.
    """
    slopes = run.recall_list("derivatives")
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        slopes = [derivative(x, sigma, denoised), *slopes][:order]
        if following == 0:
            x = denoised
        else:
            weights = _polynomial_weights(_nodes(run.sigmas, i, len(slopes)), float(following))
            x = x + _combined(weights, slopes)
        run.memory["derivatives"] = slopes
    return x


def ipndm(x: Tensor, run: Run, *, order: int = 4) -> Steps:
    """Improved PNDM (Zhang and Chen, arXiv 2204.13902; Liu et al., arXiv 2202.09778).

    Adams-Bashforth as if all steps were equal, with fewer derivatives at the start. A step to sigma 0 gives
    denoised itself.
    """
    slopes = run.recall_list("derivatives")
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        slopes = [derivative(x, sigma, denoised), *slopes][:order]
        if following == 0:
            x = denoised
        else:
            x = x + _combined(_ADAMS_BASHFORTH[len(slopes) - 1], slopes) * (following - sigma)
        run.memory["derivatives"] = slopes
    return x


def ipndm_v(x: Tensor, run: Run, *, order: int = 4) -> Steps:
    """Improved PNDM with step sizes in its weights (github.com/zju-pi/diff-sampler; arXiv 2204.13902).

    A step to sigma 0 gives denoised itself.
    """
    slopes = run.recall_list("derivatives")
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        slopes = [derivative(x, sigma, denoised), *slopes][:order]
        if following == 0:
            x = denoised
        else:
            weights = _uneven_weights((float(following), *_nodes(run.sigmas, i, len(slopes))))
            x = x + _combined(weights, slopes) * (following - sigma)
        run.memory["derivatives"] = slopes
    return x


def deis(x: Tensor, run: Run, *, order: int = 3) -> Steps:
    """DEIS, tAB variant (Zhang and Chen, arXiv 2204.13902): polynomials over the time of a VP model.

    The last step, and only that, is Euler's.
    """
    times = _vp_time(run.sigmas)
    slopes = run.recall_list("derivatives")
    for i, sigma, following in run.steps():
        denoised = yield x, sigma
        slopes = [derivative(x, sigma, denoised), *slopes][:order]
        if len(slopes) == 1 or following == 0:
            x = move(x, denoised, sigma, following)
        else:
            x = x + _combined(_deis_weights(_nodes(times, i, len(slopes)), float(times[i + 1])), slopes)
        run.memory["derivatives"] = slopes
    return x


def _combined(weights: Sequence[float], newest_first: Sequence[Tensor]) -> Tensor:
    """The weighted sum of derivatives."""
    total = newest_first[0] * weights[0]
    for weight, d in zip(weights[1:], newest_first[1:], strict=True):
        total = total + d * weight
    return total


def _nodes(values: Tensor, i: int, count: int) -> tuple[float, ...]:
    """The values of step i and of the steps before it, newest first."""
    return tuple(float(values[i - k]) for k in range(count))


def _lagrange(nodes: tuple[float, ...], at: Floats) -> list[Floats]:
    """Lagrange's basis polynomials over the nodes, each evaluated at (P,) points."""
    basis = []
    for j, own in enumerate(nodes):
        value = np.ones_like(at)
        for k, other in enumerate(nodes):
            if k != j:
                value = value * (at - other) / (own - other)
        basis.append(value)
    return basis


def _polynomial_weights(nodes: tuple[float, ...], end: float) -> list[float]:
    """The integrals of the basis polynomials from the first node to the end.

    Two Gauss points are exact up to degree 3, which is four nodes.
    """
    middle, half = (end + nodes[0]) / 2, (end - nodes[0]) / 2
    reach = half / math.sqrt(3)
    points = np.array([middle - reach, middle + reach])
    return [half * float(value.sum()) for value in _lagrange(nodes, points)]


def _uneven_weights(nodes: tuple[float, ...]) -> list[float]:
    """Adams-Bashforth weights from the sizes of the last steps, divided by this step's size.

    Exact for two nodes. What more of them add by second and third differences is the diff-sampler project's,
    and not quite Adams-Bashforth's: four derivatives give order 3 over equal steps and 2 over uneven ones.

    Args:
        nodes: The sigma to step to, then those of the derivatives, newest first; 2 to 5 of them.
    """
    h = [nodes[k] - nodes[k + 1] for k in range(len(nodes) - 1)]
    if len(h) == 1:
        return [1.0]
    ratio = h[0] / h[1]
    weights = [1 + ratio / 2, -ratio / 2]
    if len(h) == 2:
        return weights
    q = h[1] / h[2]
    second = (1 - h[0] ** 2 / (3 * h[1] * (h[1] + h[2]))) / 2
    weights = [weights[0] + second, weights[1] - (1 + q) * second, q * second]
    if len(h) == 3:
        return weights
    h01, h12, h23 = h[0] + h[1], h[1] + h[2], h[2] + h[3]
    p = h[1] * h12 / (h[2] * h23)
    third = (1 - h[0] / (3 * h01)) / 2 + (1 - h[0] / (2 * h01)) * h[0] / (6 * (h01 + h[2]))
    third = third * (h[0] * h01 * (h01 + h[2])) / (h[1] * h12 * (h12 + h[3]))
    return [
        weights[0] + third,
        weights[1] - (1 + q + p) * third,
        weights[2] + (q + p * (1 + h[2] / h[3])) * third,
        -p * q * third,
    ]


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
    return tuple(float((speed * value).mean()) * (end - nodes[0]) for value in _lagrange(nodes, t))
