"""Forks and the merged sheet out of what was sampled: everything outside the masks stays the sheet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from maskgrid.hosts.comfyui.sheet_plan import over_time
from maskgrid.hosts.comfyui.single_run_draws import repeat_rows

if TYPE_CHECKING:
    from maskgrid.hosts.comfyui.sheet_plan import SheetPlan

__all__ = ["copy_cells", "finish_forks", "merge_forks"]


def finish_forks(plan: SheetPlan, sheet: torch.Tensor, sampled: torch.Tensor, *, noisy: bool) -> torch.Tensor:
    """Make all forks of a plan of what ComfyUI sampled.

    Args:
        plan: The forks.
        sheet: (B, C, [T], h, w) the clean latents.
        sampled: (n * B, ...) of the live forks one after the other, or (B, ...) of all cells together.
        noisy: Whether noise is left; the surroundings then stay as noisy as the cell.

    Returns:
        (N * B, ...), N the forks of the plan; those without anything to sample are the sheet.
    """
    batch, forks = len(sheet), []
    masks = dict(zip(plan.live, over_time(plan.masks, sheet), strict=True))
    rows = dict(zip(plan.live, _rows_of(sampled, batch, len(plan.live)), strict=True))
    for number in range(len(plan.cells)):
        if number not in rows:
            # With noise left it goes along, so that the next sampler finds all forks alike.
            forks.append(sampled[:batch] if noisy else sheet)
        elif noisy:
            forks.append(rows[number])
        else:
            forks.append(torch.where(masks[number] > 0, rows[number], sheet))
    return torch.cat(forks) if forks else sheet[:0]


def copy_cells(plan: SheetPlan, sheet: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
    """(N * B, ...): whole cells of (B, ...) over the clean sheet, noisy or not, as the original node does."""
    forks = []
    for cell in plan.cells:
        fork, place = sheet.clone(), (..., *plan.grid.latent_rect(cell).slices)
        fork[place] = sampled[place].to(fork)
        forks.append(fork)
    return torch.cat(forks) if forks else sheet[:0]


def merge_forks(plan: SheetPlan, background: torch.Tensor, forks: torch.Tensor) -> torch.Tensor:
    """One sheet (B, C, [T], h, w) with the cell of each fork over a background of the same shape."""
    merged = background.clone()
    for number, mask in zip(plan.live, over_time(plan.masks, background), strict=True):
        fork = forks[number * len(merged) : (number + 1) * len(merged)]
        merged = torch.where(mask > 0, fork.to(merged), merged)
    return merged


def _rows_of(sampled: torch.Tensor, batch: int, forks: int) -> list[torch.Tensor]:
    rows = repeat_rows(sampled, forks) if len(sampled) == batch else sampled
    return [rows[number * batch : (number + 1) * batch] for number in range(forks)]
