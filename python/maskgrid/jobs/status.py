"""What of a place is done, failed and left, and how fast the run goes that is filling it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError
from maskgrid.jobs.object_place import open_place
from maskgrid.jobs.place import INDEX, RUN
from maskgrid.jobs.tally import BatchProgress

if TYPE_CHECKING:
    import os

    from maskgrid.jobs.place import Failure, Place

__all__ = ["BatchStatus", "RowStatus", "batch_status"]

_SILENT = 60.0
"""Seconds without a note after which a run that did not say that it ended has been killed, most likely."""


@dataclass(frozen=True)
class RowStatus:
    """Where a row is.

    Attributes:
        row: Its file and line.
        image: Its sheet, as the row says it.
        state: "done", "failed" or "left".
        folder: Its folder in the place.
    """

    row: str
    image: str
    state: str
    folder: str


@dataclass(frozen=True)
class BatchStatus:
    """What of a place is done, failed and left.

    Attributes:
        table: The table of the last run.
        state: "running", "stopped" or "finished" as that run said, or "silent": it says nothing any more.
        progress: Counted in the place; pace and seconds are those that the last run wrote down.
        silent: Seconds since it wrote.
        failures: Why jobs failed.
        rows: Every row of the table.
    """

    table: str
    state: str
    progress: BatchProgress
    silent: float
    failures: list[Failure]
    rows: list[RowStatus]


def batch_status(out: str | os.PathLike[str]) -> BatchStatus:
    """What of a place is done, failed and left, of the table that was run there last.

    Args:
        out: The place.

    Raises:
        MaskGridError: No batch was ever run there.
    """
    place = open_place(out)
    told, index = _read(place)
    done, failures = place.done(), place.failures()
    ids = {entry["job"] for entry in index}
    failed = {job: failure for job, failure in failures.items() if job in ids and job not in done}
    progress = BatchProgress(
        jobs=len(ids),
        done=len(ids & done),
        failed=len(failed),
        left=len(ids - done - set(failed)),
        finished=int(told["finished"]),
        seconds=float(told["seconds"]),
    )
    silent = max(0.0, time.time() - float(told["at"]))
    state = "silent" if told["state"] == "running" and silent > _SILENT else str(told["state"])
    rows = [
        RowStatus(
            entry["row"],
            entry["image"],
            "done" if entry["job"] in done else "failed" if entry["job"] in failed else "left",
            entry["folder"],
        )
        for entry in index
    ]
    return BatchStatus(told["table"], state, progress, silent, list(failed.values()), rows)


def _read(place: Place) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    run, index = place.read(RUN), place.read(INDEX)
    if run is None or index is None:
        raise MaskGridError(f"no batch was run in {place.url}; allowed: the --out of a batch")
    try:
        told = json.loads(run)
        entries = [json.loads(line) for line in index.splitlines()]
        for name in ("finished", "seconds", "at", "state", "table"):
            told[name]
        for entry in entries:
            entry["job"], entry["row"], entry["image"], entry["folder"]
    except (ValueError, KeyError, TypeError) as error:
        raise MaskGridError(f"{place.url}: {RUN} or {INDEX} is damaged ({error!r})") from error
    return told, entries
