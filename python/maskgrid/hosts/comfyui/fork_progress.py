"""The progress bar over all forks, and a preview in which all of their cells show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import latent_preview
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ForkProgress"]


class ForkProgress:
    """Reports the steps of all forks to ComfyUI, whatever the micro-batches.

    Args:
        patcher: ComfyUI's model patcher, which says how latents become a preview.
        masks: (n, 1, [1], h, w) the noise masks of the forks, in the order in which they are sampled.
        steps: Steps of a run.
    """

    def __init__(self, patcher: Any, masks: torch.Tensor, steps: int) -> None:
        self._masks, self._steps = masks, steps
        self._total = max(1, len(masks)) * steps
        self._report = latent_preview.prepare_callback(patcher, self._total)
        self._sheet: torch.Tensor | None = None

    def of_batch(self, forks: Sequence[int], *, together: bool = False) -> Any:
        """The callback of one of ComfyUI's runs, which moves the bar of all of them.

        Args:
            forks: Which forks its rows are; consecutive numbers.
            together: Whether its rows are all cells at once.
        """
        begun, count = forks[0] * self._steps, len(forks)

        def callback(step: int, denoised: torch.Tensor, x: torch.Tensor, total_steps: int) -> None:
            # An adaptive sampler takes more steps than were asked for.
            done = begun + min(step + 1, self._steps) * count
            self._report(done - 1, self._shown(forks, denoised, together=together), x, self._total)

        return callback

    def _shown(self, forks: Sequence[int], denoised: torch.Tensor, *, together: bool) -> torch.Tensor:
        """(1, C, [T], h, w): the first batch item of each fork's cell in one sheet."""
        if together:
            return denoised[:1]
        rows = denoised[:: len(denoised) // len(forks)]
        sheet = rows[:1].clone() if self._sheet is None else self._sheet.to(rows)
        for fork, row in zip(forks, rows, strict=True):
            sheet = torch.where(self._masks[fork].to(rows) > 0, row[None], sheet)
        self._sheet = sheet
        return sheet
