"""How fast are the masks of forks, as a plan holds them and dense, beside the original node's way?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

import maskgrid
from harness import Report, Timing, Way, compare, duration, times

STRIDE = 8
HEADLINE = (16, 256)
"""Rows and columns, and pixels of a cell, of the case that the project promises something about."""

Image = np.ndarray


@dataclass(frozen=True)
class Point:
    """One grid of the sweep: what each way took."""

    side: int
    pixels: int
    original: Timing
    plan: Timing
    dense: Timing
    torch: Timing
    fill: Timing


def stencil(pixels: int) -> Image:
    """A disc with a soft edge in a square cell, float32."""
    axis = np.arange(pixels, dtype=np.float32) - (pixels - 1) / 2
    distance = np.hypot(axis[:, None], axis[None, :])
    return np.clip(0.4 * pixels - distance, 0, 1).astype(np.float32)


def original(mask: torch.Tensor, side: int, forks: Sequence[tuple[int, int]]) -> list[torch.Tensor]:
    """The original node's way: for each fork the stencil in an empty full-size mask, scaled down."""
    height, width = mask.shape
    size = (side * height // STRIDE, side * width // STRIDE)
    masks = []
    for row, column in forks:
        full = torch.zeros(1, 1, side * height, side * width)
        full[..., row * height : (row + 1) * height, column * width : (column + 1) * width] = mask
        masks.append(torch.nn.functional.interpolate(full, size=size, mode="bilinear"))
    return masks


def clever(mask: torch.Tensor, side: int, out: torch.Tensor) -> torch.Tensor:
    """The best that torch alone does: the cell scaled down once and written into zeros."""
    size = (mask.shape[0] // STRIDE, mask.shape[1] // STRIDE)
    small = torch.nn.functional.interpolate(mask[None, None], size=size, mode="bilinear")[0, 0]
    out.zero_()
    for index, fork in enumerate(out[:, 0]):
        row, column = divmod(index, side)
        top, left = row * size[0], column * size[1]
        fork[top : top + size[0], left : left + size[1]] = small
    return out


def measure(side: int, pixels: int, *, whole: bool, budget: float) -> Point:
    """Measures all ways on one grid; `whole` runs the original's way for every fork, else a few."""
    mask = stencil(pixels)
    tensor = torch.from_numpy(mask)
    grid = maskgrid.Grid(side, side, cell=pixels, stride=STRIDE)
    cells = [divmod(index, side) for index in range(side * side)]
    some = cells if whole else cells[:: max(1, len(cells) // 4)]
    latent = side * pixels // STRIDE
    out = torch.ones(len(cells), 1, latent, latent)
    array = out.numpy()

    plan = maskgrid.ForkPlan(grid, mask)
    expected = clever(tensor, side, torch.ones_like(out))
    if not np.allclose(plan.noise_masks(out=array), expected.numpy(), atol=1e-6):
        raise AssertionError("the plan's masks are not torch's")
    del expected

    slow = Way(
        "the original", lambda: original(tensor, side, some), scale=len(cells) / len(some), warm=not whole
    )
    ways = [
        Way("maskgrid, a plan", lambda: maskgrid.ForkPlan(grid, mask)),
        Way("maskgrid, dense", lambda: plan.noise_masks(out=array)),
        Way("torch, clever", lambda: clever(tensor, side, out)),
        Way("fill, torch", lambda: out.fill_(0.0)),
        Way("fill, numpy", lambda: array.fill(0.0)),
    ]
    holds, dense, best, *fills = compare(ways, budget=budget)
    [baseline] = compare([slow], budget=budget)
    return Point(side, pixels, baseline, holds, dense, best, min(fills, key=lambda fill: fill.seconds))


def run(report: Report, *, quick: bool) -> list[Point]:
    """Measures the sweep and reports it; the case that is promised something about comes last, whole."""
    sizes = [(4, 128), (8, 256)] if quick else [(s, p) for s in (2, 4, 8, 16) for p in (64, 128, 256, 512)]
    points = []
    for side, pixels in sizes:
        headline = (side, pixels) == HEADLINE
        points.append(measure(side, pixels, whole=headline or side <= 4, budget=0.3 if quick else 0.8))
    report.heading("Masks of forks, Fork then Sample, stride 8")
    report.say(
        "`dense` writes all forks' masks as (N, 1, h, w) float32 into the caller's memory; a fill sets the "
        "same memory to zero. The original's way ran whole for grids of up to 16 cells and for "
        "16x16 cells of 256 px; elsewhere it is timed on 4 forks and multiplied."
    )
    report.say()
    columns = ["cells", "the original", "a plan", "times as fast", "dense", "of a fill", "torch, clever"]
    report.table([*columns, "dense is"], [_row(point) for point in points])
    shown = next((point for point in points if (point.side, point.pixels) == HEADLINE), points[-1])
    report.say()
    report.say(f"{shown.side}x{shown.side} cells of {shown.pixels} px:")
    report.say()
    report.ways([shown.plan, shown.dense, shown.torch, shown.fill, shown.original], copy=shown.fill)
    return points


def _row(point: Point) -> list[str]:
    return [
        f"{point.side}x{point.side} of {point.pixels} px",
        duration(point.original.seconds),
        duration(point.plan.seconds),
        times(point.original.seconds / point.plan.seconds),
        duration(point.dense.seconds),
        f"{point.fill.seconds / point.dense.seconds:.0%}",
        duration(point.torch.seconds),
        f"{times(point.torch.seconds / point.dense.seconds)} as fast",
    ]
