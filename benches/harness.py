"""Timing, peak memory and tables for the benchmarks of this folder.

Ways of doing one job are measured in turn, round after round (A B C A B C ...), so that what else happens on
the machine meets all of them alike; the figure is the median over the rounds. Peak memory is how far the
process grew at its highest during one call, results included and inputs not.
"""

import ctypes
import gc
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE = 0.01
"""Seconds that one sample lasts at least; quick calls are repeated to fill it."""

PAUSE = 0.003
"""Seconds between samples: idle threads of a pool spin for a while, which would slow the next way."""


@dataclass(frozen=True)
class Way:
    """One way to do a job.

    Attributes:
        name: What the table calls it.
        run: Does the job once.
        note: What sets it apart, such as another result.
        scale: What to multiply the time with when `run` does only a part of the job.
        warm: Whether to call it once beforehand; not for what takes many seconds.
    """

    name: str
    run: Callable[[], object]
    note: str = ""
    scale: float = 1.0
    warm: bool = True


@dataclass(frozen=True)
class Timing:
    """What was measured of one way.

    Attributes:
        way: The way.
        seconds: Median time of a call.
        peak: Bytes that memory grew by during a call; None where that is unknown.
    """

    way: Way
    seconds: float
    peak: int | None

    @property
    def name(self) -> str:
        """The name of the way."""
        return self.way.name


def compare(ways: Sequence[Way], *, budget: float = 1.5, most: int = 15) -> list[Timing]:
    """Measures ways of doing one job, in turn.

    Args:
        ways: At least one.
        budget: Seconds that all rounds together should take. 3 rounds are made in any case, but a way that
            alone takes longer than twice the budget is called once.
        most: Rounds at most.

    Returns:
        One timing a way, in their order.
    """
    first = [_first_call(way) for way in ways]
    quick = [index for index, (seconds, _) in enumerate(first) if seconds <= 2 * budget]
    repeats = [max(1, round(SAMPLE / max(seconds, 1e-7))) for seconds, _ in first]
    a_round = sum(first[index][0] * repeats[index] for index in quick)
    rounds = max(3, min(most, int(budget / max(a_round, 1e-9))))
    samples: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for index in quick:
            time.sleep(PAUSE)
            samples[index].append(_seconds(ways[index].run, repeats[index]))
    return [
        Timing(way, statistics.median(taken or [seconds]) * way.scale, peak)
        for way, taken, (seconds, peak) in zip(ways, samples, first, strict=True)
    ]


def _first_call(way: Way) -> tuple[float, int | None]:
    """Seconds and peak memory of one call."""
    if way.warm:
        way.run()
    taken: list[float] = []
    peak = peak_of(lambda: taken.append(_seconds(way.run, 1)))
    return taken[0], peak


def _seconds(run: Callable[[], object], count: int) -> float:
    """Seconds a call, over `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def peak_of(run: Callable[[], object]) -> int | None:
    """Bytes that resident memory grew by at its highest during a call; None but on Linux."""
    status = Path("/proc/self/status")
    gc.collect()
    try:
        # What the allocator keeps for later would otherwise be taken without growing.
        ctypes.CDLL(None).malloc_trim(0)
        # Sets the high-water mark back to what is resident now.
        Path("/proc/self/clear_refs").write_text("5")
        before = _kibibytes(status, "VmRSS")
    except (OSError, AttributeError, TypeError):
        run()
        return None
    run()
    return max(0, _kibibytes(status, "VmHWM") - before) * 1024


def _kibibytes(status: Path, field: str) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(f"{status} has no {field}")


def machine(packages: Iterable[str]) -> list[str]:
    """What the figures were taken on: processor, cores, memory, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return [
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}",
        f"{platform.python_implementation()} {platform.python_version()}, {versions}",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def duration(seconds: float) -> str:
    """Seconds with a unit that leaves three figures."""
    for limit, unit, factor in ((1e-6, "ns", 1e9), (1e-3, "us", 1e6), (1.0, "ms", 1e3)):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def megabytes(peak: int | None) -> str:
    """Bytes in MB; what lies below the granularity of the kernel's count says so."""
    if peak is None:
        return ""
    return "< 1 MB" if peak < 1e6 else f"{peak / 1e6:,.0f} MB"


def times(factor: float) -> str:
    """How many times as fast."""
    return f"{factor:,.0f}x" if factor >= 20 else f"{factor:.2g}x"


class Report:
    """Collects headings, sentences and tables as Markdown, and prints them as they come."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def say(self, text: str = "") -> None:
        """Adds a line."""
        self._lines.append(text)
        print(text, flush=True)

    def heading(self, text: str) -> None:
        """Adds a heading."""
        self.say()
        self.say(f"### {text}")
        self.say()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Adds a table; the first column is text, the others are figures and stand to the right."""
        widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
        self.say(self._row(columns, widths))
        self.say("|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|")
        for row in rows:
            self.say(self._row(row, widths))

    @staticmethod
    def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    def ways(self, timings: Sequence[Timing], *, copy: Timing | None = None, traffic: float = 1.0) -> None:
        """Adds a table of ways: time, peak memory, share of a copy, and how many times as fast the first is.

        Args:
            timings: What was measured; the first is ours.
            copy: A copy or fill of the bytes that the job has to write; its time over a way's is the share.
            traffic: What the job has to move, in what the copy moves.
        """
        ours = timings[0]
        columns = ["", "time", "peak memory", *(["share of a copy"] if copy else []), f"{ours.name} is"]
        rows = []
        for timing in timings:
            name = timing.name + (f" ({timing.way.note})" if timing.way.note else "")
            counts = 1.0 if timing is copy else traffic
            share = [f"{counts * copy.seconds / timing.seconds:.0%}"] if copy else []
            factor = "" if timing is ours else f"{times(timing.seconds / ours.seconds)} as fast"
            rows.append([name, duration(timing.seconds), megabytes(timing.peak), *share, factor])
        self.table(columns, rows)

    def write(self, path: Path, marker: str) -> None:
        """Puts the report into a file between the lines `<!-- marker -->` and `<!-- end of marker -->`.

        Raises:
            ValueError: The file has no such lines.
        """
        begin, end = f"<!-- {marker} -->\n", f"<!-- end of {marker} -->"
        text = path.read_text(encoding="utf-8")
        if begin not in text or end not in text:
            raise ValueError(f"{path} has no place for {marker}: {begin.strip()} and {end} are missing")
        head, rest = text.split(begin, 1)
        tail = rest.split(end, 1)[1]
        body = "\n".join(self._lines).strip()
        path.write_text(f"{head}{begin}\n{body}\n\n{end}{tail}", encoding="utf-8")
