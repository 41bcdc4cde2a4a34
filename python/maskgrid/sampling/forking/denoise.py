"""The loop: a solver with the masked blend around the network, as a conversation.

With z the clean sheet, m the noise mask, noised(z, sigma) the sheet at noise level sigma:

    before the network   x        <- m * x + (1 - m) * noised(z, sigma)
    after the network    denoised <- m * denoised + (1 - m) * z

The solver keeps its own x, which only ever meets the blended denoised. `denoise` is a generator: it yields a
`Request` for each call of the network, is sent the denoised latents, and returns the state it ends in. Who
runs the network, and how, is not its business:

    requests = denoise(stretch)
    request = next(requests)
    while True:
        request = requests.send(network(request.x, request.sigma))     # until StopIteration
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maskgrid.errors import CancelledError
from maskgrid.sampling.forking.fork_run import ForkRun
from maskgrid.sampling.forking.progress import Callback, Progress, asks_to_stop
from maskgrid.sampling.forking.region import Region
from maskgrid.sampling.forking.request import Answer, AnswerCheck, Request
from maskgrid.sampling.forking.state import State

__all__ = ["Requests", "Stretch", "denoise"]

Requests = Generator[Request, Answer, State]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Some steps that the loop walks, for one region.

    Attributes:
        run: The run's constants.
        region: The forks of one batch, or the sheet of all of them.
        state: Where to go on from; None is the beginning of the run.
        stop: The step of the run's sigmas to stop before.
        micro_batch: The most forks in one request.
        callback: Told after each call of the network.
    """

    run: ForkRun
    region: Region
    state: State | None
    stop: int
    micro_batch: int
    callback: Callback | None = None

    @property
    def start(self) -> int:
        """The first step that a stretch of the loop walks."""
        return 0 if self.state is None else self.state.step

    @property
    def calls(self) -> tuple[tuple[int, ...], ...]:
        """The rows of each request that a call of the network is made of.

        It is one request; but where each cell of the sheet has an answer of its own, it is one for each
        micro-batch of forks, which are shown the sheet once each.
        """
        if not (self.region.is_sheet and self.run.sheet_conditioning == "cells"):
            return (self.region.rows,)
        forks, size = self.region.forks, self.micro_batch
        return tuple(forks[i : i + size] for i in range(0, len(forks), size))


def denoise(stretch: Stretch) -> Requests:
    """Denoise the latents of a region over some steps: the loop of a solver with the masked blend in it.

    Yields:
        A request for each call of the network; to be sent the denoised latents.

    Returns:
        Where the stretch ends.

    Raises:
        DenoiserError: The answer is not like the request's x, or not finite. On an accelerator the values are
            looked at when the stretch is over, since looking waits for the device.
        CancelledError: The callback returned False.
    """
    run, region, check = stretch.run, stretch.region, AnswerCheck()
    z, noise = run.sheets_of(region), run.surrounding_noise(region)
    inside = region.cut(z)
    walk = run.walk(region, stretch.state, stretch.stop)
    solver = run.solver.solve(run.start(region) if stretch.state is None else stretch.state.x, walk)
    x, sigma, step = next(solver)
    while True:
        m = run.mask(region, step)
        around = run.table.noised(z, noise, sigma)
        shown = region.lerp(around, x, m, dtype=run.latents.dtype)
        base = _base_of(stretch, around, shown)
        del around
        answers: list[Tensor] = []
        for rows in stretch.calls:
            request = _request(stretch, shown, base, sigma, step, rows)
            answers = _gather(region, rows, check.read((yield request), request), answers)
        # The batch is not held any longer than the network needs it.
        del shown, base, request
        denoised = torch.lerp(inside, region.cut(answers[0]).to(z.dtype), m)
        uncond = [region.cut(answer).to(z.dtype, copy=True) for answer in answers[1:]]
        answers.clear()
        _report(stretch, denoised, sigma, step)
        try:
            x, sigma, step = solver.send((denoised, *uncond) if uncond else denoised)
        except StopIteration as end:
            check.finish()
            state = State(stretch.stop, region.rows, end.value, walk.memory, walk.noise.position)
            return state.expand(len(region.patches))


def _base_of(stretch: Stretch, around: Tensor, shown: Tensor) -> Tensor | None:
    """What the rows of a request have in common, (B, C, ..., h, w) of its own memory; None for nothing.

    Forks with noise of their own are surrounded by different sheets; the first one's stands for all.
    """
    if stretch.calls == ((),) or len(stretch.run.latents) > 1:
        return None
    return (shown if stretch.region.is_sheet else around)[0].to(stretch.run.latents.dtype, copy=True)


def _request(
    stretch: Stretch, shown: Tensor, base: Tensor | None, sigma: Tensor, step: int, rows: tuple[int, ...]
) -> Request:
    """What the network is asked: all rows of the region, or the sheet once for each of `rows`."""
    run, region = stretch.run, stretch.region
    if rows != region.rows:
        shown = shown.expand(len(rows), *shown.shape[1:]).clone()
    return Request(
        shown.flatten(0, 1),
        sigma.float(),
        run.first + step,
        run.steps,
        rows or region.forks,
        rows,
        shown.shape[1],
        region.is_sheet,
        run.solver.needs_uncond,
        base,
        region.rectangles(rows),
    )


def _gather(
    region: Region, rows: tuple[int, ...], given: tuple[Tensor, ...], answers: list[Tensor]
) -> list[Tensor]:
    """The answers as the region has them: where cells have their own, each cell is taken from its fork's."""
    if rows == region.rows:
        return list(given)
    so_far: Sequence[Tensor | None] = answers or [None] * len(given)
    return [region.arrange(sheets, rows, onto) for sheets, onto in zip(given, so_far, strict=True)]


def _report(stretch: Stretch, denoised: Tensor, sigma: Tensor, step: int) -> None:
    """Tell the callback how far the run is.

    Raises:
        CancelledError: It returned False.
    """
    if stretch.callback is None:
        return
    run, region = stretch.run, stretch.region

    def make_denoised() -> Tensor:
        sheets = run.latent_format.decode(region.paste(denoised, run.sheets_of(region)))
        return sheets.to(run.latents.dtype).flatten(0, 1)

    place, steps = run.first + step, run.steps
    told = Progress(place, steps, sigma.float(), region.forks, len(run.masks), region.is_sheet, make_denoised)
    if asks_to_stop(stretch.callback, told):
        raise CancelledError(f"a callback asked to stop at step {place} of {steps}")
