"""The loop of a training over the pool of encoded sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from faces.checkpoints import set_rate
from faces.train_vae import learning_rate
from faces.workers import set_gradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from faces.checkpoints import Run

__all__ = ["make_optimizer", "walk"]


def make_optimizer(model: torch.nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW over all parameters of a model."""
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-2, fused=True)


def walk(run: Run, steps: int, rate: float, losses_of: Callable[[int], list[Callable[[], Tensor]]]) -> None:
    """Trains until `steps`, or goes on from where the run stopped.

    Args:
        run: What is trained, with its optimiser and checkpoints.
        steps: Where it ends.
        rate: The largest learning rate.
        losses_of: The losses of a step, one for each worker, which are summed.
    """
    parameters = list(run.model.parameters())
    total = 0.0
    while run.step < steps:
        set_rate(run.optimizer, learning_rate(run.step, steps, rate))
        total += set_gradients(parameters, losses_of(run.step))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        run.optimizer.step()
        run.step += 1
        run.update_average()
        if run.step % 50 == 0:
            run.log(loss=total / 50)
            total = 0.0
        if run.step % 100 == 0 or run.step == steps:
            run.save()
