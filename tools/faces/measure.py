"""Measures the bundled model and prints the figures of its model card.

    cd tools && python -m faces.measure --pictures /tmp/faces/pictures

Reconstruction of held-out cells; how often a classifier finds what the prompt named, in fresh cells
and in one cell of a drawn sheet that was sampled again with another mood.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import StableDiffusionPipeline

from faces.classifier import TEST_SEED, drawn_cells, hits, train_classifier
from faces.drawing import MOODS, Look, draw
from faces.sheets import describe, random_look, save_png, spread_over_cells

if TYPE_CHECKING:
    from torch import Tensor

    from faces.classifier import Classifier

MODEL = Path(__file__).parents[2] / "python" / "maskgrid" / "models" / "faces"
ROWS = COLUMNS = 3


def tile(cells: Tensor, columns: int) -> Tensor:
    """Cells (N,3,h,w) as one picture, row by row."""
    rows = cells.unflatten(0, (-1, columns))
    return rows.permute(2, 0, 3, 1, 4).reshape(3, rows.shape[0] * cells.shape[2], -1)


def decode(pipe: StableDiffusionPipeline, latents: Tensor) -> Tensor:
    """Scaled latents to pictures in -1..1."""
    return pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)


def encode(pipe: StableDiffusionPipeline, images: Tensor) -> Tensor:
    """Pictures in -1..1 to scaled latents."""
    return pipe.vae.encode(images).latent_dist.mean * pipe.vae.config.scaling_factor


def decibels(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise ratio of pictures in -1..1."""
    return -10 * math.log10((a - b).square().mean().item() / 4)


def reconstruction(pipe: StableDiffusionPipeline, folder: Path) -> None:
    """Prints how well held-out cells and sheets survive the autoencoder."""
    cells, _ = drawn_cells(256, TEST_SEED)
    sheets, _ = drawn_sheets(8, TEST_SEED + 1)
    for name, images in (("cells", cells), ("sheets of 3x3", sheets)):
        back = torch.cat([decode(pipe, encode(pipe, part)) for part in images.split(16)])
        print(f"reconstruction of {len(images)} held-out {name}: {decibels(images, back):.2f} dB")
        shown = torch.cat([images[:8], back[:8]])
        save_png(tile(shown, 8), folder / f"reconstruction_{'cells' if name == 'cells' else 'sheets'}.png")


def drawn_sheets(count: int, seed: int) -> tuple[Tensor, Look]:
    """Sheets of 3x3 (count,3,192,192), each of one look, and the look of every cell."""
    g = torch.Generator().manual_seed(seed)
    look = spread_over_cells(random_look(count, g), ROWS * COLUMNS, g)
    cells = draw(look).unflatten(0, (count, -1))
    return torch.stack([tile(sheet, COLUMNS) for sheet in cells]), look


def sample_cells(
    pipe: StableDiffusionPipeline, judge: Classifier, folder: Path, options: dict[str, float]
) -> None:
    """Samples 200 single cells and prints what the classifier finds in them."""
    look = random_look(200, torch.Generator().manual_seed(TEST_SEED + 2))
    prompts = [describe(look, i) for i in range(200)]
    parts = []
    for at in range(0, 200, 50):
        g = torch.Generator().manual_seed(at)
        latents = pipe(
            prompts[at : at + 50], height=64, width=64, generator=g, output_type="latent", **options
        )
        parts.append(decode(pipe, latents.images))
    images = torch.cat(parts)
    print("200 sampled cells, found as prompted:", shares(hits(judge, images, look)))
    save_png(tile(images[:100], 10), folder / "cells.png")
    for i in range(10):
        print(f"  cells.png, first row, {i + 1}: {prompts[i]}")


def redraw(
    pipe: StableDiffusionPipeline,
    sheet: Tensor,
    mask: Tensor,
    prompt: str,
    seed: int,
    options: dict[str, float],
) -> Tensor:
    """Samples the masked part of a sheet (1,3,H,W) again; mask (1,1,h,w) is 1 there, at latent size."""
    g = torch.Generator().manual_seed(seed)
    clean = encode(pipe, sheet)
    noise = torch.randn(clean.shape, generator=g)

    def keep(
        pipe: StableDiffusionPipeline, step: int, timestep: Tensor, values: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        known = clean + pipe.scheduler.sigmas[step + 1] * noise
        return {"latents": torch.where(mask > 0, values["latents"], known)}

    result = pipe(
        prompt,
        height=sheet.shape[2],
        width=sheet.shape[3],
        latents=noise.clone(),
        output_type="latent",
        callback_on_step_end=keep,
        **options,
    )
    return decode(pipe, result.images)


def redraw_cells(
    pipe: StableDiffusionPipeline, judge: Classifier, folder: Path, options: dict[str, float]
) -> None:
    """Samples one cell of each of 36 sheets again with another mood and prints what is found in it."""
    count = 36
    sheets, look = drawn_sheets(count, TEST_SEED + 3)
    first = look[torch.arange(count) * ROWS * COLUMNS]
    wanted = replace(first, mood=(first.mood + 1 + torch.arange(count) % (len(MOODS) - 1)) % len(MOODS))
    cells, rows = [], []
    for i in range(count):
        row, column = divmod(i % (ROWS * COLUMNS), COLUMNS)
        mask = torch.zeros(1, 1, 16 * ROWS, 16 * COLUMNS)
        mask[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 1
        sheet = sheets[i : i + 1]
        result = redraw(pipe, sheet, mask, describe(wanted, i), i, options)
        cells.append(result[:, :, 64 * row : 64 * row + 64, 64 * column : 64 * column + 64])
        rows.append(result[0])
    print(
        f"{count} cells redrawn in 3x3 sheets, found as prompted:",
        shares(hits(judge, torch.cat(cells), wanted)),
    )
    save_png(tile(torch.stack(rows), 6), folder / "redrawn.png")
    for i in range(6):
        print(f"  redrawn.png, first row, {i + 1}, cell {i + 1}: {describe(wanted, i)}")


def shares(found: dict[str, float]) -> str:
    """Shares as percentages."""
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())


@torch.no_grad()
def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--pictures", type=Path, default=Path("/tmp/faces/pictures"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    pipe = StableDiffusionPipeline.from_pretrained(arguments.model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": arguments.steps, "guidance_scale": arguments.guidance}
    print(f"{arguments.steps} steps, guidance {arguments.guidance}")
    reconstruction(pipe, arguments.pictures)
    with torch.enable_grad():
        judge = train_classifier()
    images, look = drawn_cells(2000, TEST_SEED + 4)
    print("classifier on 2000 held-out drawn cells:", shares(hits(judge, images, look)))
    sample_cells(pipe, judge, arguments.pictures, options)
    redraw_cells(pipe, judge, arguments.pictures, options)


if __name__ == "__main__":
    main()
