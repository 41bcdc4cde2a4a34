"""The main job: a sheet, a stencil and a prompt go in, forks come back as pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from maskgrid.conditioning import conditioning_of, has_own_texts, per_fork
from maskgrid.errors import MaskGridError, RunInterrupted
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.load_pipeline import load_pipeline
from maskgrid.pictures.images import continued, read_image, read_stencil, to_pil
from maskgrid.pictures.stencils import fit_stencil, shown
from maskgrid.result.fork_records import run_settings
from maskgrid.result.forks import Forks
from maskgrid.result.repeat_runs import recorded_model, repeat_runs
from maskgrid.sampling.sample_forks import ForkControls, fork_job

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from maskgrid.sampling import ForkLatents, Progress
    from maskgrid.sampling.forking.fork_run import ForkJob
    from maskgrid.sampling.forking.request import Callback

__all__ = ["DecodeCallback", "MaskGrid", "repeat"]

CONTROLS = frozenset(field.name for field in fields(ForkControls)) - {"scaling_factor", "shift_factor"}
"""The controls that a run in a pipeline has; the layout knows the latent format."""

DecodeCallback = Callable[[int, int], None]
"""Told how many pictures are decoded, and of how many."""


@dataclass(frozen=True)
class _Sheet:
    """What the pictures of a run have in common."""

    pixels: NDArray[np.uint8]
    grid: Grid
    stencil: NDArray[Any]
    alpha: NDArray[np.float32]
    settings: dict[str, Any]
    decode_callback: DecodeCallback | None

    def forks(self, latents: ForkLatents, patches: NDArray[np.uint8]) -> Forks:
        alpha = self.alpha if len(self.alpha) == 1 else self.alpha[list(latents.cells)]
        return Forks(
            self.pixels,
            patches,
            latents.cells,
            self.grid,
            alpha,
            latents=latents,
            stencil=self.stencil,
            settings=self.settings,
        )


class MaskGrid:
    """Forks of a sheet, made with a diffusers pipeline.

        forks = MaskGrid(pipe)(image="sheet.png", mask="stencil.png", rows=3, columns=3, prompt="a sad face")
        forks.merged().show()
        forks.save("out")

    Args:
        pipe: Any text-to-image pipeline of diffusers that there is a layout for; it stays as it is.

    Raises:
        InvalidTypeError: No layout for this pipeline.
    """

    def __init__(self, pipe: Any) -> None:
        self.host = DiffusersHost(pipe)
        self._source: dict[str, Any] = {}

    @classmethod
    def load(cls, model: str, *, device: str | None = None, dtype: str | None = None) -> MaskGrid:
        """With a pipeline loaded by name; its manifests then say which, so that `repeat` finds it again.

        Args:
            model: See `maskgrid.load_pipeline.load_pipeline`, as for the next two.
            device: As torch names it.
            dtype: "float32", "float16" or "bfloat16".

        Raises:
            MaskGridError: No such model, or it can't be loaded.
            InvalidTypeError: No layout for its pipeline.
        """
        made = cls(load_pipeline(model, device=device, dtype=dtype))
        where = str(Path(model).expanduser().resolve()) if Path(model).expanduser().exists() else model
        made._source = {"pipeline": {"model": where, "device": device, "dtype": dtype}}
        return made

    def __call__(
        self,
        *,
        image: Any,
        mask: Any,
        rows: int = 1,
        columns: int = 1,
        gap: int | tuple[int, int] = 0,
        margin: int | tuple[int, int] = 0,
        prompt: Any = None,
        negative_prompt: Any = None,
        cfg: float | None = None,
        steps: int = 20,
        coverage: str = "center",
        feather: float | None = None,
        micro_batch: int | None = None,
        callback: Callback | None = None,
        decode_callback: DecodeCallback | None = None,
        **options: Any,
    ) -> Forks:
        """Make the forks.

        Args:
            image: The sheet: a path, a PIL image, an array or a tensor; see
                `maskgrid.pictures.images.read_image`.
            mask: The stencil, white may change: as large as one cell, one per cell, or as large as the sheet.
                What `image` may be, and what `maskgrid.masks` takes.
            rows: Rows of cells.
            columns: Columns of cells.
            gap: Pixels between cells.
            margin: Pixels around the cells.
            prompt: For all cells; or one for each, as a list or a table of rows. A run that samples the forks
                together then samples each cell with its own (`sheet_conditioning="cells"`).
            negative_prompt: Likewise, as are prompt_2, negative_prompt_2 and so on where there are such.
            cfg: Guidance scale; default the pipeline's own.
            steps: 1 or more; a schedule of sigmas has its own number.
            coverage: How pixels of the stencil become latent cells, see `ForkPlan`.
            feather: Pixels inside a hard stencil's edge over which old and new mix; default the VAE's stride.
                A soft stencil is its own feather.
            micro_batch: The most forks in one pipeline call; default all.
            callback: Told a `Progress` after each call of the network; returning False stops the run.
            decode_callback: Told after each picture how many are decoded, and of how many.
            **options: Every other control of `maskgrid.sampling.ForkControls` (mode, fork_at, sampler,
                schedule, seed, denoise, start_at_step, ...; fork_seeds as a list or table like the prompts);
                control_image, a ControlNet's or T2I-Adapter's, as large as the sheet; reference_image,
                Flux.2's, of any size: either is what `image` may be, or a list of that; what it does not
                know goes to the pipeline, as it is.

        Returns:
            The forks, one for each cell whose stencil is not empty.

        Raises:
            InvalidTypeError: An object, dtype or argument that is not allowed.
            MaskGridError: A stencil so thin that the coverage loses it in every cell.
            InvalidValueError: A number, shape or name that is not allowed.
            DenoiserError: The network returned something unusable; like the next two it carries what was
                finished as `result`, a `Forks`.
            CancelledError: The callback stopped the run.
            RunInterrupted: Ctrl-C.
        """
        pixels = read_image(image)
        grid = Grid(rows, columns, canvas=pixels.shape[:2], gap=gap, margin=margin, stride=self.host.stride)
        stencil = fit_stencil(read_stencil(mask), grid)
        plan = _plan(self._network_grid(grid), stencil, coverage)
        given = {"rows": rows, "columns": columns, "gap": gap, "margin": margin, "prompt": prompt}
        given |= {"negative_prompt": negative_prompt, "cfg": cfg, "coverage": coverage}
        given |= {"feather": feather, "micro_batch": micro_batch, **options}
        chosen = {name: options.pop(name) for name in list(options) if name in CONTROLS}
        told = {"prompt": prompt, "negative_prompt": negative_prompt, "cfg": cfg, **options}
        conditioning = conditioning_of(self.host, told, grid, plan)
        if has_own_texts(conditioning):
            chosen.setdefault("sheet_conditioning", "cells")
        controls = ForkControls(steps=steps, **chosen)
        if not isinstance(controls.schedule, str):
            steps = len(controls.schedule) - 1
        alpha = shown(stencil, self.host.stride if feather is None else feather)
        settings = {**run_settings(controls, given), **self._source}
        if "fork_seeds" in chosen:
            controls = replace(controls, fork_seeds=per_fork(controls.fork_seeds, "fork_seeds", grid, plan))
        height, width = plan.grid.latent_size
        job = fork_job(
            self._encode(pixels, plan.grid),
            plan,
            controls,
            table=self.host.table((height, width), steps),
            micro_batch=micro_batch,
            callback=callback,
        )
        sheet = _Sheet(pixels, grid, stencil, alpha, settings, decode_callback)
        return self._run(job, steps, conditioning, sheet)

    def again(self, manifest: str | os.PathLike[str], **changes: Any) -> Forks:
        """The forks that a manifest tells of, made again with this pipeline.

        Args:
            manifest: A `manifest.json`, or the folder that `Forks.save` wrote it to.
            **changes: Arguments to use in place of the manifest's.

        Returns:
            The forks; with the same pipeline and versions on the same machine bit for bit as they were.

        Raises:
            MaskGridError: No such manifest, one without a stencil, or of a run with arguments that no
                manifest can hold and that are not among the changes.
        """
        return repeat_runs(self, manifest, **changes)

    def preview(self, progress: Progress, size: tuple[int, int] | None = None) -> Image:
        """How a run looks by now, for a callback: the sheet, or the first fork of the call, fully decoded.

        Args:
            progress: What the callback was told.
            size: Height and width of the sheet in pixels; default all that was sampled, which can be up to a
                latent cell more.
        """
        decoded = self.host.decode(progress.denoised[:1])[0]
        height, width = size or decoded.shape[1:]
        return to_pil(_eight_bits(decoded[:, :height, :width]))

    def _network_grid(self, grid: Grid) -> Grid:
        """The same cells on a canvas that the network takes: sides rounded up."""
        unit = self.host.stride * self.host.layout.align
        height, width = (math.ceil(side / unit) * unit for side in grid.canvas)
        pairs = {"cell": tuple(grid.cell), "gap": tuple(grid.gap), "margin": tuple(grid.margin)}
        return Grid(grid.rows, grid.columns, canvas=(height, width), stride=grid.stride, **pairs)

    def _encode(self, pixels: NDArray[np.uint8], grid: Grid) -> Tensor:
        """Latents of the sheet, continued to the network's grid."""
        tensor = torch.from_numpy(continued(pixels, grid.canvas)).permute(2, 0, 1)[None].float()
        return self.host.encode(tensor / 127.5 - 1)

    def _run(self, job: ForkJob, steps: int, conditioning: dict[str, Any], sheet: _Sheet) -> Forks:
        """Sample and decode; what was finished before an error comes along as pictures, too."""
        try:
            return self._pictures(self.host.run(job, steps, conditioning), sheet)
        except BaseException as error:
            if getattr(error, "result", None) is not None and not isinstance(error.result, Forks):  # type: ignore[attr-defined]
                error.result = self._pictures(error.result, sheet)  # type: ignore[attr-defined]
            raise

    def _pictures(self, latents: ForkLatents, sheet: _Sheet) -> Forks:
        """Decode fork by fork and keep each one's cell."""
        patches = np.empty((len(latents), *sheet.grid.cell, sheet.pixels.shape[2]), np.uint8)
        done = 0
        try:
            for patch, latent, cell in zip(patches, latents, latents.cells, strict=True):
                rows, columns = sheet.grid.cell_rect(cell).slices
                patch[...] = sheet.pixels[rows, columns]
                patch[..., :3] = _eight_bits(self.host.decode(latent)[0, :, rows, columns])
                done += 1
                if sheet.decode_callback:
                    sheet.decode_callback(done, len(latents))
        except KeyboardInterrupt as stop:
            interrupted = RunInterrupted("interrupted while decoding; the finished forks are in `result`")
            interrupted.result = sheet.forks(latents[:done], patches[:done]) if done else None
            raise interrupted from stop
        finally:
            self.host.release()
        return sheet.forks(latents, patches)


def repeat(manifest: str | os.PathLike[str], **changes: Any) -> Forks:
    """The forks that a manifest tells of, made again with the model that it names.

    Args:
        manifest: A `manifest.json`, or the folder that `Forks.save` wrote it to.
        **changes: Arguments of `MaskGrid.__call__` to use in place of the manifest's.

    Returns:
        The forks; on the same machine with the same versions bit for bit as they were.

    Raises:
        MaskGridError: One that names no model; and as for `MaskGrid.again`.
    """
    source = recorded_model(manifest)
    if not source:
        raise MaskGridError(f"{manifest} names no model; allowed: MaskGrid(pipe).again(...)")
    return MaskGrid.load(**source).again(manifest, **changes)


def _plan(grid: Grid, stencil: NDArray[Any], coverage: str) -> ForkPlan:
    """The plan, unless it would sample for nothing."""
    plan = ForkPlan(grid, stencil, coverage=coverage)
    if not len(plan):
        raise MaskGridError("the stencil is empty, so there is nothing to sample; white may change")
    if len(plan.lost) == len(plan):
        raise MaskGridError(
            f"the stencil is too thin for coverage {coverage!r}: at stride {grid.stride} nothing of it is "
            "left; allowed: coverage 'max' or 'area', or a stencil that was grown"
        )
    return plan


def _eight_bits(decoded: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (
        ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    return np.ascontiguousarray(pixels)
