"""`maskgrid bench`: the geometry against the plain way, quickly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid._native import num_threads
from maskgrid.cli.tell import give_result, say
from maskgrid.errors import MaskGridError
from maskgrid.geometry import ForkPlan, Grid, canvas

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["run"]

_SECONDS = 0.5


def run(options: argparse.Namespace) -> int:
    """Time both ways on one grid, after a look at whether they agree."""
    grid = Grid(options.rows, options.columns, cell=options.cell, stride=options.stride)
    generator = np.random.default_rng(0)
    stencil = (generator.random(tuple(grid.cell)) < 0.5).astype(np.float32)
    sheet = generator.integers(0, 256, (*grid.canvas, 3), dtype=np.uint8)
    patches = generator.integers(0, 256, (len(grid), *grid.cell, 3), dtype=np.uint8)
    alpha = generator.random(tuple(grid.cell), dtype=np.float32)
    rows: list[tuple[str, float, Callable[[], Any], Callable[[], Any]]] = [
        (
            "noise masks of all forks",
            1e-5,
            lambda: ForkPlan(grid, stencil, coverage="area").noise_masks(),
            lambda: _plain_masks(grid, stencil),
        ),
        (
            "new cells into one sheet",
            1,
            lambda: canvas.paste(sheet, patches, grid, alpha, together=True),
            lambda: _plain_paste(sheet, patches, grid, alpha),
        ),
    ]
    size = f"{grid.canvas.height} x {grid.canvas.width}"
    title = (
        f"{grid.rows} x {grid.columns} cells, sheet {size} px, stride {grid.stride}, {num_threads()} threads"
    )
    say(options, title)
    found = []
    for name, tolerance, ours, plain in rows:
        if np.abs(ours().astype(np.float64) - plain()).max() > tolerance:
            raise MaskGridError(f"both ways disagree about the {name}")
        fast, slow = _time(ours), _time(plain)
        times = f"{slow / fast:6.1f} times faster"
        say(options, f"{name:26} {fast * 1e3:9.3f} ms   plain {slow * 1e3:9.3f} ms   {times}")
        found.append({"what": name, "seconds": fast, "plain_seconds": slow})
    give_result(options, "", of=title, measured=found)
    return 0


def _plain_masks(grid: Grid, stencil: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each fork's mask at the size of the sheet, then reduced: what one does without a plan."""
    stride = grid.stride
    height, width = grid.latent_size
    masks = []
    for rect in grid.cell_rects:
        full = np.zeros((height * stride, width * stride), np.float32)
        full[rect.slices] = stencil
        masks.append(full.reshape(height, stride, width, stride).mean(axis=(1, 3)))
    return np.stack(masks)[:, None]


def _plain_paste(
    sheet: NDArray[np.uint8], patches: NDArray[np.uint8], grid: Grid, alpha: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Blended over the whole sheet in float32, one cell after the other."""
    result = sheet.astype(np.float32)
    for rect, patch in zip(grid.cell_rects, patches, strict=True):
        share, new = np.zeros((*sheet.shape[:2], 1), np.float32), np.zeros_like(result)
        share[rect.slices], new[rect.slices] = alpha[..., None], patch
        result += (new - result) * share
    return np.rint(result).astype(np.uint8)


def _time(work: Callable[[], Any]) -> float:
    """Seconds of the quickest of several runs within about half a second."""
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while best == float("inf") or time.perf_counter() < until:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
