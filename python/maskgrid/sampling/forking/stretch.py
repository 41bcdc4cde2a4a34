"""A stretch: some steps of a run for some forks, as a conversation.

`Stretch.requests()` is a generator. It yields a `Request` for each call of the network and is sent the
denoised latents; who runs the network, and how, is not its business:

    requests = stretch.requests()
    request = next(requests)
    while True:
        request = requests.send(network(request.x, request.sigma))     # until StopIteration
"""

import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maskgrid.errors import CancelledError, DenoiserError
from maskgrid.sampling.forking.blend import Blend
from maskgrid.sampling.forking.patches import Patches, arrange
from maskgrid.sampling.forking.request import (
    Callback,
    Progress,
    Request,
    asks_to_stop,
    check_denoised,
    is_finite,
)
from maskgrid.sampling.forking.setup import Setup
from maskgrid.sampling.samplers import get_sampler
from maskgrid.sampling.samplers.noise import StepNoise
from maskgrid.sampling.samplers.walk import Memory, Run, Steps

__all__ = ["Checkpoint", "Requests", "Stretch"]

Requests = Generator[Request, Tensor, None]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a walk stands: all that going on from here needs besides the setup.

    Attributes:
        step: The next step to walk.
        x: (n, B, C, ..., height, width) the solver's own x inside the patches, not blended; n = 1 and whole
            sheets while the forks are together.
        memory: The solver's history.
        draws: Step noise drawn so far.
        together: Whether the forks are still one sheet.
    """

    step: int
    x: Tensor
    memory: Memory
    draws: int
    together: bool

    def map(self, change: Callable[[Tensor], Tensor]) -> "Checkpoint":
        """With x and every tensor of the memory that is like x changed."""
        one: Callable[[Tensor], Tensor] = lambda t: change(t) if t.ndim == self.x.ndim else t  # noqa: E731
        memory: Memory = {
            key: [one(t) for t in kept] if isinstance(kept, list) else one(kept)
            for key, kept in self.memory.items()
        }
        return replace(self, x=change(self.x), memory=memory)

    def parted(self, patches: Patches) -> "Checkpoint":
        """The forks' own, once they part: each has the sheet's inside its patch."""
        return replace(
            self.map(lambda t: patches.cut(t).expand(len(patches), *(-1,) * (t.ndim - 1))), together=False
        )

    def of(self, rows: Sequence[int]) -> "Checkpoint":
        """That of some forks, by their place in the batch."""
        return self.map(lambda t: t[list(rows)])

    @staticmethod
    def joined(parts: Sequence["Checkpoint"]) -> "Checkpoint":
        """One for the forks of all parts, which stand at the same step."""
        first = parts[0]
        memory: Memory = {}
        for key, kept in first.memory.items():
            if isinstance(kept, Tensor):
                memory[key] = _joined([part.memory[key] for part in parts], first.x.ndim)
            else:
                columns = zip(*(part.memory[key] for part in parts), strict=True)
                memory[key] = [_joined(column, first.x.ndim) for column in columns]
        return replace(first, x=torch.cat([part.x for part in parts]), memory=memory)


def _joined(parts: Sequence[Tensor | list[Tensor]], ndim: int) -> Tensor:
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return torch.cat(tensors) if tensors[0].ndim == ndim else tensors[0]


class Stretch:
    """Steps [start, stop) of a run, for some forks in one batch or for the sheet of all of them.

    Args:
        setup: The run's constants.
        forks: Which forks.
        together: Whether they are sampled as one sheet.
        start: Where to go on from; None is the beginning of the run.
        stop: The step to stop before.
        group: The most forks in one request, where "cells" splits a sheet's request; default all.
        callback: Told after each call of the network.

    Attributes:
        end: Where the walk stands once the requests have been answered; None before.
    """

    def __init__(
        self,
        setup: Setup,
        forks: tuple[int, ...],
        *,
        together: bool,
        start: Checkpoint | None,
        stop: int,
        group: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.setup = setup
        self.forks = forks
        self.together = together
        self.stop = stop
        self.end: Checkpoint | None = None
        self._start = start
        self._group = group or len(forks)
        self._callback = callback
        self._unread: list[tuple[Tensor, str]] = []
        self._memory: Tensor | None = None
        self._handed_out: weakref.ref[Tensor] | None = None

    @property
    def start(self) -> int:
        """The first step to walk."""
        return 0 if self._start is None else self._start.step

    def requests(self) -> Requests:
        """The conversation, from the beginning.

        Yields:
            A request for each call of the network; to be sent the denoised latents.

        Raises:
            DenoiserError: They are not like the request's x, or not finite. On an accelerator the values are
                looked at when the stretch is over, since looking waits for the device.
            CancelledError: The callback returned False.
        """
        self._unread.clear()
        blend = self.setup.blend_of(self.forks, together=self.together)
        run = self._run(_SheetNoise(self))
        solver = get_sampler(self.setup.sampler).solve(self._first_x(), run)
        x = yield from self._walk(solver, run, blend)
        self._raise_unread()
        self._memory = None
        rows = 1 if self.together else len(self.forks)
        end = Checkpoint(self.stop, x, dict(run.memory), run.noise.position, self.together)
        self.end = end.map(lambda t: t.expand(rows, *(-1,) * (t.ndim - 1)))

    def calls(self) -> list[tuple[int, Tensor]]:
        """The (step, sigma) of each request to come, found by walking with empty hands."""
        run = self._run(_NoNoise())
        run.memory = {
            key: [torch.zeros(1) for _ in kept] if isinstance(kept, list) else torch.zeros(1)
            for key, kept in run.memory.items()
        }
        solver = get_sampler(self.setup.sampler).solve(torch.zeros(1), run)
        found = []
        try:
            _, sigma = next(solver)
            while True:
                found.append((self.setup.first + run.at, sigma.float()))
                _, sigma = solver.send(torch.zeros(1))
        except StopIteration:
            return found

    def _run(self, noise: StepNoise) -> "_TrackedRun":
        memory: Memory = {}
        if self._start is not None:
            kept = self._start.memory.items()
            memory = {key: list(value) if isinstance(value, list) else value for key, value in kept}
        return _TrackedRun(self.setup.sigmas, self.setup.table, noise, self.start, self.stop, memory)

    def _first_x(self) -> Tensor:
        if self._start is not None:
            return self._start.x
        noise = self.setup.noise_of(self.forks, together=self.together)
        x = self.setup.table.start(self.setup.image_latents, noise, self.setup.sigmas[0])
        return x if self.together else self.setup.patches(self.forks).cut(x)

    def _walk(self, solver: Steps, run: "_TrackedRun", blend: Blend) -> Generator[Request, Tensor, Tensor]:
        """The solver's conversation with the masked blend in between; returns its x."""
        try:
            x, sigma = next(solver)
            while True:
                # Whole batches get no name here: they would be held until the network's next answer.
                self._memory = blend.before(x, sigma, run.at, out=self._spare_memory())
                blended = blend.after((yield from self._ask(self._memory, sigma.float(), run.at)), run.at)
                self._report(blended, sigma.float(), run.at, blend)
                x, sigma = solver.send(blended)
        except StopIteration as end:
            result: Tensor = end.value
            return result

    def _ask(self, sheets: Tensor, sigma: Tensor, step: int) -> Generator[Request, Tensor, Tensor]:
        """The network's answer for (n, B, C, ..., h, w) sheets, of the same shape."""
        if not (self.together and self.setup.sheet_conditioning == "cells"):
            return (yield from self._ask_once(sheets, sigma, step, self.forks))
        arranged = None
        for begin in range(0, len(self.forks), self._group):
            forks = self.forks[begin : begin + self._group]
            repeated = sheets.expand(len(forks), *sheets.shape[1:]).clone()
            denoised = yield from self._ask_once(repeated, sigma, step, forks)
            arranged = denoised[:1].clone() if arranged is None else arranged
            arrange(denoised, self.setup.masks.writes[list(forks)], arranged)
        return sheets if arranged is None else arranged

    def _ask_once(
        self, sheets: Tensor, sigma: Tensor, step: int, forks: tuple[int, ...]
    ) -> Generator[Request, Tensor, Tensor]:
        setup = self.setup
        batch = sheets.shape[1]
        place = (setup.first + step, setup.first + setup.step_count)
        request = Request(sheets.flatten(0, 1), sigma, *place, forks, batch, self.together)
        self._handed_out = weakref.ref(request.x)
        denoised = check_denoised((yield request), request)
        finite = is_finite(denoised)
        if isinstance(finite, Tensor):
            self._unread.append((finite, str(request)))
        elif not finite:
            raise _not_finite(request)
        return denoised.reshape(-1, batch, *denoised.shape[1:])

    def _spare_memory(self) -> Tensor | None:
        """The last batch's memory, which need not be found again; None if someone holds it."""
        held = self._handed_out is not None and self._handed_out() is not None
        return None if held else self._memory

    def _raise_unread(self) -> None:
        """Look at whether the answers were finite that were given on an accelerator."""
        unread, self._unread = self._unread, []
        for finite, where in unread:
            if not finite:
                raise _not_finite(where)

    def _report(self, blended: Tensor, sigma: Tensor, step: int, blend: Blend) -> None:
        if self._callback is None:
            return
        setup = self.setup

        def denoised() -> Tensor:
            sheets = setup.latent_format.decode(blend.preview(blended))
            return sheets.to(setup.latents.dtype).flatten(0, 1)

        place = (setup.first + step, setup.first + setup.step_count)
        progress = Progress(*place, sigma, self.forks, setup.fork_count, self.together, denoised)
        if asks_to_stop(self._callback, progress):
            raise CancelledError(f"a callback asked to stop at step {place[0]} of {place[1]}")


def _not_finite(where: object) -> DenoiserError:
    return DenoiserError(f"the denoiser returned NaN or infinities at {where}; allowed: finite numbers")


class _TrackedRun(Run):
    """A run that knows which step its solver is at."""

    at: int = 0

    def steps(self, sigmas: Tensor | None = None) -> Iterator[tuple[int, Tensor, Tensor]]:
        for step in super().steps(sigmas):
            self.at = step[0]
            yield step


class _SheetNoise(StepNoise):
    """The step noise of a stretch: of the sheet, or cut to its forks' patches."""

    def __init__(self, stretch: Stretch) -> None:
        setup, start = stretch.setup, stretch._start
        self._stretch = stretch
        self._items = setup.step_noise_of(stretch.forks, 0 if start is None else start.draws)
        self._patches = None if stretch.together else setup.patches(stretch.forks)

    @property
    def position(self) -> int:
        return self._items[0].position

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """(1 or n, B, C, ..., height, width)."""
        drawn = (item(sigma, following) for item in self._items)
        stretch = self._stretch
        noise = stretch.setup.arranged(drawn, stretch.forks, together=stretch.together)
        return noise if self._patches is None else self._patches.cut(noise)


class _NoNoise(StepNoise):
    """Zeros, for walking without tensors."""

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        return torch.zeros(1)
