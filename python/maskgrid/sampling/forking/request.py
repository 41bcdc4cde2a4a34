"""The engine's conversation with whoever runs the network: what it asks for, and what an answer has to be."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from maskgrid.errors import DenoiserError

__all__ = ["Answer", "AnswerCheck", "Denoiser", "Request", "Responder"]

Answer = Tensor | tuple[Tensor, Tensor]
"""The denoised latents; with `Request.wants_uncond` (denoised, denoised without the condition)."""


@dataclass(frozen=True, eq=False)
class Request:
    """One call of the network that the engine waits for.

    It is to be sent the denoised latents: a tensor like `x` in every way.

    Attributes:
        x: (n * B, C, ..., h, w) noisy latents, fork-major: row k * B + b is batch item b of rows[k]. The
            network may overwrite it.
        sigma: Its noise level, 0-d float32 on the CPU.
        step: The step of the schedule it belongs to.
        steps: Steps of the whole schedule.
        forks: The forks that the call is for.
        rows: The fork whose conditioning each of the n items takes; empty for a sheet of them all, which is
            one item.
        batch: B.
        together: Whether the forks are still one sheet.
        wants_uncond: Whether the sampler needs the latents denoised without the condition besides; the answer
            is then a pair.
        base: (B, C, ..., h, w) what the rows have outside the parts that change, for networks that run once
            over it: the noised sheet; where the forks are still one sheet and each cell has a conditioning,
            that sheet. Not to be written to. None where there is one row, the sheet.
        changed: (top, left, bottom, right) of each item's cell, in latents: where it may differ from `base`.
    """

    x: Tensor
    sigma: Tensor
    step: int
    steps: int
    forks: tuple[int, ...]
    rows: tuple[int, ...]
    batch: int
    together: bool
    wants_uncond: bool = False
    base: Tensor | None = None
    changed: tuple[tuple[int, int, int, int], ...] = ()

    def __str__(self) -> str:
        who = (
            f"fork {self.forks[0]}" if len(self.forks) == 1 else f"forks {self.forks[0]} to {self.forks[-1]}"
        )
        return f"step {self.step} of {self.steps}, sigma {float(self.sigma):.6g}, {who}"


@runtime_checkable
class Responder(Protocol):
    """A denoiser that wants to know which forks its rows are."""

    def respond(self, request: Request) -> Answer:
        """The denoised latents, of the shape, dtype and device of `request.x`."""


Denoiser = Callable[[Tensor, Tensor], Tensor] | Responder
"""denoised = f(x, sigma), or an object with `respond(request)`."""


class AnswerCheck:
    """Refuses what a network can't mean: other shapes, other types, NaN and infinities.

    On an accelerator the values are looked at when all is over, since looking waits for the device.
    """

    def __init__(self) -> None:
        self._unread: list[tuple[Tensor, str]] = []

    def read(self, answer: object, request: Request) -> tuple[Tensor, ...]:
        """Read an answer: denoised, and denoised without the condition if asked for; (n, B, C, ..., h, w).

        Raises:
            DenoiserError: Not tensors like the request's x, or not finite.
        """
        given = answer if request.wants_uncond else (answer,)
        if not isinstance(given, tuple) or len(given) != 1 + request.wants_uncond:
            raise DenoiserError(
                f"the denoiser returned {type(answer).__name__} at {request}; allowed for this sampler: "
                "a pair, denoised and denoised without the condition"
            )
        return tuple(self._read_one(each, request) for each in given)

    def finish(self) -> None:
        """Look at the values that were not looked at yet.

        Raises:
            DenoiserError: They are not finite.
        """
        unread, self._unread = self._unread, []
        for finite, where in unread:
            if not finite:
                raise _not_finite(where)

    def _read_one(self, denoised: object, request: Request) -> Tensor:
        tensor = _check_likeness(denoised, request)
        if tensor.device.type != "cpu":
            self._unread.append((tensor.isfinite().all(), str(request)))
        elif not _is_finite(tensor):
            raise _not_finite(request)
        return tensor.reshape(-1, request.batch, *tensor.shape[1:])


def _check_likeness(denoised: object, request: Request) -> Tensor:
    """What the network returned, if it is like the request's x."""
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


def _is_finite(values: Tensor) -> bool:
    """Whether all values of a network's answer on the CPU are finite.

    A sum is one pass over memory and a NaN or an infinity never leaves it, so only a sum that is not finite,
    by overflow or for that reason, costs the pass that makes sure.
    """
    total = values.sum(dtype=torch.float64 if values.dtype == torch.float64 else torch.float32)
    return math.isfinite(total.item()) or bool(values.isfinite().all())


def _not_finite(where: object) -> DenoiserError:
    return DenoiserError(f"the denoiser returned NaN or infinities at {where}; allowed: finite numbers")
