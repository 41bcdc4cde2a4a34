"""LMS: Adams-Bashforth over uneven steps in sigma, a linear multistep solver."""

import math

import numpy as np
from torch import Tensor

from maskgrid.sampling.samplers.euler_step import derivative
from maskgrid.sampling.samplers.linear_multistep import lagrange_basis, nodes_of, weighted_sum
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["lms"]


def lms(x: Tensor, walk: Walk, *, order: int = 4) -> Steps:
    """Adams-Bashforth over the uneven steps in sigma, k-diffusion's LMS.

    Liu et al., arXiv 2202.09778, have the form for equal steps. The polynomial through the derivatives
    is integrated exactly. A step to sigma 0 gives denoised itself.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        slopes = walk.remember("derivatives", derivative(x, sigma, denoised), most=order)
        if following == 0:
            x = denoised
        else:
            weights = _polynomial_weights(nodes_of(walk.sigmas, step, len(slopes)), float(following))
            x = x + weighted_sum(weights, slopes)
    return x


def _polynomial_weights(nodes: tuple[float, ...], end: float) -> list[float]:
    """The integrals of the basis polynomials from the first node to the end.

    Two Gauss points are exact up to degree 3, which is four nodes.
    """
    middle, half = (end + nodes[0]) / 2, (end - nodes[0]) / 2
    reach = half / math.sqrt(3)
    points = np.array([middle - reach, middle + reach])
    return [half * float(value.sum()) for value in lagrange_basis(nodes, points)]
