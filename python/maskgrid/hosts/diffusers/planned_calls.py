"""List the calls of the network that a stretch of a run will make, before it makes them.

A pipeline wants to know its timesteps beforehand, the engine asks for them one after another. So the solver
is walked with scalars in place of latents; one that decides on its way which sigmas to ask for is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.samplers.noise import StepNoise
from maskgrid.sampling.samplers.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskgrid.sampling.forking.denoise import Stretch

__all__ = ["PlannedCall", "plan_calls"]


class PlannedCall(NamedTuple):
    """One call of the network that a pipeline is told of beforehand.

    Attributes:
        step: The step of the schedule that it belongs to.
        sigma: Its noise level, 0-d float32.
    """

    step: int
    sigma: Tensor


def plan_calls(stretch: Stretch) -> list[PlannedCall]:
    """The calls of the network that a stretch of the engine will make, in order.

    Raises:
        InvalidValueError: A sampler whose calls can't be known beforehand.
    """
    if not stretch.run.solver.known_calls:
        raise InvalidValueError(
            f"sampler {stretch.run.solver.name!r} chooses its steps by what the network answers, and a "
            "pipeline wants to know them beforehand; allowed: a sampler whose steps are those of its schedule"
        )
    return list(_walk(stretch))


def _walk(stretch: Stretch) -> Iterator[PlannedCall]:
    run, zero = stretch.run, torch.zeros(1)
    memory = {} if stretch.state is None else stretch.state.memory
    # A history of the same length, without its latents: it says how far the solver has ramped up.
    scalars = {name: (zero,) * len(kept) for name, kept in memory.items()}
    noise, start, stop = _ScalarNoise(), stretch.start, stretch.stop
    walk = Walk(run.sigmas, run.table, noise, start=start, stop=stop, memory=scalars)
    steps = run.solver.solve(zero, walk)
    answer = (zero, zero) if run.solver.needs_uncond else zero
    _, sigma, step = next(steps)
    while True:
        yield PlannedCall(run.first + step, sigma.float())
        try:
            _, sigma, step = steps.send(answer)
        except StopIteration:
            return


class _ScalarNoise(StepNoise):
    """Scalar zeros where latents would have noise."""

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        return torch.zeros(1)
