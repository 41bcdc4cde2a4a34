"""A run: what a sampler walks along.

A sampler is a generator. It yields (x, sigma), is sent the denoised latents, and returns the x it ends with:

    def euler(x, run):
        for _, sigma, following in run.steps():
            denoised = yield x, sigma
            x = x + (x - denoised) / sigma * (following - sigma)
        return x

Whoever runs the network drives it. A sampler is arithmetic, so sending N denoised items into a batch of one
makes a batch of N.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers.noise import NoNoise, StepNoise

__all__ = ["Memory", "Run", "Sampler", "Steps"]

Memory = dict[str, Tensor | list[Tensor]]
Steps = Generator[tuple[Tensor, Tensor], Tensor, Tensor]


@dataclass
class Run:
    """The way from noise to image, and what a solver remembers of it.

    Walking steps [0, k) and then, with another Run that has the same sigmas, memory and noise position, steps
    [k, S) gives bit for bit what walking [0, S) gives.

    Attributes:
        sigmas: (S + 1,) float32 (or float64) on the CPU, falling: the whole list, also when only a stretch of
            it is walked, since some solvers look back or ahead.
        table: The model's noise table.
        noise: Step noise; `run.noise(sigma, following)` draws one item's noise, which broadcasts over the
            forks.
        start: First step to walk, in [0, stop].
        stop: The step to stop before, in [start, S]; None is S.
        memory: The solver's history: tensors (B, C, ...) or lists of them, newest first. Empty means that a
            multistep solver ramps up its order from here. Tensors in it are never modified in place, and may
            be repeated along the batch at any time.

    Raises:
        InvalidValueError: sigmas that are not a list of 2 or more, or a stretch that is not inside it.
    """

    sigmas: Tensor
    table: NoiseTable
    noise: StepNoise = field(default_factory=NoNoise)
    start: int = 0
    stop: int | None = None
    memory: Memory = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sigmas.ndim != 1 or len(self.sigmas) < 2:
            raise InvalidValueError(
                f"sigmas has shape {tuple(self.sigmas.shape)}; allowed: (S + 1,), S of 1 or more"
            )
        self.sigmas = self.sigmas.detach().cpu()
        if self.sigmas.dtype != torch.float64:
            self.sigmas = self.sigmas.float()
        if not 0 <= self.start <= self.end <= self.step_count:
            raise InvalidValueError(
                f"the stretch is steps {self.start} to {self.end}; "
                f"allowed: 0 <= start <= stop <= {self.step_count}"
            )

    @property
    def step_count(self) -> int:
        """Steps of the whole list of sigmas."""
        return len(self.sigmas) - 1

    @property
    def end(self) -> int:
        """The step to stop before, as a number."""
        return self.step_count if self.stop is None else self.stop

    def steps(self, sigmas: Tensor | None = None) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The steps of this stretch: (step_index, sigma, following sigma), the sigmas 0-d tensors.

        Args:
            sigmas: (S + 1,) to walk through in place of the run's own.
        """
        values = self.sigmas if sigmas is None else sigmas
        for i in range(self.start, self.end):
            yield i, values[i], values[i + 1]

    def recall(self, key: str) -> Tensor | None:
        """A tensor of the memory, None at a fresh start."""
        kept = self.memory.get(key)
        return kept if isinstance(kept, Tensor) else None

    def recall_list(self, key: str) -> list[Tensor]:
        """A list of the memory, newest first (a copy; empty at a fresh start)."""
        kept = self.memory.get(key, [])
        return list(kept) if isinstance(kept, list) else []


Sampler = Callable[[Tensor, Run], Steps]
