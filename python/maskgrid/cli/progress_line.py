"""How far a run is, on stderr: a bar of tqdm on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskgrid.sampling import Progress

__all__ = ["Meter", "Reporter", "clock", "make_bar"]

_SILENCE = 5.0
"""Seconds between two lines about decoding, where no line is rewritten."""


class Meter:
    """How much of a run is done, as a progress line shows it.

    A step of the sheet counts as one piece of work, a step of a batch of forks as one for each of them.

    Args:
        settings: Arguments of the run, as `MaskGrid.__call__` has them.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._first: int = settings.get("start_at_step") or 0
        self._stop: int | None = settings.get("end_at_step")
        part_at = settings.get("fork_at")
        # Without a mode, cells that are zoomed are alone.
        usual = "sample" if settings.get("zoom") is None else "fork"
        if part_at is None and str(settings.get("mode", usual)).lower().startswith("fork"):
            part_at = 0
        self._part_at: int | None = part_at
        texts = (settings.get("prompt"), settings.get("negative_prompt"))
        self._variants: int = settings.get("variants") or 1
        self._own_texts = any(isinstance(text, list | tuple) for text in texts)

    def share(self, progress: Progress) -> float:
        """What part of the work is done after this call, in [0, 1]."""
        stop = progress.steps if self._stop is None else min(self._stop, progress.steps)
        part_at = stop if self._part_at is None else min(max(self._part_at, self._first), stop)
        # A sheet whose cells have texts of their own costs as much as the forks; each try is a sheet.
        forks_of_a_sheet = progress.fork_count // self._variants
        cost = forks_of_a_sheet if self._own_texts else 1
        sheet, alone = (part_at - self._first) * cost, stop - part_at
        together = sheet * self._variants
        if progress.together:
            before = progress.forks[0] // forks_of_a_sheet
            done = before * sheet + (progress.step + 1 - self._first) * cost
        else:
            own = progress.step + 1 - part_at
            done = together + progress.forks[0] * alone + own * len(progress.forks)
        return min(max(done / max(together + alone * progress.fork_count, 1), 0.0), 1.0)


class Reporter:
    """A callback that writes how far a run is.

    Args:
        settings: Arguments of the run.
        preview: Called after each step, to write a preview; None for none.
        stream: Where to write; default stderr.
        quiet: Write nothing.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        preview: Callable[[Progress], None] | None = None,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        self._meter = Meter(settings)
        self._preview = preview
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar = None if quiet or not self._stream.isatty() else make_bar(self._stream)
        self._start = time.monotonic()
        self._sampled = self._said = self._start
        self._shown = -1.0

    def __call__(self, progress: Progress) -> None:
        """Say where the run is."""
        share = self._meter.share(progress)
        self._sampled = time.monotonic()
        elapsed = self._sampled - self._start
        left = elapsed * (1 - share) / share if share else 0.0
        where = f"{_whose(progress)}, step {progress.step + 1} of {progress.steps}"
        is_due = share - self._shown >= 0.1 or share == 1
        self._shown = share if is_due else self._shown
        line = f"{share:4.0%}  {where}  {clock(elapsed)} so far, {clock(left)} left"
        self._say(where, share, line, is_due=is_due)
        if self._preview:
            self._preview(progress)

    def decoded(self, done: int, count: int) -> None:
        """Show in the progress line how many pictures are decoded."""
        now = time.monotonic()
        left = (now - self._sampled) / done * (count - done)
        where = f"decoded fork {done} of {count}"
        line = f"{where}  {clock(now - self._start)} so far, {clock(left)} left"
        self._say(where, 1, line, is_due=now - self._said >= _SILENCE)

    def _say(self, where: str, share: float, line: str, *, is_due: bool) -> None:
        """Move the bar of a terminal; elsewhere write a line if it is time for one."""
        if self._bar is not None:
            self._bar.n = share
            self._bar.set_postfix_str(where)
        elif is_due and not self._quiet:
            print(line, file=self._stream, flush=True)
            self._said = time.monotonic()

    def close(self) -> None:
        """End the progress line."""
        if self._bar is not None:
            self._bar.close()


def make_bar(stream: TextIO, *, times: bool = True) -> Any:
    """A bar from 0 to 1, as wide as the terminal is at the time.

    Args:
        stream: A terminal.
        times: Whether it says by itself how long it has taken and will take.
    """
    from tqdm import tqdm

    form = "{percentage:3.0f} % |{bar}|" + (" {elapsed}<{remaining}" if times else "") + "{postfix}"
    return tqdm(total=1.0, file=stream, dynamic_ncols=True, bar_format=form)


def _whose(progress: Progress) -> str:
    """The forks that a progress is of, in words, counted from 1."""
    if progress.together and len(progress.forks) == progress.fork_count:
        return f"all {progress.fork_count} forks together"
    first, last = progress.forks[0] + 1, progress.forks[-1] + 1
    which = f"fork {first}" if first == last else f"forks {first} to {last}"
    return f"{which} of {progress.fork_count}" + (" together" if progress.together else "")


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, from an hour on as hours, too."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
