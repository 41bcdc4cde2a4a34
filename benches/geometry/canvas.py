"""How fast are tiling, splitting, merging and pasting, beside a copy of as many bytes?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

import maskgrid
from harness import Report, Timing, Way, compare
from maskgrid import canvas

Array = np.ndarray


@dataclass(frozen=True)
class Job:
    """One canvas operation.

    Attributes:
        name: What it is called.
        ways: Ours, then numpy's, then others.
        written: What ours and numpy's write into.
        within: How far their results may lie apart; more than 0 where arithmetic rounds.
        traffic: Bytes it has to move, in those that a copy of the result moves.
    """

    name: str
    ways: Sequence[Way]
    written: Array
    within: int = 0
    traffic: float = 1.0

    def check(self) -> None:
        """Refuses to compare the speed of things that differ.

        Raises:
            AssertionError: Our result is not numpy's.
        """
        results = []
        for way in self.ways[:2]:
            self.written.fill(1)
            way.run()
            results.append(self.written.copy())
        ours, theirs = results
        far = np.maximum(ours, theirs) - np.minimum(ours, theirs)
        if far.max() > self.within:
            raise AssertionError(f"{self.name}: the results differ by up to {far.max()}")


@dataclass(frozen=True)
class Result:
    """What was measured of a job."""

    name: str
    timings: list[Timing]
    copy: Timing
    traffic: float


class Sheet:
    """A sheet beyond the cache with everything that the jobs need, allocated and touched once."""

    def __init__(self, side: int, pixels: int) -> None:
        """A sheet of side x side cells of `pixels` x `pixels` pixels, three channels of uint8."""
        random = np.random.default_rng(0)
        self.side, self.pixels = side, pixels
        self.grid = maskgrid.Grid(side, side, cell=pixels)
        self.cell = random.integers(0, 256, (pixels, pixels, 3), np.uint8)
        self.sheet = np.tile(self.cell, (side, side, 1))
        self.new = random.integers(0, 256, self.sheet.shape, np.uint8)
        self.out = np.ones_like(self.sheet)
        self.cells = np.ones((side * side, pixels, pixels, 3), np.uint8)
        self.mask = np.pad(np.ones((pixels // 2, pixels // 2), np.float32), pixels // 4, mode="linear_ramp")
        self.image = Image.fromarray(self.sheet)

    def rects(self) -> list[tuple[slice, slice]]:
        """Where each cell lies, as numpy slices."""
        starts = range(0, self.side * self.pixels, self.pixels)
        return [
            (slice(t, t + self.pixels), slice(left, left + self.pixels)) for t in starts for left in starts
        ]


def tile(at: Sheet) -> Job:
    """One cell into every place of a sheet."""
    source = torch.from_numpy(at.cell)
    target = torch.from_numpy(at.out).view(at.side, at.pixels, at.side, at.pixels, 3)

    def with_numpy() -> None:
        shape = (at.side, at.pixels, at.side, at.pixels, 3)
        np.copyto(at.out.reshape(shape), at.cell[None, :, None])

    def with_pillow() -> Image.Image:
        result, cell = Image.new("RGB", at.image.size), Image.fromarray(at.cell)
        for rows, columns in at.rects():
            result.paste(cell, (columns.start, rows.start))
        return result

    ways = [
        Way("maskgrid", lambda: canvas.tile(at.cell, at.grid, out=at.out)),
        Way("numpy, broadcast copy", with_numpy),
        Way("numpy.tile", lambda: np.tile(at.cell, (at.side, at.side, 1)), note="allocates"),
        Way("torch, broadcast copy", lambda: target.copy_(source[None, :, None])),
        Way("Pillow, paste", with_pillow, note="allocates"),
    ]
    return Job("tile", ways, at.out)


def split(at: Sheet) -> Job:
    """Every cell of a sheet into a batch of its own."""
    shape = (at.side, at.pixels, at.side, at.pixels, 3)
    source = torch.from_numpy(at.sheet).view(shape).permute(0, 2, 1, 3, 4)
    target = torch.from_numpy(at.cells).view(at.side, at.side, at.pixels, at.pixels, 3)

    def with_pillow() -> list[Image.Image]:
        p = at.pixels
        return [at.image.crop((c.start, r.start, c.start + p, r.start + p)) for r, c in at.rects()]

    ways = [
        Way("maskgrid", lambda: canvas.split(at.sheet, at.grid, copy=True, out=at.cells)),
        Way("numpy, copyto", lambda: np.copyto(target.numpy(), at.sheet.reshape(shape).swapaxes(1, 2))),
        Way("torch, copy_", lambda: target.copy_(source)),
        Way("Pillow, crop", with_pillow, note="allocates"),
    ]
    return Job("split (copy)", ways, at.cells)


def merge(at: Sheet) -> Job:
    """Cell i of fork i into one sheet: 4 forks of the whole sheet, each giving a row of the grid in turn."""
    forks = np.stack([np.roll(at.new, fork, axis=2) for fork in range(4)])
    cells = list(range(4))
    tensors, target = torch.from_numpy(forks), torch.from_numpy(at.out)
    rects = at.rects()

    def with_numpy() -> None:
        np.copyto(at.out, forks[0])
        for fork, cell in enumerate(cells):
            at.out[rects[cell]] = forks[fork][rects[cell]]

    def with_torch() -> None:
        target.copy_(tensors[0])
        for fork, cell in enumerate(cells):
            target[rects[cell]] = tensors[fork][rects[cell]]

    ways = [
        Way("maskgrid", lambda: canvas.merge(forks, at.grid, cells=cells, out=at.out)),
        Way("numpy, by slices", with_numpy),
        Way("torch, by slices", with_torch),
    ]
    return Job("merge of 4 forks", ways, at.out)


def paste(at: Sheet) -> Job:
    """4 forks, each the whole sheet with one new cell pasted through a soft mask."""
    rects = at.rects()[:4]
    patches = np.ascontiguousarray(np.stack([at.new[rect] for rect in rects]))
    places = [at.grid.cell_rect(index) for index in range(4)]
    out = np.ones((4, *at.sheet.shape), np.uint8)
    tensors, targets, soft = torch.from_numpy(patches), torch.from_numpy(out), at.mask[..., None]
    original, mask = torch.from_numpy(at.sheet), torch.from_numpy(soft)

    def with_numpy() -> None:
        for fork, (rect, patch) in enumerate(zip(rects, patches, strict=True)):
            np.copyto(out[fork], at.sheet)
            old = at.sheet[rect].astype(np.float32)
            out[fork][rect] = np.rint(old + (patch - old) * soft).astype(np.uint8)

    def with_torch() -> None:
        for fork, (rect, patch) in enumerate(zip(rects, tensors, strict=True)):
            targets[fork].copy_(original)
            mixed = torch.lerp(original[rect].float(), patch.float(), mask)
            targets[fork][rect] = mixed.round_().to(torch.uint8)

    ways = [
        Way("maskgrid", lambda: canvas.paste(at.sheet, patches, places, at.mask, out=out)),
        Way("numpy", with_numpy),
        Way("torch", with_torch),
    ]
    return Job("paste, 4 forks", ways, out, within=1)


def paste_together(at: Sheet) -> Job:
    """New cells over every place of a sheet through a soft mask, into one sheet."""
    patches = np.ascontiguousarray(np.stack([at.new[rect] for rect in at.rects()]))
    mask8 = Image.fromarray((at.mask * 255).round().astype(np.uint8))
    images = [Image.fromarray(patch) for patch in patches]
    soft = at.mask[..., None]

    def with_numpy() -> None:
        np.copyto(at.out, at.sheet)
        for rect, patch in zip(at.rects(), patches, strict=True):
            old = at.sheet[rect].astype(np.float32)
            at.out[rect] = np.rint(old + (patch - old) * soft).astype(np.uint8)

    tensors, mask = torch.from_numpy(patches), torch.from_numpy(soft)
    original, target = torch.from_numpy(at.sheet), torch.from_numpy(at.out)

    def with_torch() -> None:
        target.copy_(original)
        for rect, patch in zip(at.rects(), tensors, strict=True):
            target[rect] = torch.lerp(original[rect].float(), patch.float(), mask).round_().to(torch.uint8)

    def with_pillow() -> Image.Image:
        result = at.image.copy()
        for (rows, columns), patch in zip(at.rects(), images, strict=True):
            result.paste(patch, (columns.start, rows.start), mask8)
        return result

    ways = [
        Way(
            "maskgrid",
            lambda: canvas.paste(at.sheet, patches, at.grid, at.mask, together=True, out=at.out),
        ),
        Way("numpy", with_numpy),
        Way("torch", with_torch),
        Way("Pillow, paste", with_pillow, note="allocates, mask of 8 bits"),
    ]
    # It reads the original and the patches: three bytes move where a copy moves two.
    return Job("paste, all cells", ways, at.out, within=1, traffic=1.5)


def copies(written: Array) -> list[Way]:
    """Copies of as many bytes as a job writes, from memory that is not in the cache."""
    source, target = np.ones_like(written), np.ones_like(written)
    from_torch, to_torch = torch.from_numpy(source), torch.from_numpy(target)
    return [
        Way("copy, torch", lambda: to_torch.copy_(from_torch)),
        Way("copy, numpy", lambda: np.copyto(target, source)),
    ]


JOBS: Sequence[Callable[[Sheet], Job]] = (tile, split, merge, paste, paste_together)


def run(report: Report, *, quick: bool) -> list[Result]:
    """Measures and reports every job."""
    sheet = Sheet(8, 256 if quick else 1024)
    side = sheet.side * sheet.pixels
    report.heading(f"Canvas operations, {side} x {side} x 3 of uint8 ({sheet.out.nbytes / 1e6:.0f} MB)")
    report.say(
        f"8x8 cells of {sheet.pixels} px. All write into memory of the caller's unless they can't; "
        "the copy is as large as the result, the faster one of numpy and torch. Pasting all cells has to "
        "move half as many bytes again as a copy; its share counts them."
    )
    results = []
    for make in JOBS:
        job = make(sheet)
        job.check()
        *timings, first, second = compare([*job.ways, *copies(job.written)], budget=0.5 if quick else 4.0)
        copy = min(first, second, key=lambda timing: timing.seconds)
        report.say()
        report.say(f"{job.name}:")
        report.say()
        report.ways([*timings, copy], copy=copy, traffic=job.traffic)
        results.append(Result(job.name, timings, copy, job.traffic))
    return results
