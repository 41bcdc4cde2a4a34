"""A walk from noise to image: what a solver walks along, and the contract between solvers and their drivers.

A solver is a generator. It yields (x, sigma, step): the latents that it wants denoised, their noise level,
and the index of the step that this belongs to. It is sent the denoised latents, and returns the x it ends
with:

    def euler(x, walk):
        for step, sigma, following in walk.steps():
            denoised = yield x, sigma, step
            x = x + (x - denoised) / sigma * (following - sigma)
        return x

Whoever runs the network drives it. A solver is arithmetic, so sending N denoised items into a batch of one
makes a batch of N.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers.noise import NoNoise, StepNoise

__all__ = ["GuidedSteps", "Memory", "Question", "Solver", "Steps", "Walk"]

Question = tuple[Tensor, Tensor, int]
"""What a solver yields: x (B, C, ...), its sigma (0-d), and the step that it belongs to."""

Steps = Generator[Question, Tensor, Tensor]
"""A solver at work: it is sent the denoised latents, of x's shape or with more items, and returns its x."""

GuidedSteps = Generator[Question, tuple[Tensor, Tensor], Tensor]
"""A solver with CFG++ at work: it is sent a pair, denoised and denoised without the condition."""

Memory = dict[str, tuple[Tensor, ...]]
"""A solver's history: by name the tensors (B, C, ...) of the last steps, newest first."""

# Two sigmas that differ by less are one, rounded.
_SAME_SIGMA = 1e-5


class Walk:
    """The way from noise to image, and what a solver remembers of it.

    Walking steps [0, k) and then, on another Walk that has the same sigmas, memory and noise position, steps
    [k, S) gives bit for bit what walking [0, S) gives.

    Args:
        sigmas: (S + 1,) on the CPU, falling: the whole list, also when only a stretch of it is walked, since
            some solvers look back or ahead.
        table: The model's noise table.
        noise: Step noise; default none.
        start: First step to walk, in [0, stop].
        stop: The step to stop before, in [start, S]; default S.
        memory: The solver's history at the start; empty means that a multistep solver ramps up its order from
            here.
        sheet_size: How many values the whole sheet has that x is a part of, for a solver that measures its
            error; default x's own.

    Attributes:
        sigmas: (S + 1,) float32, or float64 if they were.
        noise: `walk.noise(sigma, following)` draws one item's noise, which broadcasts over the forks.
        memory: The solver's history so far. Its tensors are never modified in place, and may be repeated
            along the batch at any time.

    Raises:
        InvalidValueError: sigmas that are not a list of 2 or more, or a stretch that is not inside it.
    """

    def __init__(
        self,
        sigmas: Tensor,
        table: NoiseTable,
        noise: StepNoise | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        memory: Mapping[str, tuple[Tensor, ...]] | None = None,
        sheet_size: int | None = None,
    ) -> None:
        if sigmas.ndim != 1 or len(sigmas) < 2:
            raise InvalidValueError(
                f"sigmas has shape {tuple(sigmas.shape)}; allowed: (S + 1,), S of 1 or more"
            )
        sigmas = sigmas.detach().cpu()
        self.sigmas = sigmas if sigmas.dtype == torch.float64 else sigmas.float()
        self.table = table
        self.noise = NoNoise() if noise is None else noise
        self.start = start
        self.stop = self.step_count if stop is None else stop
        self.memory: Memory = dict(memory or {})
        self.sheet_size = sheet_size
        if not 0 <= self.start <= self.stop <= self.step_count:
            raise InvalidValueError(
                f"the stretch is steps {self.start} to {self.stop}; "
                f"allowed: 0 <= start <= stop <= {self.step_count}"
            )

    @property
    def step_count(self) -> int:
        """Steps of the whole list of sigmas that is walked."""
        return len(self.sigmas) - 1

    def steps(self, sigmas: Tensor | None = None) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The steps of this stretch: (step, sigma, following sigma), the sigmas 0-d tensors.

        Args:
            sigmas: (S + 1,) to walk through in place of the walk's own.
        """
        values = self.sigmas if sigmas is None else sigmas
        for step in range(self.start, self.stop):
            yield step, values[step], values[step + 1]

    def step_at(self, sigma: Tensor) -> int:
        """The step of this stretch that a sigma lies in, for solvers with steps of their own."""
        at_or_above = int((self.sigmas > sigma * (1 - _SAME_SIGMA)).sum())
        return min(max(at_or_above - 1, self.start), self.stop - 1)

    def recall(self, name: str) -> tuple[Tensor, ...]:
        """What is remembered by this name, newest first; empty at a fresh start."""
        return self.memory.get(name, ())

    def remember(self, name: str, value: Tensor, *, most: int = 1) -> tuple[Tensor, ...]:
        """Put a tensor before what is remembered by this name, of which the `most` newest are kept.

        Returns:
            What is remembered now, newest first.
        """
        kept = (value, *self.recall(name))[:most]
        self.memory[name] = kept
        return kept


Solver = Callable[[Tensor, Walk], Generator[Question, Any, Tensor]]
"""A solver, to be started with an x (B, C, ...) at the walk's first sigma."""
