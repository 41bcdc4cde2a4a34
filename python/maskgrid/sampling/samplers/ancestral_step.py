"""The ancestral step: below the next sigma without noise, then back up to it with fresh noise."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.walk import Walk

__all__ = ["ancestral_levels", "ancestral_split"]


def ancestral_split(
    walk: Walk, sigma: Tensor, following: Tensor, eta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """How an ancestral step to `following` goes: below it without noise, then back up with fresh noise.

    For epsilon and v models x goes to `down`, and noise of size `up` is added: down^2 + up^2 = following^2
    (`ancestral_levels`). A flow model's x at `down` holds more of the image than at `following`, so it is
    scaled by `keep` before the noise makes it whole: keep^2 * down^2 + up^2 = following^2.

    Args:
        walk: For its table.
        sigma: 0-d, where the step begins.
        following: 0-d, where it ends.
        eta: 0 is no noise, 1 all of it.

    Returns:
        down, up, keep; 0-d each.
    """
    if walk.table.is_flow:
        down = following * (1 + (following / sigma - 1) * eta)
        keep = (1 - following) / (1 - down)
        return down, (following**2 - (down * keep) ** 2).clamp(min=0) ** 0.5, keep
    return *ancestral_levels(sigma, following, eta), torch.ones(())


def ancestral_levels(sigma: Tensor, following: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Levels (down, up) of an ancestral step where x is the image plus noise: down^2 + up^2 = following^2.

    Song et al., arXiv 2010.02502, eq. 16.
    """
    up = torch.minimum(following, eta * (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5)
    return (following**2 - up**2) ** 0.5, up
