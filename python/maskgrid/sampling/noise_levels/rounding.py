"""Logarithm, exponential, root and power of sigmas, rounded right and so alike on every CPU.

torch's own are off by a last bit, now and then and differently from CPU to CPU. That shows where a Brownian
path is asked for the result, or where a sigma lies midway between two timesteps: other noise is drawn, or the
network is told another time.
"""

from torch import Tensor

__all__ = ["exp", "halfway", "log", "power", "sqrt"]


def exp(values: Tensor) -> Tensor:
    """Exponential of sigmas' logarithms, rounded right: any shape, in their dtype."""
    return values.double().exp().to(values.dtype)


def halfway(sigma: Tensor, to: Tensor) -> Tensor:
    """Sigma halfway between two in log sigma, their geometric mean; 0-d."""
    # In an ancestral step that is the next sigma, to rounding: often midway between two timesteps, of which
    # the network is told the nearest. This order of operations is everybody's.
    start = log(sigma)
    return exp(start + 0.5 * (log(to) - start))


def log(values: Tensor) -> Tensor:
    """Natural logarithm of sigmas, rounded right: any shape, in their dtype."""
    return values.double().log().to(values.dtype)


def power(values: Tensor, exponent: float) -> Tensor:
    """Power of sigmas' roots, rounded right: any shape, in their dtype."""
    return (values.double() ** exponent).to(values.dtype)


def sqrt(values: Tensor) -> Tensor:
    """Square root of sigmas, rounded right: any shape, in their dtype."""
    return values.double().sqrt().to(values.dtype)
