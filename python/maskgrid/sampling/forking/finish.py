"""Settling: forks made out of where a walk ended.

At sigma 0 the sheet as it was given is pasted where nothing may change, so that it stays bit for bit in any
dtype. With noise left, a fork is what the network would be shown next: the blended x, its surroundings noised
alike.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.setup import Setup
from maskgrid.sampling.forking.stretch import Checkpoint
from maskgrid.sampling.result.fork_latents import ForkLatents, RunState

__all__ = ["settled", "untouched"]


def settled(setup: Setup, end: Checkpoint, forks: Sequence[int]) -> ForkLatents:
    """The forks at the end of a stretch.

    Args:
        setup: The run's constants.
        end: Where their walk, or that of the sheet, ended.
        forks: Which forks to make.

    Returns:
        The forks; with the state for carrying on when noise is left.
    """
    sigma = setup.sigmas[end.step]
    noisy = float(sigma) > 0
    blended = noisy and not setup.compat
    x, background = end.x, setup.latents[None]
    if blended:
        x = setup.blend_of(forks, together=end.together).inside(x, sigma, end.step)
        background = setup.given_out(setup.blend_of(forks).surroundings(sigma), sigma)
    patches = setup.patches(forks)
    values, around = setup.given_out(x, sigma), patches.cut(background)
    values = patches.cut(values) if end.together else values
    new = torch.where(_may_differ(setup, end, forks), values, around)
    if setup.compat and end.together:
        # The original gives the cells of the first batch item only.
        new[:, 1:] = around[:, 1:]
    return ForkLatents(
        image_latents=setup.latents,
        masks=setup.masks,
        numbers=tuple(forks),
        patches=new,
        places=patches,
        sigma=float(sigma),
        background=background,
        state=RunState(setup, end) if blended and end.step < setup.step_count else None,
    )


def untouched(latents: Tensor, masks: ForkMasks, forks: Sequence[int]) -> ForkLatents:
    """The forks of a run of no steps: the sheet as it came."""
    places = masks.patches.of(forks)
    patches = places.cut(latents[None]).expand(len(forks), *latents.shape[:-2], *places.size)
    return ForkLatents(latents, masks, tuple(forks), patches, places, 0.0, latents[None])


def _may_differ(setup: Setup, end: Checkpoint, forks: Sequence[int]) -> Tensor:
    """(n, 1, 1, ..., height, width) where the forks take what was sampled."""
    patches, masks = setup.patches(forks), setup.masks
    if not end.together:
        chosen = setup.mask(forks) > 0
        if setup.gives_noisy_sheets:
            chosen = torch.ones_like(chosen)
    else:
        chosen = patches.inside(masks.writes[list(forks)])
        if not setup.gives_noisy_sheets:
            chosen &= patches.cut(masks.together[None]) > 0
    shape = (len(forks), *(1,) * (setup.latents.ndim - 2), *patches.size)
    return chosen.to(setup.latents.device).reshape(shape)
