"""A training step on two cores: each works on a part of the batch.

That is half as long again as fast as two threads inside each operation, which wait for each other hundreds
of times a step.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

_WORKERS = ThreadPoolExecutor(2)


def set_gradients(parameters: Sequence[nn.Parameter], losses: Sequence[Callable[[], Tensor]]) -> float:
    """Sets the gradients of the sum of some losses, which are computed side by side; returns the sum."""

    def work(loss: Callable[[], Tensor]) -> tuple[float, tuple[Tensor, ...]]:
        value = loss()
        return value.item(), torch.autograd.grad(value, parameters)

    parts = list(_WORKERS.map(work, losses))
    for parameter, *gradients in zip(parameters, *(gradients for _, gradients in parts), strict=True):
        parameter.grad = sum(gradients)
    return sum(value for value, _ in parts)
