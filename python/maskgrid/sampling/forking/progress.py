"""Progress: what a callback is told after each call of the network, and how it stops the run."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from maskgrid.errors import CallbackError

__all__ = ["Callback", "Progress", "asks_to_stop"]


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
        """The blended denoised latents (n * B, C, ..., h, w), for a preview; made when asked for."""
        return self.make_denoised()


Callback = Callable[[Progress], object]
"""Called after each call of the network; the run stops when it returns False, Python's or numpy's."""


def asks_to_stop(callback: Callback, progress: Progress) -> bool:
    """Tell a callback where the run is; whether it returned False.

    Raises:
        CallbackError: It raised StopIteration, which the solvers' loop would take for its own end.
    """
    try:
        answer = callback(progress)
    except StopIteration as error:
        raise CallbackError("the callback raised StopIteration; allowed: False to stop the run") from error
    if answer is None or isinstance(answer, bool):
        return answer is False
    # A comparison of numbers from numpy or torch, which is no bool of Python's.
    is_scalar = "bool" in str(getattr(answer, "dtype", "")) and getattr(answer, "ndim", 1) == 0
    return is_scalar and not answer
