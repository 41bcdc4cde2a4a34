"""One job after another, with a model that is loaded once: what the driver does, or a worker of Ray."""

from __future__ import annotations

import gc
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridWarning, in_one_line
from maskgrid.jobs.object_place import open_place
from maskgrid.mask_grid import MaskGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskgrid.jobs.job import Job
    from maskgrid.jobs.place import Place

__all__ = ["Outcome", "Worker", "failed_by"]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        kind: The name of the error that it failed with; "" where it is done.
        reason: What that says, in a line.
        tries: How often it was tried.
        seconds: How long the last time took.
    """

    job: Job
    kind: str = ""
    reason: str = ""
    tries: int = 1
    seconds: float = 0.0


class Worker:
    """Does jobs and saves them; holds the last job's model for the next one.

    Args:
        place: Where they are saved: a place, its path or its URL.
    """

    def __init__(self, place: Place | str) -> None:
        self._place = open_place(place) if isinstance(place, str) else place
        self._model: tuple[str, str | None, str | None] | None = None
        self._maker: Any = None

    def load(self, job: Job) -> MaskGrid:
        """The model of a job, loaded if it is not the last job's.

        Raises:
            MaskGridError: It can't be loaded.
        """
        if job.model != self._model:
            # Two at once may not fit.
            self._maker = self._model = None
            gc.collect()
            model, device, dtype = job.model
            self._maker = MaskGrid.load(model, device=device, dtype=dtype)
            self._model = job.model
        made: MaskGrid = self._maker
        return made

    def run(
        self, job: Job, files: Mapping[str, bytes], *, callback: Callable[[Any], object] | None = None
    ) -> Outcome:
        """Do a job and save it.

        Args:
            job: The job.
            files: What its files hold, see `Job.read_files`.
            callback: Told after each call of the network, see `MaskGrid.__call__`.

        Returns:
            What became of it; an error of its run is told there, whatever it is.

        Raises:
            MaskGridError: The model can't be loaded, or the folder can't be written: other jobs would meet
                the same.
            RunInterrupted: Ctrl-C.
        """
        maker = self.load(job)
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                # The check of the table has told them.
                warnings.simplefilter("ignore", MaskGridWarning)
                forks = maker(**job.arguments(files), callback=callback)
        # Whatever a network raises for this sheet, the next one may do.
        except Exception as error:
            return failed_by(job, error, seconds=time.monotonic() - start)
        self._place.save(job.id, forks)
        return Outcome(job, seconds=time.monotonic() - start)


def failed_by(job: Job, error: Exception, *, tries: int = 1, seconds: float = 0.0) -> Outcome:
    """The outcome of a job that an error ended."""
    return Outcome(job, type(error).__name__, in_one_line(error), tries, seconds)
