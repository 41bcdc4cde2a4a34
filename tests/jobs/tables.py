"""Tables of jobs for a tiny model, folders of jobs compared, and the command line as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

ROWS, COLUMNS, CELL = 2, 3, 16


def write_sheets(folder: Path, count: int) -> list[str]:
    """Sheets and a stencil; the names of the sheets."""
    y, x = np.ogrid[:CELL, :CELL]
    disc = np.where((y - 7.5) ** 2 + (x - 7.5) ** 2 < 36, 255, 0).astype(np.uint8)
    Image.fromarray(disc).save(folder / "stencil.png")
    names = [f"sheet_{number:03d}.png" for number in range(count)]
    for number, name in enumerate(names):
        random = np.random.default_rng(number)
        pixels = random.integers(0, 256, (ROWS * CELL, COLUMNS * CELL, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return names


def row(image: str, model: Path, **more: Any) -> dict[str, Any]:
    """A row of a table."""
    place = {"image": image, "mask": "stencil.png", "rows": ROWS, "columns": COLUMNS}
    return {**place, "model": str(model), "device": "cpu", "prompt": "a sad face", "steps": 2, **more}


def write_table(folder: Path, rows: list[dict[str, Any]], name: str = "table.jsonl") -> Path:
    """A table of JSON lines."""
    path = folder / name
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def contents(place: Path) -> dict[str, dict[str, bytes]]:
    """The files of every job of a place, by job; what lies in a place that is no job's is not looked at."""
    folders = [path for path in place.glob("[0-9a-f][0-9a-f]/*") if path.name[0] != "."]
    return {path.name: {file.name: file.read_bytes() for file in path.iterdir()} for path in folders}


def start_batch(table: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """`maskgrid batch` as a program of its own, in a group of its own, as a shell starts it."""
    program = [sys.executable, "-m", "maskgrid", "batch", str(table), "--out", str(out), *more]
    # As many threads as a worker of Ray has, for sums differ with their number.
    known = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        program,
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **({} if os.name == "nt" else {"process_group": 0, "preexec_fn": _listen_to_ctrl_c}),
    )


def _listen_to_ctrl_c() -> None:
    """What a test runner in the background of a shell ignores, its children would ignore, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
