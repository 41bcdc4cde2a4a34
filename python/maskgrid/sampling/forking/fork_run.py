"""Forks: N copies of a sheet, in each of which one cell is new.

Sample then Fork samples the sheet once, all cells together, and gives fork n its cell of the result. Fork
then Sample samples N times, each fork alone. `fork_at` = k lies between: together for k steps, then apart. A
run is a chain of stretches (`maskgrid.sampling.forking.stretch`): at most one together,
then one for each micro-batch of forks.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from maskgrid.errors import (
    InvalidTypeError,
    MaskGridError,
    RunInterrupted,
    attach_finished,
    is_out_of_memory,
)
from maskgrid.sampling.controls import check_count
from maskgrid.sampling.forking.finish import settled, untouched
from maskgrid.sampling.forking.request import Callback, Denoiser, Request, Responder
from maskgrid.sampling.forking.setup import Setup
from maskgrid.sampling.forking.stretch import Checkpoint, Stretch
from maskgrid.sampling.result.fork_latents import ForkLatents

__all__ = ["ForkJob", "run_job"]


class ForkJob:
    """A run, taken apart into stretches for whoever drives the network.

        for stretch in job.stretches():
            ...                             # answer stretch.requests()
        forks = job.result()

    `result` may be asked for at any time; it has the forks that are finished.

    Args:
        setup: The run's constants.
        stop: The step of `setup.sigmas` to stop before.
        forks: Which forks; default all.
        start: Where to go on from, with a row for each of these forks or one sheet; default the beginning.
        micro_batch: The most forks in one batch; default all.
        callback: Told after each call of the network.
    """

    def __init__(
        self,
        setup: Setup,
        stop: int,
        *,
        forks: Sequence[int] | None = None,
        start: Checkpoint | None = None,
        micro_batch: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        if micro_batch is not None:
            check_count("micro_batch", micro_batch, 1)
        self.setup = setup
        self._stop = stop
        self._forks = setup.all_forks if forks is None else tuple(forks)
        self._start = start
        self._group = micro_batch or max(len(self._forks), 1)
        self._callback = callback
        self._finished: list[ForkLatents] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sample: no forks, or no steps."""
        return not self._forks or (self._start is None and self._stop == 0)

    def stretches(self) -> Iterator[Stretch]:
        """The stretches, in order. Each has to be driven to its end before the next is asked for.

        Raises:
            MaskGridError: It was not.
        """
        self._finished.clear()
        if self.is_empty:
            return
        start, part_at = self._start, min(self.setup.fork_at, self._stop)
        if start.together and start.step < part_at if start else part_at > 0:
            together = self._stretch(self.setup.all_forks, start, part_at, together=True)
            yield together
            start = _end_of(together)
        if start and start.together and start.step == self._stop:
            self._finished.append(settled(self.setup, start, self._forks))
            return
        for begin in range(0, len(self._forks), self._group):
            rows = range(begin, min(begin + self._group, len(self._forks)))
            forks = tuple(self._forks[row] for row in rows)
            stretch = self._stretch(forks, self._own(start, forks, rows), self._stop, together=False)
            yield stretch
            self._finished.append(settled(self.setup, _end_of(stretch), forks))

    def result(self) -> ForkLatents | None:
        """The forks that are finished; None when there are none."""
        if self.is_empty:
            return untouched(self.setup.latents, self.setup.masks, self._forks)
        return ForkLatents.joined(self._finished) if self._finished else None

    def run(self, drive: Callable[[Stretch], None]) -> ForkLatents:
        """Have all stretches driven.

        Args:
            drive: Answers the requests of one stretch to their end.

        Returns:
            The forks.

        Raises:
            DenoiserError: The network returned something unusable. This, the next two and whatever else is
                raised by `drive` or a callback carry the forks that were finished as `result`.
            CancelledError: A callback returned False.
            RunInterrupted: Ctrl-C.
        """
        try:
            for stretch in self.stretches():
                drive(stretch)
        except KeyboardInterrupt as stop:
            interrupted = RunInterrupted("interrupted while sampling; the finished forks are in `result`")
            attach_finished(interrupted, self.result())
            raise interrupted from stop
        except BaseException as error:
            attach_finished(error, self.result())
            raise
        result = self.result()
        if result is None:
            raise MaskGridError("the run gave no forks")
        return result

    def _stretch(
        self, forks: tuple[int, ...], start: Checkpoint | None, stop: int, *, together: bool
    ) -> Stretch:
        return Stretch(
            self.setup,
            forks,
            together=together,
            start=start,
            stop=stop,
            group=self._group,
            callback=self._callback,
        )

    def _own(self, start: Checkpoint | None, forks: Sequence[int], rows: Sequence[int]) -> Checkpoint | None:
        """Where a micro-batch goes on from."""
        if start is None:
            return None
        return start.parted(self.setup.patches(forks)) if start.together else start.of(rows)


def run_job(job: ForkJob, denoiser: Denoiser) -> ForkLatents:
    """Have a denoiser answer all of a job.

    Args:
        job: What to sample.
        denoiser: denoised = f(x, sigma), or an object with `respond(request)`.

    Returns:
        The forks.

    Raises:
        InvalidTypeError: A denoiser that can't be called.
        DenoiserError: As for `ForkJob.run`, like the next two.
        CancelledError: A callback returned False.
        RunInterrupted: Ctrl-C.
    """
    answer = _answer_of(denoiser)
    with torch.no_grad():
        return job.run(lambda stretch: _drive(stretch, answer))


def _drive(stretch: Stretch, answer: Callable[[Request], Tensor]) -> None:
    requests = stretch.requests()
    request = next(requests, None)
    while request is not None:
        try:
            denoised = answer(request)
        except Exception as error:
            error.add_note(f"raised by the denoiser at {request}")
            if is_out_of_memory(error):
                error.add_note(f"{len(request.x)} items did not fit; allowed: a smaller micro_batch")
            raise
        # Nobody holds on to the batch, so that the next one can take its memory.
        request = None
        try:
            request = requests.send(denoised)
        except StopIteration:
            return


def _answer_of(denoiser: object) -> Callable[[Request], Tensor]:
    if isinstance(denoiser, Responder):
        return denoiser.respond
    if not callable(denoiser):
        raise InvalidTypeError(
            f"denoiser is {type(denoiser).__name__}; "
            "allowed: a function (x, sigma) or an object with respond(request)"
        )
    return lambda request: denoiser(request.x, request.sigma)


def _end_of(stretch: Stretch) -> Checkpoint:
    if stretch.end is None:
        raise MaskGridError("the next stretch was asked for before all requests of this one were answered")
    return stretch.end
