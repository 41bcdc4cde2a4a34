"""Progress: what a callback is told after each call of the network, and how it stops the run."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Callback", "Progress"]


@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback is told after each call of the network.

    Attributes:
        step: The step of the schedule; a solver with two calls a step reports it twice.
        steps: Steps of the whole schedule.
        sigma: The noise level, 0-d float32 on the CPU.
        forks: The forks that the call was for.
        fork_count: Forks of the run.
        together: Whether the forks are still one sheet.
    """

    step: int
    steps: int
    sigma: Tensor
    forks: tuple[int, ...]
    fork_count: int
    together: bool
    make_denoised: Callable[[], Tensor]

    @property
    def denoised(self) -> Tensor:
        """(n * B, C, ..., h, w) the blended denoised latents, for a preview; made when asked for."""
        return self.make_denoised()


Callback = Callable[[Progress], object]
"""Called after each call of the network; the run stops when it returns False, Python's or numpy's."""
