"""The geometry's main job on a drawn sheet: prepare a stencil, plan the forks, merge new cells.

Another drawing of the same sheet stands in for what a diffusion model would put into the stencil. Writes what
it reads and makes as PNG files.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from faces.drawing import MOODS, draw
from faces.sheets import random_look, spread_over_cells
from maskgrid import ForkPlan, Grid, canvas, masks

ROWS, COLUMNS, CELL, STRIDE = 3, 4, 64, 8
SCALE = 3
SHOWN = {0: (255, 60, 60), 5: (255, 220, 60), 11: (80, 200, 255)}


def sheet(mood: int, seed: int) -> np.ndarray:
    """A sheet of one face in one mood, (H, W, 3) uint8; the same seed is the same face."""
    chance = torch.Generator().manual_seed(seed)
    look = spread_over_cells(random_look(1, chance), ROWS * COLUMNS, chance)
    look.mood[:] = mood
    cells = ((draw(look) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return canvas.join(cells.numpy(), Grid(ROWS, COLUMNS, cell=CELL, stride=STRIDE))


def drawn_stencil() -> np.ndarray:
    """A rough stroke over eyes and mouth, (CELL, CELL) uint8."""
    image = Image.new("L", (CELL, CELL))
    pen = ImageDraw.Draw(image)
    pen.ellipse((18, 23, 46, 38), fill=255)
    pen.ellipse((21, 40, 43, 55), fill=255)
    return np.asarray(image)


def with_windows(image: np.ndarray, plan: ForkPlan) -> Image.Image:
    """The sheet with the windows of some forks drawn over it."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for index, colour in SHOWN.items():
        top, left, bottom, right = (int(edge) * STRIDE for edge in plan.windows[index])
        pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
    return picture


def save(image: np.ndarray | Image.Image, path: Path) -> None:
    """Writes a picture, large enough to look at."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST).save(path)


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    original, redrawn = (sheet(MOODS.index(mood), seed=7) for mood in ("sad", "laughing"))
    drawn = drawn_stencil()

    start = time.perf_counter()
    grid = Grid(ROWS, COLUMNS, cell=CELL, stride=STRIDE)
    stencil = masks.grow(drawn, 4)
    soft = masks.feather(stencil.astype(np.float32) / 255, 6)
    plan = ForkPlan(grid, soft, halo=2)
    noise_masks = plan.noise_masks()
    forks = canvas.paste(original, canvas.split(redrawn, grid), grid, soft)
    merged = canvas.merge(forks, grid, cells=plan.cells)
    seconds = time.perf_counter() - start

    assert np.array_equal(forks[5][:CELL], original[:CELL]), "a fork changed more than its cell"
    save(original, out / "sheet.png")
    save(np.hstack([drawn, stencil, np.rint(soft * 255).astype(np.uint8)]), out / "stencil.png")
    save(with_windows(original, plan), out / "windows.png")
    save(forks[5], out / "fork.png")
    save(merged, out / "merged.png")
    print(plan)
    print(
        f"stencil, plan, {noise_masks.shape} noise masks, {len(forks)} forks, merged: {seconds * 1e3:.1f} ms"
    )
    print(f"pictures: {', '.join(sorted(str(path) for path in out.glob('*.png')))}")


if __name__ == "__main__":
    main()
