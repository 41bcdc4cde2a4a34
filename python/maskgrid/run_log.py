"""What the logger "maskgrid" is told of a run: its forks, each micro-batch, each picture, and seconds."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskgrid.run_inputs import RunInputs
    from maskgrid.run_plan import RunPlan
    from maskgrid.sampling import Progress

__all__ = ["RunLog"]

_LOG = logging.getLogger("maskgrid")


class RunLog:
    """Tells the logger how a run goes, beside the run's own callbacks.

    INFO is the run, its micro-batches and its decoding, DEBUG each step and each picture.
    """

    def __init__(self) -> None:
        self._start = self._batch_start = time.monotonic()
        self._forks: tuple[int, ...] = ()
        self._together = False

    def listening(self, inputs: RunInputs) -> RunInputs:
        """The inputs of a run, with callbacks that tell its log first."""
        callback, decode_callback = inputs.options.callback, inputs.options.decode_callback

        def on_step(progress: Progress) -> object:
            self._step(progress)
            return callback(progress) if callback else None

        def on_picture(done: int, count: int) -> object:
            _LOG.debug("decoded fork %d of %d", done, count)
            return decode_callback(done, count) if decode_callback else None

        return inputs.reporting_to(on_step, on_picture)

    @contextmanager
    def run(self, inputs: RunInputs, plan: RunPlan, pipeline: str) -> Iterator[None]:
        """Tell of a run as a whole: what it is at first, how long it took at last, or why it ended."""
        controls, canvas = inputs.options.controls, plan.grid.canvas
        parts = f"fork_at {controls.fork_at}" if controls.fork_at is not None else controls.mode
        _LOG.info(
            "run: %d forks of a %d x %d px sheet with %s, %s, %d steps of %s",
            *(len(plan.forks), canvas.height, canvas.width, pipeline, parts),
            *(inputs.options.steps, controls.sampler),
        )
        try:
            yield
        except BaseException as error:
            _LOG.info("run ended after %.2f s: %s", time.monotonic() - self._start, type(error).__name__)
            raise
        _LOG.info("run: %d forks in %.2f s", len(plan.forks), time.monotonic() - self._start)

    @contextmanager
    def decoding(self, count: int) -> Iterator[None]:
        """Tell how long the decoding of `count` forks took."""
        self._end_batch()
        start = time.monotonic()
        yield
        _LOG.info("decoded %d forks in %.2f s", count, time.monotonic() - start)

    def _step(self, progress: Progress) -> None:
        if (progress.forks, progress.together) != (self._forks, self._together):
            self._end_batch()
            self._forks, self._together = progress.forks, progress.together
        _LOG.debug(
            "step %d of %d, sigma %.4g, forks %s",
            *(progress.step + 1, progress.steps, float(progress.sigma), list(progress.forks)),
        )

    def _end_batch(self) -> None:
        """Tell of the micro-batch that is over."""
        now = time.monotonic()
        if self._forks:
            how = "together" if self._together else "apart"
            numbers = (self._forks[0], self._forks[-1], how, now - self._batch_start)
            _LOG.info("sampled forks %d to %d %s in %.2f s", *numbers)
        self._forks, self._batch_start = (), now
