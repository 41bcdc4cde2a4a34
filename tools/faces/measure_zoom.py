"""Measures zoom with the bundled model: small cells redrawn with another mood, found as prompted or not.

    cd tools && python -m faces.measure_zoom --picture ../docs/images/zoom.png

Sheets of 3x3 drawn faces at half their size, 32 px cells; each cell is redrawn whole with another mood and
brought to 64 px for the classifier. Drawn cells, brought down and up again, say what it can find at most.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from faces.classifier import TEST_SEED, hits, train_classifier
from faces.drawing import MOODS, Look, draw
from faces.measure import COLUMNS, ROWS, drawn_sheets, shares
from faces.sheets import describe
from maskgrid import MaskGrid

if TYPE_CHECKING:
    from torch import Tensor

    from maskgrid import Forks

CELL, SMALL = 64, 32
WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "zoom 2": {"zoom": 2},
    "the sheet twice as large": {"zoom": 2, "mode": "sample"},
}


def stencil() -> np.ndarray:
    """The part of a small cell that may change: a disc that leaves a rim, (32, 32) uint8."""
    y, x = np.mgrid[:SMALL, :SMALL] - (SMALL - 1) / 2
    return np.where(x**2 + y**2 < (0.44 * SMALL) ** 2, 255, 0).astype(np.uint8)


def picture(sheet: Tensor) -> Image.Image:
    """A sheet (3,H,W) in -1..1 at half its size."""
    pixels = ((sheet.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    return Image.fromarray(pixels).resize((sheet.shape[2] // 2, sheet.shape[1] // 2), Image.Resampling.BOX)


def enlarge(cell: np.ndarray) -> Tensor:
    """A small cell as the classifier sees it, (3,64,64) in -1..1."""
    larger = np.asarray(Image.fromarray(cell).resize((CELL, CELL), Image.Resampling.BICUBIC))
    return torch.from_numpy(larger.copy()).permute(2, 0, 1).float() / 127.5 - 1


def new_cells(forks: Forks) -> list[Tensor]:
    """The new cell of each fork, enlarged."""
    return [enlarge(forks.array(i)[forks.grid.cell_rect(cell).slices]) for i, cell in enumerate(forks.cells)]


def show(rows: list[tuple[str, list[Image.Image]]], target: Path) -> None:
    """Sheets side by side, a row for each way, four times as large."""
    side, head = 4 * SMALL * COLUMNS, 28
    canvas = Image.new("RGB", (len(rows) * (side + 16) - 16, len(rows[0][1]) * (side + 12) + head), "white")
    draw_on = ImageDraw.Draw(canvas)
    for column, (title, sheets) in enumerate(rows):
        draw_on.text((column * (side + 16) + 4, 6), title, fill="black", font_size=16)
        for row, sheet in enumerate(sheets):
            larger = sheet.convert("RGB").resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(larger, (column * (side + 16), head + row * (side + 12)))
    canvas.save(target)


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sheets", type=int, default=8)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--cfg", type=float, default=3.0)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    sheets, look = drawn_sheets(asked.sheets, TEST_SEED + 5)
    wanted: Look = replace(look, mood=(look.mood + 1 + torch.arange(len(look.mood)) % 5) % len(MOODS))
    judge = train_classifier()
    pictures = [picture(sheet) for sheet in sheets]
    drawn = draw(wanted)
    limit = [enlarge(np.asarray(picture(cell))) for cell in drawn]
    print(f"{len(limit)} cells drawn as asked, 32 px:", shares(hits(judge, torch.stack(limit), wanted)))
    grid, each = MaskGrid.load("bundled"), ROWS * COLUMNS
    rows = [("before", pictures[:1])]
    for name, options in WAYS.items():
        begun, cells, shown = time.perf_counter(), [], []
        for number, sheet in enumerate(pictures):
            prompts = [describe(wanted, number * each + cell) for cell in range(each)]
            forks = grid(
                image=sheet,
                mask=stencil(),
                rows=ROWS,
                columns=COLUMNS,
                prompt=prompts,
                **{"mode": "fork", "steps": asked.steps, "cfg": asked.cfg, "seed": number, **options},
            )
            cells += new_cells(forks)
            shown += [forks.merged()]
        seconds = (time.perf_counter() - begun) / len(pictures)
        rows.append((name, shown[:1]))
        found = shares(hits(judge, torch.stack(cells), wanted))
        print(f"{name}: found as prompted {found}; {seconds:.2f} s a sheet")
    if asked.picture:
        show(rows, asked.picture)


if __name__ == "__main__":
    main()
