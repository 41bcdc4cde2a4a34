"""DDPM: the ancestral sampling of denoising diffusion probabilistic models (Ho et al., arXiv 2006.11239)."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["ddpm"]


def ddpm(x: Tensor, walk: Walk) -> Steps:
    """Ancestral sampling of Ho et al. (arXiv 2006.11239, algorithm 2), on z = x / sqrt(1 + sigma^2).

    With a = 1 / (1 + sigma^2) the cumulative alpha at sigma, a' at the following sigma, and alpha = a / a':

        z' = (z - (1 - alpha) / sqrt(1 - a) * epsilon) / sqrt(alpha)
             + sqrt((1 - alpha) * (1 - a') / (1 - a)) * noise

    Flow models take the same form as the others, noise included, as ComfyUI does.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        a, a_next = 1 / (1 + sigma**2), 1 / (1 + following**2)
        alpha = a / a_next
        epsilon = (x - denoised) / sigma
        z = (x * a.sqrt() - epsilon * ((1 - alpha) / (1 - a).sqrt())) / alpha.sqrt()
        if following > 0:
            z = z + walk.noise(sigma, following) * ((1 - alpha) * (1 - a_next) / (1 - a)).sqrt()
        x = z * torch.sqrt(1 + following**2)
    return x
