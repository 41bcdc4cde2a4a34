"""The original node's defects, for those who want its results: masks changed before a run, latents after it.

*MaskGrid N KSamplers Advanced* gives, where maskgrid does otherwise (`docs/sampling.md`, Where the original
is wrong): cells of a size in latents that is rounded down; with leftover noise the solver's x as it is, so a
noisy cell in clean surroundings, or a sheet that is noisy everywhere; and the cells of the first batch item
only.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import ForkRun
from maskgrid.sampling.forking.fork_sampling import take_forks
from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.noise_levels.schedules import SigmaRange
from maskgrid.sampling.result.fork_latents import ForkLatents
from maskgrid.sampling.samplers.registry import get_sampler

__all__ = ["change_masks", "cut_range", "finish_as_original"]


def cut_range(walked: SigmaRange) -> SigmaRange:
    """The sigmas as the original's solver sees them: cut where the run stops, also when its noise is kept."""
    return replace(walked, sigmas=walked.sigmas[: walked.stop + 1])


def change_masks(masks: ForkMasks, walked: SigmaRange, sampler: str) -> ForkMasks:
    """Masks with the cells that the original gives to forks; as large as the sheet where noise is left.

    Args:
        masks: Where each fork may change.
        walked: The sigmas of the run.
        sampler: The solver's name.
    """
    masks = _round_cells(masks)
    return _as_large_as_the_sheet(masks) if _leaves_noise(walked.sigmas, sampler) else masks


def finish_as_original(run: ForkRun, state: State, forks: Sequence[int]) -> ForkLatents:
    """Forks as the original makes them of where its solver stopped: not blended, with nothing to carry on."""
    own = run.fork_region(forks)
    noisy = _leaves_noise(run.sigmas, run.sampler)
    if state.is_sheet:
        chosen = own.patches.inside(own.cells)
        chosen &= noisy | (own.cut(run.masks.together[None]) > 0)
    else:
        chosen = noisy | (run.masks.values[list(forks)] > 0)
    result = take_forks(run, own, state, chosen, x=state.x, background=run.latents)
    if state.is_sheet:
        result.patches[:, 1:] = own.cut(run.latents)[:, 1:]
    return result


def _leaves_noise(sigmas: torch.Tensor, sampler: str) -> bool:
    """Whether forks come out noisy; those that were sampled alone then differ from the sheet everywhere."""
    return len(sigmas) > 0 and (float(sigmas[-1]) > 0 or get_sampler(sampler).leaves_noise)


def _round_cells(masks: ForkMasks) -> ForkMasks:
    """With cells that are rounded down: ever further from their masks where the grid does not divide."""
    (height, width), (rows, columns) = masks.size, (masks.rows, masks.columns)
    cell = (height // rows, width // columns)
    if (cell[0] * rows, cell[1] * columns) == masks.size:
        return masks
    corners = [(number // columns * cell[0], number % columns * cell[1]) for number in masks.cells]
    writes = torch.tensor([(y, x, y + cell[0], x + cell[1]) for y, x in corners], dtype=torch.int64)
    return replace(_as_large_as_the_sheet(masks), writes=writes.reshape(-1, 4))


def _as_large_as_the_sheet(masks: ForkMasks) -> ForkMasks:
    """The noise masks of forks in patches that are whole sheets."""
    return replace(masks, patches=Patches.whole(len(masks), masks.size), values=masks.batch()[:, 0])
