"""The picture of `bench_geometry.py`: forks, canvases, grow and feather in four panels."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from geometry.canvas import Result
from geometry.forks import Point
from geometry.masks import Sweep, best


def forks(axes: Axes, points: Sequence[Point]) -> None:
    """Time over the number of forks, for the largest cell that all grids have."""
    pixels = sorted({point.pixels for point in points})
    shown = [p for p in points if p.pixels == pixels[len(pixels) // 2]]
    number = [p.side**2 for p in shown]
    for label, style, seconds in (
        ("the original's way", "s-C3", [p.original.seconds for p in shown]),
        ("torch, clever (dense)", "^-C1", [p.torch.seconds for p in shown]),
        ("maskgrid, dense", "o-C0", [p.dense.seconds for p in shown]),
        ("a fill of the same memory", "--k", [p.fill.seconds for p in shown]),
        ("maskgrid, as a plan", "D-C9", [p.plan.seconds for p in shown]),
    ):
        axes.plot(number, [s * 1e3 for s in seconds], style, label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="forks",
        ylabel="ms",
        title=f"Masks of forks, cells of {shown[0].pixels} px",
    )
    axes.set_xticks(number, [str(forks) for forks in number])
    axes.minorticks_off()
    axes.legend(fontsize=7)


def canvases(axes: Axes, results: Sequence[Result]) -> None:
    """Share of a copy's speed, a group of bars for each job."""
    for at, result in enumerate(results):
        for step, timing in enumerate(result.timings):
            share = result.traffic * result.copy.seconds / timing.seconds
            left = at + (step - (len(result.timings) - 1) / 2) * 0.17
            axes.bar(left, share, 0.16, color="C0" if step == 0 else "lightgrey", edgecolor="grey")
            axes.text(left, 0.02, timing.name, rotation=90, ha="center", va="bottom", fontsize=6)
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--")
    axes.set_xticks(range(len(results)), [result.name for result in results], fontsize=7)
    axes.set(ylabel="share of a same-run copy", title="Canvas operations beyond the cache")


def radii(axes: Axes, sweep: Sweep) -> None:
    """Time over the radius: ours, and OpenCV at its best on one thread and on all."""
    one = [best(row, threads="1 thread").seconds for row in sweep.timings]
    all_threads = [best(row, threads="all threads").seconds for row in sweep.timings]
    for label, style, seconds in (
        ("maskgrid", "o-C0", [row[0].seconds for row in sweep.timings]),
        ("OpenCV's best, 1 thread", "s-C1", one),
        ("OpenCV's best, all threads", "s--C1", all_threads),
        ("scipy", "^-C2", [t.seconds for row in sweep.timings for t in row if t.name == "scipy distance"]),
    ):
        axes.plot(sweep.radii, [s * 1e3 for s in seconds], style, label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="pixels",
        ylabel="ms",
        title=f"{sweep.name}, {sweep.pixels} x {sweep.pixels}",
    )
    axes.set_xticks(sweep.radii, [str(radius) for radius in sweep.radii])
    axes.minorticks_off()
    axes.legend(fontsize=7)


def draw(path: Path, points: Sequence[Point], results: Sequence[Result], sweeps: Sequence[Sweep]) -> None:
    """Writes the picture."""
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    forks(a, points)
    canvases(b, results)
    radii(c, [s for s in sweeps if s.name == "grow"][-1])
    radii(d, [s for s in sweeps if s.name.startswith("feather")][-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
