"""Draws what `maskgrid demo` redraws: a sheet of one face in one mood, a stencil, and the prompts.

cd tools && python -m faces.demo_sheet
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import torch

from faces.drawing import ACCESSORIES, BACKGROUNDS, COLOURS, MOODS, draw
from faces.measure import MODEL
from faces.shapes import CELL, Brush
from faces.sheets import caption, random_look, save_png, spread_over_cells

ROWS, COLUMNS = 3, 3
COLOUR, BACKGROUND, ACCESSORY, MOOD = "blue", "cream", "headphones", "happy"
CFG = 2.5
MARGIN = 4.0  # pixels that the stencil has beyond the features, which is the feather


def demo_sheet(seed: int) -> torch.Tensor:
    """The sheet, (3,192,192) in -1..1."""
    g = torch.Generator().manual_seed(seed)
    identity = replace(
        random_look(1, g),
        colour=torch.tensor([tuple(COLOURS).index(COLOUR)]),
        background=torch.tensor([tuple(BACKGROUNDS).index(BACKGROUND)]),
        accessory=torch.tensor([ACCESSORIES.index(ACCESSORY)]),
        mood=torch.tensor([MOODS.index(MOOD)]),
        # In the middle of what is drawn, so that one stencil fits every cell.
        centre=torch.tensor([[32.0, 37.0]]),
        unit=torch.tensor([20.0]),
        width=torch.tensor([1.06]),
    )
    cells = draw(spread_over_cells(identity, ROWS * COLUMNS, g)).unflatten(0, (ROWS, COLUMNS))
    return cells.permute(2, 0, 3, 1, 4).reshape(3, ROWS * CELL, COLUMNS * CELL)


def demo_stencil() -> torch.Tensor:
    """The part of the head that has brows, eyes and mouth, (3,64,64) in -1..1: 1 may change."""
    unit = torch.tensor([20.0])
    brush = Brush(torch.zeros(1, 3, CELL, CELL), torch.tensor([[32.0, 37.0]]), unit, torch.tensor([0.08]))
    inside = brush.ellipse(0.0, 0.02, 0.86, 0.84) * unit < MARGIN
    return inside.float().expand(3, -1, -1) * 2 - 1


def main() -> None:
    """Reads the command line and writes the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    save_png(demo_sheet(arguments.seed), str(out / "demo_sheet.png"))
    save_png(demo_stencil(), str(out / "demo_stencil.png"))
    others = [mood for mood in MOODS if mood != MOOD]
    text = {
        "image": "demo_sheet.png",
        "mask": "demo_stencil.png",
        "rows": ROWS,
        "columns": COLUMNS,
        "cfg": CFG,
        "prompts": [
            caption(mood, COLOUR, ACCESSORY, BACKGROUND) for mood in islice(cycle(others), ROWS * COLUMNS)
        ],
    }
    (out / "demo.json").write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
