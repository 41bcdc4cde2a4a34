"""Draw sheets at random, find their grids; print how many are right, how sure the wrong ones are, the time.

    python tools/measure_detect.py                      # 500 sheets
    python tools/measure_detect.py --sheets 3000 --seed 5 --failures

A sheet is right as `tests/geometry/drawn_sheets.py` says. Exits with 1 where less than 95 % are right, or a
wrong grid is called sure.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "geometry"))

from drawn_sheets import DrawnSheet, draw_sheet, is_right

from maskgrid import Grid, num_threads
from maskgrid.errors import GridError
from maskgrid.geometry.detect_grid import SURE

GOAL = 0.95
SIDE = 4096


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sheets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=779, help="one that nothing was tuned with")
    parser.add_argument("--failures", action="store_true", help="name the sheets that are wrong")
    options = parser.parse_args()
    right, wrong = judge_sheets(options.seed, options.sheets, show=options.failures)
    share = sum(right.values()) / options.sheets
    sure = [confidence for confidence in wrong if confidence >= SURE]
    print(f"right: {sum(right.values())} of {options.sheets} ({share:.1%}), seed {options.seed}")
    print(
        f"the surest wrong one: {max(wrong, default=0):.3f}; sure is {SURE} and more; wrong there: "
        f"{len(sure)}"
    )
    measure_time()
    return 0 if share >= GOAL and not sure else 1


def judge_sheets(seed: int, count: int, *, show: bool) -> tuple[Counter[str], list[float]]:
    """The right ones by kind, and the confidence of each wrong one; prints a table of kinds."""
    right, drawn, believed, wrong = Counter[str](), Counter[str](), Counter[str](), []
    for number in range(count):
        sheet = draw_sheet(np.random.default_rng([seed, number]))
        confidence, is_found = judge(sheet)
        kind = sheet.words.partition(",")[0] + (", jpeg" if sheet.is_jpeg else "")
        drawn[kind] += 1
        right[kind] += is_found
        believed[kind] += is_found and confidence >= SURE
        if not is_found:
            wrong.append(confidence)
            if show:
                print(f"wrong at {confidence:.3f}: {number}: {sheet.words}, {sheet.pixels.shape}")
    for kind in sorted(drawn):
        print(f"{kind:22} {right[kind]:4} of {drawn[kind]:4} right, {believed[kind]:4} of them sure")
    print(f"{'all':22} {right.total():4} of {drawn.total():4} right, {believed.total():4} of them sure")
    return right, wrong


def judge(sheet: DrawnSheet) -> tuple[float, bool]:
    """The confidence, 0 for a refusal, and whether the grid is right."""
    try:
        found = Grid.detect(sheet.pixels)
    except GridError:
        return 0.0, False
    boxes = [tuple(rect) for rect in found.grid.cell_rects]
    return found.confidence, is_right(sheet, found.grid.rows, found.grid.columns, boxes)


def measure_time() -> None:
    """Print the median time of 15 for sheets of 4096 px: with and without gutters, with alpha and without."""
    for name, channels, gap in (("boxes", 3, 32), ("boxes", 4, 32), ("pictures", 3, 0), ("pictures", 3, 32)):
        pixels = large_sheet(name, channels, gap)
        Grid.detect(pixels)
        taken = []
        for _ in range(15):
            start = time.perf_counter()
            found = Grid.detect(pixels)
            taken.append(time.perf_counter() - start)
        middle = statistics.median(taken) * 1e3
        print(f"{SIDE} x {SIDE} x {channels}, {name}, gap {gap}: {middle:.1f} ms ({num_threads()} threads)")
        print(f"    found {found.grid.rows} x {found.grid.columns}, confidence {found.confidence:.2f}")


def large_sheet(name: str, channels: int, gap: int) -> np.ndarray:
    """8 x 8 cells, each of a colour with a block in it, or each a smooth picture."""
    rng = np.random.default_rng(0)
    pixels = np.full((SIDE, SIDE, channels), 255, np.uint8)
    side = SIDE // 8 - gap
    y, x = np.mgrid[:side, :side] / side
    for rect in Grid(8, 8, cell=side, gap=gap, margin=gap // 2, canvas=SIDE).cell_rects:
        place = pixels[rect.slices]
        if name == "boxes":
            place[..., :3] = rng.integers(0, 200, 3)
            place[side // 4 : side // 2, side // 3 : side // 2, :3] = rng.integers(0, 200, 3)
        else:
            waves = [
                np.sin(rng.uniform(1, 9) * x + rng.uniform(1, 9) * y + rng.uniform(0, 6)) for _ in range(3)
            ]
            place[..., :3] = np.stack([128 + 100 * wave for wave in waves], axis=2)
    return pixels


if __name__ == "__main__":
    sys.exit(main())
