"""The end of a run: forks made out of where the solver stopped.

At sigma 0 the sheet as it was given is pasted where nothing may change, so that it stays bit for bit in any
dtype. With noise left, a fork is what the network would be shown next: the blended x, its surroundings noised
alike.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import ForkRun
from maskgrid.sampling.forking.region import Region
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.result.fork_latents import ForkLatents

__all__ = ["finish_forks", "leave_forks", "take_forks"]


def finish_forks(run: ForkRun, state: State, forks: Sequence[int]) -> ForkLatents:
    """Forks of where their walk, or that of the sheet together, ended.

    Args:
        run: The run's constants.
        state: Where it ended; of these forks, or of the sheet.
        forks: Which forks to make.

    Returns:
        The forks; with the state for carrying on when noise is left.
    """
    sigma, own = run.sigmas[state.step], run.fork_region(forks)
    may_change = own.patches.inside(own.cells) & (own.cut(run.masks.together[None]) > 0)
    chosen = may_change if state.is_sheet else run.masks.values[list(forks)] > 0
    if float(sigma) == 0:
        return take_forks(run, own, state, chosen, x=state.x, background=run.latents[None])
    region = run.sheet_region() if state.is_sheet else own
    around = run.table.noised(run.image_latents, run.surrounding_noise(region), sigma)
    x = torch.lerp(region.cut(around), state.x, run.mask(region, state.step))
    around = run.table.noised(run.image_latents, run.surrounding_noise(own), sigma)
    result = take_forks(run, own, state, chosen, x=x, background=run.hand_out(around, sigma))
    return result.carry_on(run, state) if state.step < run.step_count else result


def take_forks(
    run: ForkRun, own: Region, state: State, chosen: Tensor, *, x: Tensor, background: Tensor
) -> ForkLatents:
    """Forks that have x where they may differ, and the background everywhere else.

    Args:
        run: The run's constants.
        own: The region of the forks to make.
        state: Where the walk ended.
        chosen: (n, height, width) bool: where in its patch each fork has what was sampled.
        x: (n, B, C, ..., *patch) at the state's sigma; of the sheet together (1, B, C, ..., h, w).
        background: (1 or n, B, C, ..., h, w) as they are handed out.
    """
    sigma = run.sigmas[state.step]
    values, around = run.hand_out(x, sigma), own.cut(background)
    if state.is_sheet:
        values = own.cut(values)
    shape = (len(own.forks), *(1,) * (run.latents.ndim - 2), *own.patches.size)
    new = torch.where(chosen.to(run.latents.device).reshape(shape), values, around)
    return ForkLatents(
        image_latents=run.latents,
        masks=run.masks,
        numbers=own.forks,
        patches=new,
        places=own.patches,
        sigma=float(sigma),
        background=background,
    )


def leave_forks(latents: Tensor, masks: ForkMasks, forks: Sequence[int]) -> ForkLatents:
    """The forks of a run of no steps: the sheet as it came."""
    places = masks.patches.of(forks)
    patches = places.cut(latents[None]).expand(len(forks), *latents.shape[:-2], *places.size)
    return ForkLatents(latents, masks, tuple(forks), patches, places, 0.0, latents[None])
