"""How far a batch is: what is done, failed and left, how fast it goes, and when it will end."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from maskgrid.jobs.place import FAILED, RUN, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskgrid.jobs.place import Place
    from maskgrid.jobs.worker import Outcome

__all__ = ["BatchProgress", "Tally"]

_PAUSE = 5.0
"""Seconds between two notes of how far the run is."""


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        jobs: Jobs of the table.
        done: Those whose folder is there.
        failed: Those that failed and are not tried again.
        left: The rest.
        finished: Those that this run has finished, failed ones among them.
        seconds: Since this run began its first job.
    """

    jobs: int
    done: int
    failed: int
    left: int
    finished: int = 0
    seconds: float = 0.0

    @property
    def per_minute(self) -> float | None:
        """Jobs that this run finishes in a minute; None before the first one."""
        return 60 * self.finished / self.seconds if self.finished and self.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """How long what is left will take at this pace; None before the first job is finished."""
        return 60 * self.left / self.per_minute if self.per_minute else None


class Tally:
    """Counts outcomes, and writes down failures and how far the run is.

    Args:
        place: Where.
        table: The table's name.
        start: How far the batch is before the run.
        failed: Identities of jobs that failed before and are tried again.
        tell: Told after each job.
    """

    def __init__(
        self,
        place: Place,
        table: str,
        start: BatchProgress,
        *,
        failed: set[str],
        tell: Callable[[BatchProgress], None] | None = None,
    ) -> None:
        self._place, self._table, self._failed, self._tell = place, table, failed, tell
        self._start, self._done, self._new_failures = start, 0, 0
        self._began = time.monotonic()
        self._written = 0.0

    def progress(self) -> BatchProgress:
        """How far the batch is now."""
        finished = self._done + self._new_failures
        return BatchProgress(
            jobs=self._start.jobs,
            done=self._start.done + self._done,
            failed=self._start.failed + self._new_failures,
            left=self._start.left - finished,
            finished=finished,
            seconds=time.monotonic() - self._began,
        )

    def count(self, outcome: Outcome) -> None:
        """Take an outcome into account."""
        job = outcome.job
        if outcome.kind:
            self._new_failures += 1
            failure = Failure(job.id, job.where, outcome.kind, outcome.reason, outcome.tries)
            self._place.write(f"{FAILED}/{job.id}.json", [failure.to_json()])
        else:
            self._done += 1
            if job.id in self._failed:
                self._place.remove(f"{FAILED}/{job.id}.json")
        if time.monotonic() - self._written > _PAUSE:
            self.write("running")
        if self._tell is not None:
            self._tell(self.progress())

    def write(self, state: str) -> None:
        """Write down how far the run is.

        Args:
            state: "running", "stopped" or "finished".
        """
        self._written = time.monotonic()
        told = {"table": self._table, "state": state, "at": time.time(), **asdict(self.progress())}
        self._place.write(RUN, [json.dumps(told) + "\n"])
