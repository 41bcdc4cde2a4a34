"""First-order solvers: one evaluation a step, nothing remembered."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.steps import ancestral_split, move
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["ddpm", "euler", "euler_ancestral", "lcm"]


def euler(x: Tensor, run: Run) -> Steps:
    """Euler's method (Karras et al., arXiv 2206.00364, algorithm 1 without its second half).

    In these variables it is DDIM with eta 0 too (Song et al., arXiv 2010.02502, eq. 13).
    """
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        x = move(x, denoised, sigma, following)
    return x


def euler_ancestral(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """Euler's method to below the next sigma, then noise back up to it.

    That is DDIM with its eta (Song et al., arXiv 2010.02502, eq. 12 and 16), ancestral sampling at eta 1; for
    flow models see `ancestral_split`.
    """
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        down, up, keep = ancestral_split(run, sigma, following, eta)
        x = move(x, denoised, sigma, down)
        if down > 0 and eta > 0:
            x = x * keep + run.noise(sigma, following) * up
    return x


def ddpm(x: Tensor, run: Run) -> Steps:
    """Ancestral sampling of Ho et al. (arXiv 2006.11239, algorithm 2), on z = x / sqrt(1 + sigma^2).

    With a = 1 / (1 + sigma^2) the cumulative alpha at sigma, a' at the following sigma, and alpha = a / a':

        z' = (z - (1 - alpha) / sqrt(1 - a) * epsilon) / sqrt(alpha)
             + sqrt((1 - alpha) * (1 - a') / (1 - a)) * noise

    Flow models take the same form as the others, noise included, as ComfyUI does.
    """
    for _, sigma, following in run.steps():
        denoised = yield x, sigma
        a, a_next = 1 / (1 + sigma**2), 1 / (1 + following**2)
        alpha = a / a_next
        epsilon = (x - denoised) / sigma
        z = (x * a.sqrt() - epsilon * ((1 - alpha) / (1 - a).sqrt())) / alpha.sqrt()
        if following > 0:
            z = z + run.noise(sigma, following) * ((1 - alpha) * (1 - a_next) / (1 - a)).sqrt()
        x = z * torch.sqrt(1 + following**2)
    return x


def lcm(x: Tensor, run: Run) -> Steps:
    """Multistep consistency sampling of latent consistency models (Luo et al., arXiv 2310.04378).

    Each step takes denoised for the image and noises it again, to the following sigma (Song et al., arXiv
    2303.01469, algorithm 1).
    """
    for _, sigma, following in run.steps():
        x = yield x, sigma
        if following > 0:
            x = run.table.noised(x, run.noise(sigma, following), following)
    return x
