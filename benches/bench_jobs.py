"""Measures batches: what a job costs besides its network, restarts, workers side by side, and killed ones.

    bench_jobs.py overhead   many jobs with a stand-in for the network: time a job, memory, restarts
    bench_jobs.py workers    the bundled model in one process, and on Ray with one and with two workers
    bench_jobs.py large      a row and an output folder of a sheet of 1032 x 1032 px: time, files, bytes
    bench_jobs.py kills      kill -9 of a worker, and of the driver: the same folders as without

Without a word all four. Prints tables; what docs/jobs.md and docs/scale.md say was read off these.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from harness import Report, duration, machine
from maskgrid import Forks, Grid
from maskgrid.bundled_model import read_demo
from maskgrid.jobs import BatchProgress, run_batch, worker
from maskgrid.jobs.check_table import check_table
from maskgrid.run_inputs import read_inputs

PARTS = ("overhead", "large", "workers", "kills")
CELL = 16


class TimedForks(Forks):
    """Forks that note how long making and saving them took."""

    started = 0.0
    taken: ClassVar[list[float]] = []

    def contact_sheet(self) -> Image.Image:
        """The sheet in its place: drawing one would take most of the time."""
        return self.original

    def save(self, *arguments: Any, **more: Any) -> Path:
        """Save them."""
        folder = super().save(*arguments, **more)
        self.taken.append(time.monotonic() - self.started)
        return folder


class StandIn:
    """In place of a `MaskGrid`: reads a sheet as one does and gives back a fork of no network."""

    @classmethod
    def load(cls, *_: Any, **__: Any) -> "StandIn":
        """Load nothing."""
        return cls()

    def __call__(self, *, callback: Any, **arguments: Any) -> Forks:
        """One fork of what the arguments say."""
        started = time.monotonic()
        inputs = read_inputs(arguments)
        grid = Grid(2, 2, cell=CELL, stride=8)
        patches = np.zeros((1, CELL, CELL, 3), np.uint8)
        alpha = np.ones((1, CELL, CELL), np.float32)
        settings = {"prompt": arguments["prompt"], "seed": arguments["seed"]}
        forks = TimedForks(
            inputs.pixels, patches, [0], grid, alpha, stencil=inputs.stencil, settings=settings
        )
        forks.started = started
        return forks


def write_small_table(folder: Path, count: int) -> Path:
    """Sheets of 2 x 2 cells, a file for each job."""
    Image.fromarray(np.full((CELL, CELL), 255, np.uint8)).save(folder / "stencil.png")
    with (folder / "table.jsonl").open("w") as table:
        for number in range(count):
            random = np.random.default_rng(number)
            pixels = random.integers(0, 256, (2, 2, 3), np.uint8).repeat(CELL, 0).repeat(CELL, 1)
            Image.fromarray(pixels).save(folder / f"{number}.png")
            row = {"image": f"{number}.png", "mask": "stencil.png", "rows": 2, "columns": 2}
            table.write(json.dumps({**row, "prompt": "a face", "seed": number}) + "\n")
    return folder / "table.jsonl"


def bytes_of_rows(table: Path) -> float:
    """Bytes that the driver holds for each row of a checked table."""
    check_table(table)
    tracemalloc.start()
    checked = check_table(table)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(checked.index)


def resident() -> int:
    """Bytes of this process that are in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return 1024 * int(found[1]) if found else 0


class Watch:
    """Notes the time and the memory after each job."""

    def __init__(self) -> None:
        self.times = [time.monotonic()]
        self.memory = [resident()]

    def __call__(self, progress: BatchProgress) -> None:
        """Note them."""
        self.times.append(time.monotonic())
        self.memory.append(resident())


def overhead(report: Report, count: int) -> None:
    """Many jobs without a network; then again with nine tenths done."""
    worker.MaskGrid = StandIn  # type: ignore[misc,assignment]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "out"
        size = bytes_of_rows(write_small_table(folder, min(count, 1000)))
        table = write_small_table(folder, count)
        start, watch = time.monotonic(), Watch()
        run_batch(table, out, tell=watch)
        whole = time.monotonic() - start
        gaps = np.diff(watch.times[1:])
        rest = gaps - np.array(TimedForks.taken[1:])
        report.heading(f"{count} jobs with a stand-in for the network, sheets of 32 x 32 px")
        report.say(f"a row takes {size:.0f} bytes of the driver's memory")
        report.say()
        report.say(f"checked, and the first job done: {watch.times[1] - start:.1f} s; all: {whole:.1f} s")
        rows = []
        for part in np.array_split(np.arange(len(gaps)), 5):
            last = part[-1] + 2
            times = [duration(statistics.median(each[part])) for each in (gaps, rest)]
            rows.append([f"up to job {last}", *times, f"{watch.memory[last] / 1e6:.0f} MB"])
        report.say()
        report.table(["median", "a job", "without reading and saving pictures", "memory of the driver"], rows)
        report.say()
        folders = sorted(out.glob("[0-9a-f][0-9a-f]/*"))
        for gone in folders[: count // 10]:
            shutil.rmtree(gone)
        left = count // 10
        for what in (f"{count - left} done, {left} missing", "all done"):
            start, watch = time.monotonic(), Watch()
            result = run_batch(table, out, tell=watch)
            first = (watch.times[1] if len(watch.times) > 1 else time.monotonic()) - start
            report.say(f"{what}: {first:.1f} s to the first job; {result.progress.finished} done in that run")


def large(report: Report, count: int) -> None:
    """What a sheet as large as those of today's models costs the driver, and what its folder holds."""
    shown, cell = read_demo(), 344
    with Image.open(shown.image) as image:
        enlarged = image.convert("RGB").resize((3 * cell, 3 * cell), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 2, (3 * cell, 3 * cell, 3))
    pixels = (np.asarray(enlarged) + noise).round().clip(0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(np.full((cell, cell), 255, np.uint8)).save(folder / "stencil.png")
        with (folder / "table.jsonl").open("w") as table:
            for number in range(count):
                Image.fromarray(np.roll(pixels, number, 1)).save(folder / f"{number}.png")
                row = {"image": f"{number}.png", "mask": "stencil.png", "rows": 3, "columns": 3, "prompt": ""}
                table.write(json.dumps(row) + "\n")
        start = time.monotonic()
        checked = check_table(folder / "table.jsonl")
        whole = time.monotonic() - start
        for number in range(count):
            # Hashes are remembered for as long as a file seems to be the same.
            (folder / f"{number}.png").touch()
        start = time.monotonic()
        check_table(folder / "table.jsonl", settled=checked.ids)
        hashed = time.monotonic() - start
        patches = np.stack([pixels[:cell, :cell]] * 9)
        grid, alpha = Grid(3, 3, cell=cell, stride=8), np.ones((1, cell, cell), np.float32)
        start = time.monotonic()
        Forks(pixels, patches, range(9), grid, alpha, settings={"prompt": ""}).save(folder / "out")
        saved = time.monotonic() - start
        sizes = [path.stat().st_size for path in (folder / "out").iterdir()]
        sheet = (folder / "0.png").stat().st_size
    report.heading("A sheet of 1032 x 1032 px with nine cells")
    report.say(
        f"its file: {sheet / 1e6:.2f} MB; hashed in {duration(hashed / count)} where it is done already,"
    )
    report.say(f"hashed and checked in {duration(whole / count)} where it is not (mean of {count})")
    report.say(f"its output folder: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, saved in {saved:.1f} s")


def write_faces(folder: Path, count: int, steps: int) -> Path:
    """The demonstration's sheet, each time with other columns of pixels first, for the bundled model."""
    shown = read_demo()
    shutil.copy(shown.mask, folder / "stencil.png")
    with Image.open(shown.image) as image:
        pixels = np.array(image.convert("RGB"))
    grid = {"rows": shown.rows, "columns": shown.columns, "prompt": list(shown.prompts), "cfg": shown.cfg}
    with (folder / "table.jsonl").open("w") as table:
        for number in range(count):
            Image.fromarray(np.roll(pixels, number, 1)).save(folder / f"{number}.png")
            row = {"image": f"{number}.png", "mask": "stencil.png", **grid, "steps": steps, "seed": number}
            table.write(json.dumps(row) + "\n")
    return folder / "table.jsonl"


def start_batch(table: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """`maskgrid batch`; a thread each, as a worker of Ray has it."""
    program = [sys.executable, "-m", "maskgrid", "batch", str(table), "--out", str(out), "-q", *more]
    return subprocess.Popen(program, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)


def done_in(out: Path) -> list[Path]:
    return sorted(out.glob("[0-9a-f][0-9a-f]/[0-9a-f]*"))


def workers(report: Report, count: int, steps: int) -> None:
    """One process, one worker and two, side by side."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        table = write_faces(Path(name), count, steps)
        for what, more in (
            ("one process", []),
            ("Ray, 1 worker", ["--ray", "--workers", "1"]),
            ("Ray, 2 workers", ["--ray", "--workers", "2"]),
        ):
            out = Path(name) / what
            start = time.monotonic()
            code = start_batch(table, out, *more).wait()
            assert code == 0, f"{what}: exit code {code}"
            whole = time.monotonic() - start
            at = sorted((path / "manifest.json").stat().st_mtime for path in done_in(out))
            gaps = statistics.median(np.diff(at))
            pace = 60 * (len(at) - 1) / (at[-1] - at[0])
            rows.append([what, f"{whole:.1f} s", duration(gaps), f"{pace:.1f}"])
    report.heading(f"{count} sheets of 192 x 192 px, 9 forks each, {steps} steps, the bundled model")
    report.table(["", "all, with start", "between two jobs (median)", "jobs a minute"], rows)


def contents(out: Path) -> dict[str, dict[str, bytes]]:
    return {path.name: {file.name: file.read_bytes() for file in path.iterdir()} for path in done_in(out)}


def busy_workers(driver: int) -> list[int]:
    """The workers of a driver that have a job in hand."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    lines = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
    mine = {int(pid) for pid, parent, _ in lines if int(parent) == driver}
    working = [(pid, parent) for pid, parent, title in lines if title.startswith("ray::_RayWorker.run")]
    return [int(pid) for pid, parent in working if int(parent) in mine]


def kills(report: Report, count: int, steps: int) -> None:
    """A worker killed in the middle, and the driver; compared with one process, file by file."""
    ray = ["--ray", "--workers", "2"]
    report.heading(f"kill -9 among {count} sheets, the bundled model, two workers of Ray")
    with tempfile.TemporaryDirectory() as name:
        table = write_faces(Path(name), count, steps)
        assert start_batch(table, Path(name) / "expected").wait() == 0
        expected = contents(Path(name) / "expected")
        out, killed = Path(name) / "worker", []
        process = start_batch(table, out, *ray)
        while process.poll() is None and not killed:
            time.sleep(0.02)
            for pid in busy_workers(process.pid)[:1] if len(done_in(out)) >= count // 2 else []:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        code = process.wait()
        report.say(f"{len(killed)} worker killed: {_words(out, expected)}, exit code {code}")
        out = Path(name) / "driver"
        process = start_batch(table, out, *ray)
        while process.poll() is None and len(done_in(out)) < count // 2:
            time.sleep(0.02)
        process.kill()
        process.wait()
        had = len(done_in(out))
        code = start_batch(table, out, *ray).wait()
        report.say()
        report.say(f"driver killed with {had} done, run again: {_words(out, expected)}, exit code {code}")


def _words(out: Path, expected: dict[str, dict[str, bytes]]) -> str:
    found = contents(out)
    return f"{len(found)} folders, {'the same bytes' if found == expected else 'OTHERS'} as one process made"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="which parts")
    parser.add_argument("--quick", action="store_true", help="few jobs, to see that it runs")
    options = parser.parse_args()
    report = Report()
    for line in machine(("maskgrid", "ray", "torch")):
        report.say(line)
    for part in options.part or PARTS:
        if part == "overhead":
            overhead(report, 50 if options.quick else 10_000)
        elif part == "large":
            large(report, 3 if options.quick else 20)
        elif part == "workers":
            workers(report, 4 if options.quick else 40, 2)
        else:
            kills(report, 6 if options.quick else 40, 2)


if __name__ == "__main__":
    main()
