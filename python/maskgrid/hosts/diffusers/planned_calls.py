"""List the calls of the network that a stretch of a run will make, before it makes them.

A pipeline wants to know its timesteps beforehand, the engine asks for them one after another. So the solver
is walked with scalars in place of latents. Which sigmas it asks for must not depend on what it is told: it is
walked twice, with other answers, and a sampler that then asks for others is refused.
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

    from maskgrid.sampling import Stretch

__all__ = ["PlannedCall", "plan_calls"]

# A solver that asks more often for one step is one that chooses its steps itself.
_MOST_CALLS_A_STEP = 32


class PlannedCall(NamedTuple):
    """One call of the network.

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
    walks = [] if stretch.run.solver.coupled else [list(_walk(stretch, told)) for told in (0.0, 1.0)]
    if not walks or walks[0] != walks[1]:
        raise InvalidValueError(
            f"sampler {stretch.run.sampler!r} chooses its steps by what the network answers, and a pipeline "
            "wants to know them beforehand; allowed: a sampler whose steps are those of its schedule"
        )
    return walks[0]


def _walk(stretch: Stretch, told: float) -> Iterator[PlannedCall]:
    """The calls of a solver that is told the same number, with its sign changing, again and again."""
    run, zero = stretch.run, torch.zeros(1)
    memory = {} if stretch.state is None else stretch.state.memory
    # A history of the same length, without its latents: it says how far the solver has ramped up.
    scalars = {name: (zero,) * len(kept) for name, kept in memory.items()}
    noise, start, stop = _ScalarNoise(), stretch.start, stretch.stop
    walk = Walk(run.sigmas, run.table, noise, start=start, stop=stop, memory=scalars)
    solver = run.solver.solve(zero, walk)
    try:
        _, sigma, step = next(solver)
        for call in range(_MOST_CALLS_A_STEP * (stop - start)):
            yield PlannedCall(run.first + step, sigma.float())
            answer = torch.full((1,), told * (-1) ** call)
            _, sigma, step = solver.send((answer, answer) if run.solver.needs_uncond else answer)
    except StopIteration:
        return


class _ScalarNoise(StepNoise):
    """Scalar zeros where latents would have noise."""

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        return torch.zeros(1)
