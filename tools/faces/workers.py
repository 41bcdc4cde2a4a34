"""Work on two cores, each with a part of its own.

A training step is half as long again as fast that way as with two threads inside each operation, which wait
for each other hundreds of times a step.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor, nn

T = TypeVar("T")
R = TypeVar("R")
_WORKERS = ThreadPoolExecutor(2)


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `map` gives, made by two threads."""
    return _WORKERS.map(work, items)


def set_gradients(parameters: Sequence[nn.Parameter], losses: Sequence[Callable[[], Tensor]]) -> float:
    """Sets the gradients of the sum of some losses, which are computed side by side; returns the sum."""

    def work(loss: Callable[[], Tensor]) -> tuple[float, tuple[Tensor, ...]]:
        value = loss()
        return value.item(), torch.autograd.grad(value, parameters)

    parts = list(side_by_side(work, losses))
    for parameter, *gradients in zip(parameters, *(gradients for _, gradients in parts), strict=True):
        parameter.grad = sum(gradients)
    return sum(value for value, _ in parts)
