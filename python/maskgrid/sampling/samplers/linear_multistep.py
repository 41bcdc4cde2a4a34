"""What the linear multistep solvers lms, ipndm and deis share: sums over the derivatives of the last steps.

All of them take one evaluation a step and integrate d = dx/dsigma over it by a polynomial through this
derivative and the last ones; they differ in the polynomial's variable and in whether they take the steps for
equal.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Floats", "lagrange_basis", "nodes_of", "weighted_sum"]

Floats = NDArray[np.float64]


def weighted_sum(weights: Sequence[float], newest_first: Sequence[Tensor]) -> Tensor:
    """A multistep solver's weighted sum of the last derivatives."""
    total = newest_first[0] * weights[0]
    for weight, d in zip(weights[1:], newest_first[1:], strict=True):
        total = total + d * weight
    return total


def nodes_of(values: Tensor, step: int, count: int) -> tuple[float, ...]:
    """The values of a step and of the steps before it, newest first."""
    return tuple(float(values[step - k]) for k in range(count))


def lagrange_basis(nodes: tuple[float, ...], at: Floats) -> list[Floats]:
    """Lagrange's basis polynomials over the nodes, each evaluated at (P,) points."""
    basis = []
    for j, own in enumerate(nodes):
        value = np.ones_like(at)
        for k, other in enumerate(nodes):
            if k != j:
                value = value * (at - other) / (own - other)
        basis.append(value)
    return basis
