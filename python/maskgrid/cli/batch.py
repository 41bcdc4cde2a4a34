"""`maskgrid batch`: every row of a table, each exactly once; `maskgrid batch status`: how far that is."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.cli.obey_signals import exit_code
from maskgrid.cli.progress_line import clock, make_bar
from maskgrid.cli.tell import give_result, is_wordy, say
from maskgrid.errors import BadRowsError

if TYPE_CHECKING:
    import argparse

    from maskgrid.jobs import BatchProgress, BatchStatus, RayOptions

__all__ = ["run"]

_STATUS = "status"
_SHOWN = 20
"""How many bad rows and failures are told, of more of them."""
_SILENCE = 5.0
"""Seconds between two lines, where there is no bar."""


def run(options: argparse.Namespace) -> int:
    """Run a batch, or say how far one is."""
    return _say_status(options) if options.table == _STATUS else _run(options)


def _run(options: argparse.Namespace) -> int:
    from maskgrid.cli.run_and_save import quieten_libraries
    from maskgrid.jobs import run_batch

    quieten_libraries()
    line = _ProgressLine(quiet=not is_wordy(options))
    try:
        result = run_batch(
            options.table,
            options.out,
            default=_default(options),
            retry_failed=options.retry_failed,
            ray=_ray(options),
            tell=line,
            tell_stop=line.tell_stop,
        )
    except BadRowsError as error:
        for row in error.rows[:_SHOWN]:
            print(row, file=sys.stderr, flush=True)
        if len(error.rows) > _SHOWN:
            print(f"and {len(error.rows) - _SHOWN} more", file=sys.stderr, flush=True)
        raise
    except KeyboardInterrupt as stop:
        line.end()
        code = exit_code(stop)
        print(f"maskgrid: stopped at once; {_go_on(options)}", file=sys.stderr, flush=True)
        give_result(options, "", exit_code=code)
        return code
    finally:
        line.end()
    code = 0 if result.signal is None else 128 + result.signal
    _say_end(options, result.progress, code)
    return code or int(result.progress.failed > 0)


def _say_end(options: argparse.Namespace, progress: BatchProgress, code: int) -> None:
    """What a run did, and how to go on where something is left."""
    counts = f"{progress.done} of {progress.jobs} jobs done, {progress.failed} failed, {progress.left} left"
    facts = {"place": options.out, **asdict(progress)}
    failed = bool(progress.failed)
    give_result(options, f"{counts} in {options.out}", **facts, exit_code=code or int(failed))
    if code:
        print(f"maskgrid: interrupted; {_go_on(options)}", file=sys.stderr, flush=True)
    elif failed:
        told = f"why: maskgrid batch status --out {shlex.quote(options.out)}; again: --retry-failed"
        print(f"maskgrid: {progress.failed} failed; {told}", file=sys.stderr, flush=True)


def _go_on(options: argparse.Namespace) -> str:
    words = ["maskgrid", "batch", options.table, "--out", options.out]
    for name in ("default", "model", "device", "dtype", "ray", "workers", "gpus_per_worker"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return f"what was done is kept; to go on: {shlex.join(words)}"


def _default(options: argparse.Namespace) -> dict[str, Any]:
    """What rows say that don't say otherwise: the file's values, and over them the options'."""
    from maskgrid.jobs.job import find_model
    from maskgrid.jobs.table_rows import read_default

    default = read_default(options.default) if options.default else {}
    # What a row names lies beside the table, what a command line names where it is typed.
    model = options.model and find_model(options.model, Path.cwd())
    given = {"model": model, "device": options.device, "dtype": options.dtype}
    return {**default, **{name: value for name, value in given.items() if value is not None}}


def _ray(options: argparse.Namespace) -> RayOptions | None:
    from maskgrid.jobs import RayOptions

    if options.ray is None:
        for name in ("workers", "gpus_per_worker"):
            if getattr(options, name) is not None:
                options.parser.error(f"--{name.replace('_', '-')} needs --ray")
        return None
    address = None if options.ray == "local" else options.ray
    return RayOptions(address=address, workers=options.workers, gpus=options.gpus_per_worker)


def _say_status(options: argparse.Namespace) -> int:
    from maskgrid.jobs import batch_status

    found = batch_status(options.out)
    progress = found.progress
    rows = [asdict(row) for row in found.rows] if options.list else None
    say(
        options,
        f"{found.table}: {progress.done} of {progress.jobs} jobs done, {progress.failed} failed, "
        f"{progress.left} left; {_state(found)}",
    )
    for failure in found.failures[:_SHOWN]:
        say(options, f"failed: {failure.row}: {failure.kind}: {failure.reason} (tries: {failure.tries})")
    if len(found.failures) > _SHOWN:
        say(options, f"and {len(found.failures) - _SHOWN} more")
    for row in found.rows if options.list else ():
        say(options, f"{row.state:6}  {row.row}  {row.folder}")
    facts = {"table": found.table, "state": found.state, "silent": round(found.silent, 1), **asdict(progress)}
    facts |= {"per_minute": progress.per_minute, "seconds_left": progress.seconds_left}
    failures = [asdict(failure) for failure in found.failures]
    give_result(options, "", **facts, failures=failures, **({} if rows is None else {"rows": rows}))
    return 0


def _state(found: BatchStatus) -> str:
    """Whether a run goes on, and when it will end."""
    if found.state == "running":
        return f"running; {_pace(found.progress)}"
    ago = f"{clock(found.silent)} ago"
    words = {"silent": f"a run went silent {ago}", "stopped": f"stopped {ago}", "finished": f"finished {ago}"}
    return words.get(found.state, found.state)


def _pace(progress: BatchProgress) -> str:
    if progress.per_minute is None or progress.seconds_left is None:
        return "no pace yet"
    return f"{progress.per_minute:.3g} a minute, {clock(progress.seconds_left)} left"


class _ProgressLine:
    """Says on stderr how far a batch is: a bar on a terminal, elsewhere a line now and then.

    Args:
        quiet: Say nothing but that a stop was asked for.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._stream = quiet, sys.stderr
        self._bar: Any = None
        self._said = -_SILENCE

    def __call__(self, progress: BatchProgress) -> None:
        """Say how far the batch is."""
        if self._quiet:
            return
        now = time.monotonic()
        words = f"{progress.done} of {progress.jobs} done, {progress.failed} failed; {_pace(progress)}"
        if self._stream.isatty():
            if self._bar is None:
                self._bar = make_bar(self._stream, times=False)
            self._bar.n = 1 - progress.left / progress.jobs
            self._bar.set_postfix_str(words)
        elif now - self._said >= _SILENCE or not progress.left:
            self._said = now
            print(words, file=self._stream, flush=True)

    def tell_stop(self) -> None:
        """Say that the batch stops after what is in hand."""
        words = "finishing what is in hand; Ctrl-C again stops at once"
        if self._bar is not None:
            self._bar.clear()
        print(f"maskgrid: {words}", file=self._stream, flush=True)

    def end(self) -> None:
        """End the bar of a terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
