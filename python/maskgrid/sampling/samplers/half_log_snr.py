"""Lambda = log(alpha / sigma) as a solver's time, half the logarithm of the signal-to-noise ratio.

alpha is what the image is scaled by in x: 1 for epsilon and v models, 1 - sigma for flow models.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.walk import Walk

__all__ = ["phi_2", "phi_3", "snr_sigmas"]

# A flow model's lambda at sigma 1 is minus infinity: a run from there starts this share of the way on.
_FIRST_SHARE = 1e-4


def snr_sigmas(walk: Walk) -> Tensor:
    """The run's sigmas; a flow model's that begin at 1 begin a little below it, where lambda is finite."""
    if not walk.table.is_flow or walk.sigmas[0] < 1:
        return walk.sigmas
    sigmas = walk.sigmas.clone()
    sigmas[0] = walk.table.sigma_at(_FIRST_SHARE)
    return sigmas


def phi_2(size: Tensor) -> Tensor:
    """phi_2 over half log SNR: the integral of a line from 0, under the weight of the step's end."""
    return torch.expm1(-size) / size + 1


def phi_3(size: Tensor) -> Tensor:
    """The integral of the same line's own integral, under that weight."""
    return phi_2(size) / size - 0.5
