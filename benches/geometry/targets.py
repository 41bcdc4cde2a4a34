"""What the project promises of its geometry's speed, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from geometry.canvas import Result
from geometry.forks import HEADLINE, Point
from geometry.masks import Sweep, best
from geometry.overhead import Overhead
from harness import Report, duration, times

RADIUS = 8
"""From this radius on grow and feather are to be faster than OpenCV on one thread."""


@dataclass(frozen=True)
class Target:
    """One promise: what it is about, what is promised, what was measured, whether it holds."""

    name: str
    promised: str
    measured: str
    holds: bool


def of_forks(points: Sequence[Point]) -> list[Target]:
    """The masks of 256 forks, where the sweep has them."""
    found = []
    for point in points:
        if (point.side, point.pixels) == HEADLINE:
            gain = point.original.seconds / point.plan.seconds
            share = point.fill.seconds / point.dense.seconds
            over = point.torch.seconds / point.dense.seconds
            found += [
                Target("plan of 256 forks, beside the original", "100,000x", times(gain), gain >= 1e5),
                Target("dense masks of 256 forks, beside a fill", "85%", f"{share:.0%}", share >= 0.85),
                Target("dense masks of 256 forks, beside torch", "faster", times(over), over > 1),
            ]
    return found


def of_canvas(results: Sequence[Result]) -> list[Target]:
    """Each canvas operation beside a copy."""
    shares = [
        (result.name, result.traffic * result.copy.seconds / result.timings[0].seconds) for result in results
    ]
    return [Target(f"{name}, beside a copy", "85%", f"{share:.0%}", share >= 0.85) for name, share in shares]


def of_masks(sweeps: Sequence[Sweep]) -> list[Target]:
    """Grow and feather beside OpenCV on one thread; the narrowest radius counts."""
    found = []
    for sweep in sweeps:
        rows = zip(sweep.radii, sweep.timings, strict=True)
        gain, at = min(
            (best(row, threads="1 thread").seconds / row[0].seconds, radius)
            for radius, row in rows
            if radius >= RADIUS
        )
        name = f"{sweep.name} by {RADIUS} and more, {sweep.pixels} px, beside OpenCV on 1 thread"
        found.append(Target(name, "faster", f"{times(gain)} (at {at})", gain > 1))
    return found


def of_overhead(found: Overhead) -> list[Target]:
    """The smallest call and the import."""
    call, seconds, brought = found.smallest, found.import_seconds, found.brought
    return [
        Target("the smallest call", "5 us", duration(call), call < 5e-6),
        Target("import maskgrid", "100 ms", duration(seconds), seconds < 0.1),
        Target("import maskgrid brings torch or diffusers", "neither", brought, brought == "neither"),
    ]


def run(report: Report, targets: Sequence[Target]) -> None:
    """Reports which promises hold."""
    report.heading("What was promised")
    rows = [[t.name, t.promised, t.measured, "yes" if t.holds else "no"] for t in targets]
    report.table(["", "promised", "measured", "holds"], rows)
