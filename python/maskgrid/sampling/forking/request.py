"""The engine's conversation with whoever runs the network: what it asks for, and what it tells."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from maskgrid.errors import CallbackError, DenoiserError

__all__ = [
    "Callback",
    "Denoiser",
    "Progress",
    "Request",
    "Responder",
    "asks_to_stop",
    "check_denoised",
    "is_finite",
]


@dataclass(frozen=True, eq=False)
class Request:
    """One call of the network that the engine waits for.

    It is to be sent the denoised latents: a tensor like `x` in every way.

    Attributes:
        x: (n * B, C, ..., h, w) noisy latents, fork-major: row k * B + b is batch item b of forks[k]. The
            network may overwrite it. What is kept of it beyond the answer should be a copy: unless x itself
            is still held somewhere, the next request takes its memory.
        sigma: Its noise level, 0-d float32 on the CPU.
        step: The step of the schedule it belongs to.
        steps: Steps of the schedule.
        forks: The forks that the rows belong to. While the forks are sampled together as one sheet n is 1 and
            these are all forks.
        batch: B.
        together: Whether the forks are still one sheet.
    """

    x: Tensor
    sigma: Tensor
    step: int
    steps: int
    forks: tuple[int, ...]
    batch: int
    together: bool

    @property
    def rows(self) -> tuple[int, ...]:
        """The fork whose conditioning each of the n items takes; empty for a sheet of them all."""
        return self.forks if len(self.x) == self.batch * len(self.forks) else ()

    def __str__(self) -> str:
        who = (
            f"fork {self.forks[0]}" if len(self.forks) == 1 else f"forks {self.forks[0]} to {self.forks[-1]}"
        )
        return f"step {self.step} of {self.steps}, sigma {float(self.sigma):.6g}, {who}"


@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback is told after each call of the network.

    Attributes:
        step: The step of the schedule; a solver with two calls a step reports it twice.
        steps: Steps of the schedule.
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


@runtime_checkable
class Responder(Protocol):
    """A denoiser that wants to know which forks its rows are."""

    def respond(self, request: Request) -> Tensor:
        """The denoised latents, of the shape, dtype and device of `request.x`."""


Denoiser = Callable[[Tensor, Tensor], Tensor] | Responder
"""denoised = f(x, sigma), or an object with `respond(request)`."""


def check_denoised(denoised: object, request: Request) -> Tensor:
    """What the network returned, if it is like the request's x. The values are not looked at.

    Raises:
        DenoiserError: Not a tensor, or another shape, dtype or device.
    """
    if not isinstance(denoised, Tensor):
        raise DenoiserError(
            f"the denoiser returned {type(denoised).__name__} at {request}; allowed: a tensor"
        )
    for name in ("shape", "dtype", "device"):
        got, wanted = getattr(denoised, name), getattr(request.x, name)
        if got != wanted:
            got, wanted = (tuple(each) if name == "shape" else each for each in (got, wanted))
            raise DenoiserError(f"the denoiser returned {name} {got} at {request}; allowed: {wanted}")
    return denoised


def is_finite(values: Tensor) -> bool | Tensor:
    """Whether all values are finite; of an accelerator's a 0-d tensor on it, since looking would wait for it.

    A sum is one pass over memory and a NaN or an infinity never leaves it, so only a sum that is not finite,
    by overflow or for that reason, costs the pass that makes sure.
    """
    if values.device.type != "cpu":
        return values.isfinite().all()
    total = values.sum(dtype=torch.float64 if values.dtype == torch.float64 else torch.float32)
    return math.isfinite(total.item()) or bool(values.isfinite().all())
