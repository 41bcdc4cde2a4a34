"""LCM: the sampler of latent consistency models (Luo et al., arXiv 2310.04378)."""

from torch import Tensor

from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["lcm"]


def lcm(x: Tensor, walk: Walk) -> Steps:
    """Multistep consistency sampling of latent consistency models (Luo et al., arXiv 2310.04378).

    Each step takes denoised for the image and noises it again, to the following sigma (Song et al., arXiv
    2303.01469, algorithm 1).
    """
    for step, sigma, following in walk.steps():
        x = yield x, sigma, step
        if following > 0:
            x = walk.table.noised(x, walk.noise(sigma, following), following)
    return x
