"""What a pipeline's loop has to be told beforehand: the step and sigma of each call of its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.samplers.noise import StepNoise
from maskgrid.sampling.samplers.walk import Walk

if TYPE_CHECKING:
    from maskgrid.sampling.forking.denoise import Stretch

__all__ = ["plan_calls"]


def plan_calls(stretch: Stretch) -> list[tuple[int, Tensor]]:
    """The step of the schedule and the sigma of each call of the network, found by walking with empty hands.

    Raises:
        InvalidValueError: A sampler that decides on its way how often it calls the network.
    """
    run, solver = stretch.run, stretch.run.solver
    if solver.coupled:
        raise InvalidValueError(
            f"sampler {solver.name!r} decides on its way how often it calls the network, and a pipeline has "
            "to be told beforehand; allowed in a pipeline: any other sampler"
        )
    empty = torch.zeros(1)
    memory = {} if stretch.state is None else stretch.state.memory
    walk = Walk(
        run.sigmas,
        run.table,
        _NoNoise(),
        start=stretch.start,
        stop=stretch.stop,
        memory={name: (empty,) * len(kept) for name, kept in memory.items()},
    )
    steps = solver.solve(empty, walk)
    answer = (empty, empty) if solver.needs_uncond else empty
    found = []
    _, sigma, step = next(steps)
    while True:
        found.append((run.first + step, sigma.float()))
        try:
            _, sigma, step = steps.send(answer)
        except StopIteration:
            return found


class _NoNoise(StepNoise):
    """Zeros, for walking without tensors."""

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        return torch.zeros(1)
