"""A batch: every row of a table into a place, each exactly once, in this process or on Ray."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.jobs.check_table import check_table
from maskgrid.jobs.object_place import open_place
from maskgrid.jobs.place import INDEX
from maskgrid.jobs.run_in_process import run_in_process
from maskgrid.jobs.run_on_ray import RayOptions, run_on_ray, start_ray
from maskgrid.jobs.stop_softly import stop_softly
from maskgrid.jobs.tally import BatchProgress, Tally

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from maskgrid.jobs.check_table import CheckedTable
    from maskgrid.jobs.place import Place

__all__ = ["BatchResult", "run_batch"]


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended.

    Attributes:
        progress: What is done, failed and left.
        signal: The number of the signal that stopped it before its end; None if none did.
    """

    progress: BatchProgress
    signal: int | None = None


@dataclass(frozen=True)
class _Batch:
    """A table, the place it goes to, and what of it is there."""

    place: Place
    table: CheckedTable
    start: BatchProgress
    retried: set[str]


def run_batch(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    default: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    ray: RayOptions | None = None,
    tell: Callable[[BatchProgress], None] | None = None,
    tell_stop: Callable[[], None] | None = None,
) -> BatchResult:
    """Do every row of a table that is not done: each appears whole in the place, or not at all.

    The whole table is checked first. A job is what a row asks, known by its hash, so that a second run does
    what is missing, whatever ended the first one. A job that fails is written down with its reason, and the
    others go on.

    Args:
        table: A .jsonl, .csv or .parquet file, or a folder of sheets with a default.json. A row has the
            arguments of `MaskGrid.__call__`, and `model`, `device` and `dtype` as of `MaskGrid.load`; paths
            are relative to the table.
        out: The place: a folder, or a URL that fsspec knows.
        default: What rows say that don't say otherwise, by column.
        retry_failed: Do those again that failed in an earlier run.
        ray: Run it on Ray; None for this process.
        tell: Told after each job how far the batch is.
        tell_stop: Called when a first Ctrl-C (SIGTERM, SIGHUP) has asked for a stop after what is in hand.

    Returns:
        How it ended.

    Raises:
        BadRowsError: Rows that can't be run; nothing was run then.
        MaskGridError: A table that can't be read, a place that can't be written, a model that can't be
            loaded. What was done stays.
        RunInterrupted: A second Ctrl-C; what was done stays.
    """
    batch = _plan(table, open_place(out), default, retry_failed=retry_failed)
    tally = Tally(batch.place, batch.table.name, batch.start, failed=batch.retried, tell=tell)
    state = "stopped"
    with contextlib.ExitStack() as stack:
        if ray is not None and batch.table.pending:
            stack.enter_context(start_ray(ray, batch.place))
        stop = stack.enter_context(stop_softly(tell_stop))
        batch.place.write(INDEX, batch.table.index)
        tally.write("running")
        jobs = batch.table.pending
        if ray is None or not jobs:
            outcomes = run_in_process(jobs, batch.place, stop)
        else:
            outcomes = run_on_ray(jobs, batch.place, stop, ray)
        # Workers end with it, whatever ends the batch.
        stack.enter_context(contextlib.closing(outcomes))
        try:
            for outcome in outcomes:
                tally.count(outcome)
            state = "stopped" if tally.progress().left else "finished"
        finally:
            tally.write(state)
    return BatchResult(tally.progress(), stop.signal if state == "stopped" else None)


def _plan(
    table: str | os.PathLike[str],
    place: Place,
    default: Mapping[str, Any] | None,
    *,
    retry_failed: bool,
) -> _Batch:
    """What there is to do."""
    place.prepare()
    done, failures = place.done(), set(place.failures())
    settled = done if retry_failed else done | failures
    checked = check_table(table, settled=settled, default=default)
    failures -= done
    start = BatchProgress(
        jobs=len(checked.ids),
        done=len(checked.ids & done),
        failed=0 if retry_failed else len(checked.ids & failures),
        left=len(checked.pending),
    )
    return _Batch(place, checked, start, failures if retry_failed else set())
