"""A sampling of forks: N copies of a sheet, in each of which one cell is new.

Sample then Fork samples the sheet once, all cells together, and gives fork n its cell of the result. Fork
then Sample samples N times, each fork alone. `fork_at` = k lies between: together for k steps, then apart. So
a sampling is a chain of stretches: at most one of the sheet together, then one for each micro-batch of forks.

Forks are made of where a stretch ends. At sigma 0 the sheet as it was given is pasted where nothing may
change, so that it stays bit for bit in any dtype. With noise left, a fork is what the network would be shown
next: the blended x, its surroundings noised alike.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from maskgrid.errors import (
    DenoiserError,
    InvalidTypeError,
    InvalidValueError,
    RunInterrupted,
    attach_finished,
    is_out_of_memory,
)
from maskgrid.sampling.argument_checks import check_count
from maskgrid.sampling.forking.denoise import Stretch, denoise
from maskgrid.sampling.forking.fork_run import ForkRun
from maskgrid.sampling.forking.progress import Callback
from maskgrid.sampling.forking.region import Region
from maskgrid.sampling.forking.request import Answer, Denoiser, Request, Responder
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.result.fork_latents import ForkLatents

__all__ = ["ForkSampling", "answer_with", "finish_forks", "take_forks"]

Finish = Callable[[ForkRun, State, Sequence[int]], ForkLatents]
_Begun = tuple[tuple[int, ...], State | None]
"""Forks that one sheet has together, and where it stands."""


def finish_forks(run: ForkRun, state: State, forks: Sequence[int]) -> ForkLatents:
    """Forks of where their walk, or that of the sheet together, ended.

    Args:
        run: The run's constants.
        state: Where it ended; of these forks, or of the sheet.
        forks: Which forks to make.

    Returns:
        The forks; with the state for carrying on when noise is left.
    """
    sigma, own = run.sigmas[state.step], run.fork_region(forks)
    may_change = own.patches.inside(own.cells) & (own.cut(run.masks.together[None]) > 0)
    chosen = may_change if state.is_sheet else run.masks.values[list(forks)] > 0
    if float(sigma) == 0:
        return take_forks(run, own, state, chosen, x=state.x, background=run.given_sheets(forks))
    region = run.sheet_region(forks[0]) if state.is_sheet else own
    around = run.table.noised(run.sheets_of(region), run.surrounding_noise(region), sigma)
    x = torch.lerp(region.cut(around), state.x, run.mask(region, state.step))
    around = run.table.noised(run.sheets_of(own), run.surrounding_noise(own), sigma)
    result = take_forks(run, own, state, chosen, x=x, background=run.hand_out(around, sigma))
    return result.carry_on(run, state) if state.step < run.step_count else result


def take_forks(
    run: ForkRun, own: Region, state: State, chosen: Tensor, *, x: Tensor, background: Tensor
) -> ForkLatents:
    """Forks that have x where they may differ, and the background everywhere else.

    Args:
        run: The run's constants.
        own: The region of the forks to make.
        state: Where the walk ended.
        chosen: (n, height, width) bool: where in its patch each fork has what was sampled.
        x: (n, B, C, ..., *patch) at the state's sigma; of the sheet together (1, B, C, ..., h, w).
        background: (1 or n, B, C, ..., h, w) as they are handed out.
    """
    sigma = run.sigmas[state.step]
    values, around = run.hand_out(x, sigma), own.cut(background)
    if state.is_sheet:
        values = own.cut(values)
    shape = (len(own.forks), *(1,) * (len(run.sheet_shape) - 2), *own.patches.size)
    new = torch.where(chosen.to(run.latents.device).reshape(shape), values, around)
    return ForkLatents(
        sheets=run.latents,
        masks=run.masks,
        numbers=own.forks,
        patches=new,
        places=own.patches,
        sigma=float(sigma),
        background=background,
    )


def _leave_forks(run: ForkRun, forks: Sequence[int]) -> ForkLatents:
    """The forks of a run of no steps: the sheet as it came."""
    places, sheets = run.masks.patches.of(forks), run.given_sheets(forks)
    patches = places.cut(sheets).expand(len(forks), *run.sheet_shape[:-2], *places.size)
    return ForkLatents(run.latents, run.masks, tuple(forks), patches, places, 0.0, sheets)


class ForkSampling:
    """A sampling of forks that is under way.

        forks = sampling.complete(answer_with(denoiser))

    `result` may be asked for at any time; it has the forks that are finished.

    Args:
        run: The run's constants.
        stop: The step of `run.sigmas` to stop before.
        forks: Which forks; default all.
        state: Where to go on from, of these forks or of the sheet; default the beginning.
        micro_batch: The most forks in one batch, 1 or more; default all.
        callback: Told after each call of the network.
        finish: Makes forks of where a stretch ended.

    Raises:
        InvalidTypeError: A micro_batch that is no integer.
        InvalidValueError: One below 1.
    """

    def __init__(
        self,
        run: ForkRun,
        stop: int,
        *,
        forks: Sequence[int] | None = None,
        state: State | None = None,
        micro_batch: int | None = None,
        callback: Callback | None = None,
        finish: Finish = finish_forks,
    ) -> None:
        self.run = run
        self.stop = stop
        self.forks = run.forks if forks is None else tuple(forks)
        self._state = state
        size = max(len(self.forks), 1) if micro_batch is None else check_count("micro_batch", micro_batch, 1)
        # Where the items of a batch would have a say in each other's steps, each fork goes alone.
        self._micro_batch = 1 if run.solver.coupled else size
        self._callback = callback
        self._finish = finish
        self._finished: list[ForkLatents] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sample: no forks, or no steps."""
        return not self.forks or (self._state is None and self.stop == 0)

    @property
    def result(self) -> ForkLatents | None:
        """The forks that are finished; None when there are none."""
        if self.is_empty:
            return _leave_forks(self.run, self.forks)
        return ForkLatents.join(self._finished) if self._finished else None

    def complete(self, drive: Callable[[Stretch], State]) -> ForkLatents:
        """Have all stretches driven, one after the other.

        Args:
            drive: Answers the requests of a stretch (`denoise`) to their end, and returns that.

        Returns:
            The forks.

        Raises:
            RunInterrupted: Ctrl-C, a KeyboardInterrupt. This and every other exception carries the forks that
                were finished as `result`.
        """
        try:
            if not self.is_empty:
                self._walk(drive)
        except KeyboardInterrupt as stop:
            interrupted = RunInterrupted("interrupted while sampling; the finished forks are in `result`")
            attach_finished(interrupted, self.result)
            raise interrupted from stop
        except BaseException as error:
            attach_finished(error, self.result)
            raise
        result = self.result
        assert result is not None, "a sampling that was driven to its end has forks"
        return result

    def _walk(self, drive: Callable[[Stretch], State]) -> None:
        begun = [self._walk_sheet(drive, forks) for forks in self._sheets()]
        if self._finished:
            return
        for begin in range(0, len(self.forks), self._micro_batch):
            forks = self.forks[begin : begin + self._micro_batch]
            region = self.run.fork_region(forks)
            end = drive(self._stretch(region, _own_state(begun, region), self.stop))
            self._finished.append(self._finish(self.run, end, forks))

    def _sheets(self) -> list[tuple[int, ...]]:
        """The forks by the sheet that they are part of while they are together."""
        sheets, wanted = self.run.masks.sheets, set(self.forks)
        if len(sheets) == 1:
            return [self.forks]
        parts = [tuple(fork for fork in sheet if fork in wanted) for sheet in sheets]
        return [part for part in parts if part]

    def _walk_sheet(self, drive: Callable[[Stretch], State], forks: tuple[int, ...]) -> _Begun:
        """Walk a sheet together to where its forks part; where that is the end, they are finished."""
        run, state, part_at = self.run, self._state, min(self.run.fork_at, self.stop)
        if part_at > 0 if state is None else state.is_sheet and state.step < part_at:
            state = drive(self._stretch(run.sheet_region(forks[0]), state, part_at))
        if state and state.is_sheet and state.step == self.stop:
            self._finished.append(self._finish(run, state, forks))
        return forks, state

    def _stretch(self, region: Region, state: State | None, stop: int) -> Stretch:
        return Stretch(
            run=self.run,
            region=region,
            state=state,
            stop=stop,
            micro_batch=self._micro_batch,
            callback=self._callback,
        )


def answer_with(denoiser: Denoiser) -> Callable[[Stretch], State]:
    """What drives stretches with a denoiser, without recording gradients.

    Args:
        denoiser: denoised = f(x, sigma), or an object with `respond(request)`.

    Raises:
        InvalidTypeError: A denoiser that can't be called.
        InvalidValueError: While driving: a sampler that needs more than a function f(x, sigma) tells.
    """
    answer = _answer_of(denoiser)

    def drive(stretch: Stretch) -> State:
        if stretch.run.solver.needs_uncond and not isinstance(denoiser, Responder):
            raise InvalidValueError(
                f"sampler {stretch.run.sampler!r} needs what the network denoises without the condition, "
                "too, and a function of x and sigma gives one answer; allowed: a GuidedNetwork, or an object "
                "whose respond(request) returns both"
            )
        with torch.no_grad():
            return _drive(stretch, answer)

    return drive


def _drive(stretch: Stretch, answer: Callable[[Request], Answer]) -> State:
    requests = denoise(stretch)
    request: Request | None = next(requests)
    while request is not None:
        try:
            denoised = answer(request)
        except StopIteration as error:
            raise DenoiserError(f"the denoiser raised StopIteration at {request}") from error
        except Exception as error:
            error.add_note(f"raised by the denoiser at {request}")
            if is_out_of_memory(error):
                error.add_note(f"{len(request.x)} items did not fit; allowed: a smaller micro_batch")
            raise
        # Nobody holds on to the batch while the next one is made.
        request = None
        try:
            request = requests.send(denoised)
        except StopIteration as end:
            state: State = end.value
            return state
    raise AssertionError("a generator returns or yields")


def _answer_of(denoiser: object) -> Callable[[Request], Answer]:
    if isinstance(denoiser, Responder):
        return denoiser.respond
    if not callable(denoiser):
        raise InvalidTypeError(
            f"denoiser is {type(denoiser).__name__}; "
            "allowed: a function (x, sigma) or an object with respond(request)"
        )
    return lambda request: denoiser(request.x, request.sigma)


def _own_state(begun: Sequence[_Begun], region: Region) -> State | None:
    """Where the forks of a micro-batch go on from."""
    _forks, first = begun[0]
    if first is None or not first.is_sheet:
        return first and first.pick(region.forks)
    sheet_of = {fork: sheet for sheet, (forks, _state) in enumerate(begun) for fork in forks}
    parts = []
    # Tries of a cell go on from sheets of their own.
    for sheet, same in groupby(enumerate(region.forks), lambda each: sheet_of[each[1]]):
        rows, forks = zip(*same, strict=True)
        state = begun[sheet][1]
        assert state is not None, "sheets are walked together, all or none"
        parts.append(state.part(forks, region.patches.of(rows)))
    return State.join(parts)
