"""Measures the geometry layer beside what people use today; prints tables and draws a picture.

A whole run puts the figures into docs/benchmarks.md and the picture beside it: take one on a quiet machine.
`--quick` and `--only` are for a first look and write nothing.
"""

import argparse
import time
from pathlib import Path

import torch

from geometry import canvas, chart, forks, masks, overhead, targets
from harness import Report, machine

DOCS = Path(__file__).parent.parent / "docs"
PACKAGES = ("maskgrid", "numpy", "torch", "opencv-python-headless", "scipy", "pillow")
PARTS = {"forks": forks.run, "canvas": canvas.run, "masks": masks.run, "overhead": overhead.run}
TARGETS = {
    "forks": targets.of_forks,
    "canvas": targets.of_canvas,
    "masks": targets.of_masks,
    "overhead": targets.of_overhead,
}
MARKER = "figures of bench_geometry.py"


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sizes, few rounds; writes nothing")
    parser.add_argument("--only", choices=tuple(PARTS), help="one part; writes nothing")
    arguments = parser.parse_args()

    start = time.perf_counter()
    report = Report()
    for line in machine(PACKAGES):
        report.say(f"- {line}")
    report.say(f"- torch on {torch.get_num_threads()} threads")
    chosen = {name: run for name, run in PARTS.items() if arguments.only in (None, name)}
    found = {name: run(report, quick=arguments.quick) for name, run in chosen.items()}
    targets.run(report, [target for name, part in found.items() for target in TARGETS[name](part)])
    print(f"\n{time.perf_counter() - start:.0f} s")
    if not arguments.quick and arguments.only is None:
        chart.draw(DOCS / "images" / "bench_geometry.png", found["forks"], found["canvas"], found["masks"])
        report.write(DOCS / "benchmarks.md", MARKER)


if __name__ == "__main__":
    main()
