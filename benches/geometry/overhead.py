"""What does the smallest call cost, and what does importing cost?"""

import statistics
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import torch

import maskgrid
from harness import Report, Way, compare, duration
from maskgrid import canvas, masks

IMPORT = """
import sys, time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start, *{{"torch", "diffusers"}} & set(sys.modules))
"""


@dataclass(frozen=True)
class Overhead:
    """Seconds of the smallest call and of `import maskgrid`, and what heavy packages that brings."""

    smallest: float
    import_seconds: float
    brought: str


def calls(report: Report, *, budget: float) -> float:
    """The smallest operations through the public functions, on 8 x 8 pixels; seconds of the first."""
    mask = np.zeros((8, 8), np.uint8)
    out = np.empty_like(mask)
    tensor, tensor_out = torch.from_numpy(mask), torch.from_numpy(out)
    grid = maskgrid.Grid(2, 2, cell=8, stride=8)
    sheet = np.zeros((16, 16, 3), np.uint8)
    ways = [
        Way("masks.invert(numpy, out=)", lambda: masks.invert(mask, out=out)),
        Way("masks.invert(numpy)", lambda: masks.invert(mask)),
        Way("masks.invert(torch, out=)", lambda: masks.invert(tensor, out=tensor_out)),
        Way("masks.threshold(numpy, out=)", lambda: masks.threshold(mask, out=out)),
        Way("masks.grow(numpy, 1, out=)", lambda: masks.grow(mask, 1, out=out)),
        Way("masks.bounding_box(numpy)", lambda: masks.bounding_box(mask)),
        Way("canvas.cell_view(numpy)", lambda: canvas.cell_view(sheet, grid)),
        Way("Grid(2, 2)", lambda: maskgrid.Grid(2, 2, cell=8, stride=8)),
        Way("grid.cell_rect(3)", lambda: grid.cell_rect(3)),
        Way("ForkPlan(grid, mask)", lambda: maskgrid.ForkPlan(grid, mask)),
        Way("numpy: 255 - mask", lambda: np.subtract(255, mask, out=out)),
        Way("torch: 255 - mask", lambda: torch.sub(255, tensor, out=tensor_out)),
    ]
    report.heading("What a call costs, 8 x 8 uint8")
    timings = compare(ways, budget=budget)
    report.table(["", "time"], [[t.name, duration(t.seconds)] for t in timings])
    return timings[0].seconds


def imports(report: Report, *, rounds: int) -> tuple[float, str]:
    """Fresh processes that import maskgrid, beside numpy and torch; what the first takes and brings."""
    modules = ("maskgrid", "numpy", "torch")
    samples: dict[str, list[float]] = {module: [] for module in modules}
    loads: dict[str, str] = {}
    for _ in range(rounds):
        for module in modules:
            seconds, loads[module] = _import(module)
            samples[module].append(seconds)
    report.heading(f"What importing costs, {rounds} fresh processes each")
    medians = {module: statistics.median(samples[module]) for module in modules}
    rows = [[module, duration(medians[module]), loads[module]] for module in modules]
    report.table(["import", "time", "brings torch or diffusers"], rows)
    return medians["maskgrid"], loads["maskgrid"]


def _import(module: str) -> tuple[float, str]:
    """Seconds that an import takes in a fresh process, and which of the heavy packages it brings."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    seconds, *brought = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), ", ".join(brought) or "neither"


def run(report: Report, *, quick: bool) -> Overhead:
    """Measures and reports both."""
    smallest = calls(report, budget=0.5 if quick else 3.0)
    return Overhead(smallest, *imports(report, rounds=3 if quick else 7))
