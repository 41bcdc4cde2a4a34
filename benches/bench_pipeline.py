"""Measures the main job beside what people use for it: a diffusers inpainting pipeline, cell by cell.

The bundled model redraws every cell of its sheet, with the same prompt, sampler and steps each way. The
pipeline alone, asked for as many pictures of the sheet's size, shows what the network costs. Prints tables; a
whole run puts them into docs/benchmarks.md: take one on a quiet machine. `--quick` writes nothing.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

from harness import Report, Way, compare, duration, machine, times
from maskgrid import Grid, MaskGrid, canvas
from maskgrid.bundled_model import BUNDLED, read_demo
from maskgrid.cli.run_and_save import quieten_libraries

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"
MARKER = "figures of bench_pipeline.py"
GRIDS = ((1, 1), (2, 2), (3, 3))
STEPS = 8


@dataclass(frozen=True)
class Job:
    """Every cell of the upper left rows x columns cells of the demonstration's sheet is to be new."""

    maker: MaskGrid
    rows: int
    columns: int

    @cached_property
    def sheet(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        pixels = np.asarray(Image.open(read_demo().image))
        return np.ascontiguousarray(pixels[: self.rows * self.cell, : self.columns * self.cell])

    @cached_property
    def stencil(self) -> np.ndarray:
        """(h, w) uint8, hard."""
        return np.asarray(Image.open(read_demo().mask).convert("L"))

    @property
    def cell(self) -> int:
        """Pixels a side."""
        return len(self.stencil)

    @cached_property
    def masks(self) -> list[Image.Image]:
        """The stencil in one cell of an empty sheet, for each cell."""
        grid = Grid(self.rows, self.columns, cell=self.cell)
        empty = np.zeros(self.sheet.shape[:2], np.uint8)
        whole = np.broadcast_to(np.uint8(255), (len(grid), *self.stencil.shape))
        return [Image.fromarray(mask) for mask in canvas.paste(empty, whole, grid, self.stencil)]

    @cached_property
    def inpainting(self) -> Any:
        """The same networks in diffusers' inpainting pipeline."""
        pipe = StableDiffusionInpaintPipeline(
            **self.maker.host.pipe.components, requires_safety_checker=False
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @property
    def told(self) -> dict[str, Any]:
        """What pipelines are told."""
        size = {"height": self.sheet.shape[0], "width": self.sheet.shape[1]}
        return {
            "prompt": read_demo().prompts[4],
            "num_inference_steps": STEPS,
            "guidance_scale": read_demo().cfg,
            **size,
        }

    def forks(self, mode: str) -> list[np.ndarray]:
        """Ours."""
        forks = self.maker(
            image=self.sheet,
            mask=self.stencil,
            rows=self.rows,
            columns=self.columns,
            mode=mode,
            prompt=self.told["prompt"],
            cfg=read_demo().cfg,
            steps=STEPS,
        )
        return [forks.array(n) for n in range(len(forks))]

    def cell_by_cell(self) -> list[np.ndarray]:
        """An inpainting call for each cell."""
        return [picture for mask in self.masks for picture in self._inpaint([mask])]

    def one_batch(self) -> list[np.ndarray]:
        """One inpainting call with a mask for each cell."""
        return self._inpaint(self.masks)

    def alone(self) -> object:
        """As many new pictures of the sheet's size."""
        count = len(self.masks)
        generator = torch.Generator().manual_seed(0)
        return self.maker.host.pipe(**self.told, num_images_per_prompt=count, generator=generator)

    def _inpaint(self, masks: list[Image.Image]) -> list[np.ndarray]:
        told = {**self.told, "prompt": [self.told["prompt"]] * len(masks)}
        images = [Image.fromarray(self.sheet)] * len(masks)
        generator = torch.Generator().manual_seed(0)
        result = self.inpainting(**told, image=images, mask_image=masks, generator=generator)
        return [np.asarray(picture) for picture in result.images]


def changed(job: Job, make: Callable[[], Any]) -> str:
    """The share of the pixels outside the stencil that a way changed, and by how much at most."""
    shares, most = [], 0
    for picture, mask in zip(make(), job.masks, strict=True):
        kept = np.asarray(mask) == 0
        difference = np.abs(picture.astype(int) - job.sheet)[kept].max(axis=1)
        shares.append(float((difference > 0).mean()))
        most = max(most, int(difference.max()))
    return f"{np.mean(shares):.1%}, by up to {most} of 255" if most else "none"


def ways(job: Job) -> list[Way]:
    """All ways to do a job; the first two are ours."""
    return [
        Way("Sample then Fork", lambda: job.forks("sample"), warm=False),
        Way("Fork then Sample", lambda: job.forks("fork"), warm=False),
        Way("inpainting, cell by cell", job.cell_by_cell, warm=False),
        Way("inpainting, one batch", job.one_batch, warm=False),
        Way("text to image", job.alone, warm=False),
    ]


def by_grids(report: Report, maker: MaskGrid, *, quick: bool) -> None:
    """Times by the number of cells."""
    report.heading(f"All cells of a sheet made new, cells of 64 px, {STEPS} steps, with guidance")
    report.say("Text to image is the pipeline alone, asked for as many new pictures as there are cells.")
    report.say()
    rows, names = [], []
    for grid in GRIDS[1:2] if quick else GRIDS:
        timings = compare(ways(Job(maker, *grid)), budget=1 if quick else 6, most=7)
        names = [timing.name for timing in timings]
        seconds = [timing.seconds for timing in timings]
        gain = [times(seconds[2] / seconds[i]) for i in (0, 1)]
        rows.append([f"{grid[0]}x{grid[1]}", *map(duration, seconds), " and ".join(gain)])
    report.table(["cells", *names, "ours beside cell by cell"], rows)


def by_pixels(report: Report, maker: MaskGrid) -> None:
    """What changed that was not to change."""
    report.heading("Pixels outside the stencil that are other than they were, 2x2 cells")
    job = Job(maker, 2, 2)
    tried = [(way.name, way.run) for way in ways(job)[:4]]
    report.table(["", "changed"], [[name, changed(job, make)] for name, make in tried])


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one size, few rounds; writes nothing")
    arguments = parser.parse_args()
    quieten_libraries()
    maker = MaskGrid.load(BUNDLED, device="cpu")
    report = Report()
    for line in machine(("maskgrid", "torch", "diffusers")):
        report.say(f"- {line}")
    report.say(f"- torch on {torch.get_num_threads()} threads")
    by_grids(report, maker, quick=arguments.quick)
    by_pixels(report, maker)
    if not arguments.quick:
        report.write(DOCS, MARKER)


if __name__ == "__main__":
    main()
