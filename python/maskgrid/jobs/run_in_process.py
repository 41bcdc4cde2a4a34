"""A batch in this process: one job after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskgrid.errors import MaskGridError
from maskgrid.jobs.worker import Worker, failed_by

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from maskgrid.jobs.job import Job
    from maskgrid.jobs.place import Place
    from maskgrid.jobs.stop_softly import SoftStop
    from maskgrid.jobs.worker import Outcome

__all__ = ["run_in_process"]


def run_in_process(jobs: Sequence[Job], place: Place, stop: SoftStop) -> Generator[Outcome, None, None]:
    """Do jobs until they are done or a stop is asked for.

    Args:
        jobs: The jobs.
        place: Where they are saved.
        stop: Whether to stop after the job in hand.

    Yields:
        What became of each.

    Raises:
        MaskGridError: A model can't be loaded, or a folder can't be written.
        RunInterrupted: A Ctrl-C that is to stop at once.
    """
    worker = Worker(place)

    def listen(_: object) -> None:
        stop.is_asked()

    for job in jobs:
        if stop.is_asked():
            return
        try:
            files = job.read_files()
        except MaskGridError as error:
            yield failed_by(job, error)
        else:
            yield worker.run(job, files, callback=listen)
