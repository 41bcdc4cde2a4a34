"""Redraw the frames of a sprite sheet: transparent, with gaps between the frames, all frames drawn together.

    python examples/make_sprites.py [--sheet sprites.png --stencil stencil.png --rows 3 --columns 3 --gap 4]

Without --sheet the faces of the bundled model are laid out as sprites first.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from maskgrid import Grid, MaskGrid, canvas
from maskgrid.bundled_model import read_demo

GAP = 4


def lay_out(folder: Path) -> Path:
    """Writes the demonstration's cells as sprites, transparent beside the head, 4 px between the frames."""
    demo = read_demo()
    sheet = np.asarray(Image.open(demo.image).convert("RGBA"))
    cells = canvas.split(sheet, Grid(demo.rows, demo.columns, cell=64)).copy()
    y, x = np.mgrid[:64, :64] - 31.5
    cells[:, np.hypot(y, x) > 31] = 0
    path = folder / "sprites.png"
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(canvas.join(cells, Grid(demo.rows, demo.columns, cell=64, gap=GAP))).save(path)
    return path


def main() -> None:
    """Makes the forks and saves them."""
    demo = read_demo()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sheet", type=Path, help="(default: the bundled model's faces)")
    parser.add_argument("--stencil", type=Path, default=demo.mask, help="as large as a frame")
    parser.add_argument("--rows", type=int, default=demo.rows, help="(default: %(default)s)")
    parser.add_argument("--columns", type=int, default=demo.columns, help="(default: %(default)s)")
    parser.add_argument("--gap", type=int, default=GAP, help="pixels (default: %(default)s)")
    parser.add_argument("--model", default="bundled", help="(default: %(default)s)")
    parser.add_argument("--prompt", default=demo.prompts[0], help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/sprites"), help="(default: %(default)s)")
    options = parser.parse_args()

    forks = MaskGrid.load(options.model)(
        image=options.sheet or lay_out(options.out.with_name(f"{options.out.name}-before")),
        mask=options.stencil,
        rows=options.rows,
        columns=options.columns,
        gap=options.gap,
        prompt=options.prompt,
        cfg=demo.cfg,
        steps=options.steps,
        mode="sample",
    )
    print(forks.save(options.out))


if __name__ == "__main__":
    main()
