"""Euler's step in sigma, which most solvers are made of: the derivative of x, and the straight move."""

import torch
from torch import Tensor

__all__ = ["derivative", "move"]


def derivative(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma = (x - denoised) / sigma, the probability flow (Karras et al., arXiv 2206.00364)."""
    return (x - denoised) / sigma


def move(x: Tensor, denoised: Tensor, sigma: Tensor, to: Tensor) -> Tensor:
    """Bring x from sigma to another sigma along a straight line through denoised.

    It solves dx/dsigma = (x - denoised) / sigma exactly where denoised stays the same:
    x(to) = (to / sigma) * x + (1 - to / sigma) * denoised; at 0 that is denoised, bit for bit.
    """
    return torch.lerp(denoised, x, float(to / sigma))
