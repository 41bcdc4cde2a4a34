"""The main job: a sheet, a stencil and a prompt go in, forks come back as pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, RunInterrupted
from maskgrid.forks import Forks
from maskgrid.geometry import ForkPlan, Grid
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.images import read_image, read_stencil, to_pil
from maskgrid.models import load_pipeline
from maskgrid.output import read_manifest
from maskgrid.sampling.forks import ForkControls, fork_job
from maskgrid.stencils import fit_stencil, shown

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.sampling import ForkLatents, Progress
    from maskgrid.sampling.jobs import ForkJob
    from maskgrid.sampling.requests import Callback

__all__ = ["DecodeCallback", "MaskGrid", "recorded_run", "repeat"]

DecodeCallback = Callable[[int, int], None]
"""Told how many pictures are decoded, and of how many."""

# The layout knows the latent format.
_CONTROLS = frozenset(field.name for field in fields(ForkControls)) - {"scaling_factor", "shift_factor"}
_PER_CELL = ("prompt", "negative_prompt")
# Pictures besides the sheet, and the parts of a pipeline that look at the first.
_PICTURES = ("control_image", "reference_image")
_CONTROLLERS = ("controlnet", "adapter")


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
            model: See `maskgrid.models.load_pipeline`, as for the next two.
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
            image: The sheet: a path, a PIL image, an array or a tensor; see `maskgrid.images.read_image`.
            mask: The stencil, white may change: as large as one cell, one per cell, or as large as the sheet.
                What `image` may be, and what `maskgrid.masks` takes.
            rows: Rows of cells.
            columns: Columns of cells.
            gap: Pixels between cells.
            margin: Pixels around the cells.
            prompt: For all cells; or one for each, as a list or a table of rows. A run that samples the forks
                together then samples each cell with its own (`sheet_conditioning="cells"`).
            negative_prompt: Likewise.
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
        chosen = {name: options.pop(name) for name in list(options) if name in _CONTROLS}
        options = self._with_pictures(options, grid, plan.grid)
        conditioning = {**options, **self._conditioning(prompt, negative_prompt, cfg, grid, plan)}
        if any(isinstance(conditioning.get(name), list) for name in _PER_CELL):
            chosen.setdefault("sheet_conditioning", "cells")
        controls = ForkControls(steps=steps, **chosen)
        if not isinstance(controls.schedule, str):
            steps = len(controls.schedule) - 1
        alpha = shown(stencil, self.host.stride if feather is None else feather)
        settings = {**_recorded({**_told(controls), **given}), **self._source}
        if "fork_seeds" in chosen:
            controls = replace(controls, fork_seeds=_per_fork(controls.fork_seeds, "fork_seeds", grid, plan))
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
        return self(**recorded_run(manifest, **changes))

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
        tensor = torch.from_numpy(_continued(pixels, grid)).permute(2, 0, 1)[None].float()
        return self.host.encode(tensor / 127.5 - 1)

    def _with_pictures(self, options: dict[str, Any], grid: Grid, network_grid: Grid) -> dict[str, Any]:
        """Options with pictures under the pipeline's names for them; its `image` is not the sheet."""
        given = {name: options[name] for name in _PICTURES if options.get(name) is not None}
        chosen = {name: value for name, value in options.items() if name not in _PICTURES}
        is_controlled = any(getattr(self.host.pipe, part, None) is not None for part in _CONTROLLERS)
        for name, value in given.items():
            images = [read_image(image, name=name) for image in _listed(value)]
            if name == "control_image":
                images = [_over_sheet(image, grid, network_grid) for image in images]
            is_image = self.host.accepts("image") and not self.host.accepts(name)
            own_name = "image" if is_image and is_controlled == (name == "control_image") else name
            pictures = [to_pil(image) for image in images]
            chosen[own_name] = pictures if isinstance(value, (list, tuple)) else pictures[0]
        return chosen

    def _conditioning(
        self, prompt: Any, negative_prompt: Any, cfg: float | None, grid: Grid, plan: ForkPlan
    ) -> dict[str, Any]:
        texts = {"prompt": prompt, "negative_prompt": negative_prompt}
        chosen = {
            name: _per_fork(value, name, grid, plan) for name, value in texts.items() if value is not None
        }
        if cfg is not None:
            chosen[self.host.layout.cfg] = cfg
        return chosen

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


def recorded_run(manifest: str | os.PathLike[str], **changes: Any) -> dict[str, Any]:
    """The arguments of `MaskGrid.__call__` that make a manifest's run again; `MaskGrid.again` is that call.

    Args and errors are those of `MaskGrid.again`.
    """
    record, path = read_manifest(manifest), Path(manifest)
    folder = path if path.is_dir() else path.parent
    settings = {**record.get("settings", {}), **changes}
    settings.pop("pipeline", None)
    missing = [name for name in settings.pop("not_recorded", []) if name not in changes]
    if missing:
        raise MaskGridError(f"{path} can't hold {', '.join(missing)}; give them again to repeat the run")
    if not record.get("stencil"):
        raise MaskGridError(f"{path} was written without a stencil, so its run can't be repeated")
    settings.setdefault("image", folder / record["image"])
    settings.setdefault("mask", folder / record["stencil"])
    return settings


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
    source = read_manifest(manifest).get("settings", {}).get("pipeline")
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


def _over_sheet(image: NDArray[np.uint8], grid: Grid, network_grid: Grid) -> NDArray[np.uint8]:
    """A ControlNet's picture, continued like the sheet."""
    if image.shape[:2] != tuple(grid.canvas):
        raise InvalidValueError(
            f"control_image is {image.shape[0]} x {image.shape[1]} px (height x width); "
            f"allowed: the sheet's size, {grid.canvas.height} x {grid.canvas.width}"
        )
    return _continued(image, network_grid)


def _continued(pixels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """(H, W, 3) of the grid's canvas: a picture continued by its border pixels, without alpha."""
    below, right = (wanted - side for wanted, side in zip(grid.canvas, pixels.shape[:2], strict=True))
    return np.pad(pixels[..., :3], ((0, below), (0, right), (0, 0)), mode="edge")


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def _eight_bits(decoded: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in [-1, 1] as (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (
        ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    return np.ascontiguousarray(pixels)


def _told(controls: ForkControls) -> dict[str, Any]:
    """All controls of a run, with their defaults, so that it can be repeated when those have changed."""
    # The default of sheet_conditioning follows from the prompts.
    values = {name: getattr(controls, name) for name in sorted(_CONTROLS - {"sheet_conditioning"})}
    return {name: value for name, value in values.items() if value is not None}


def _recorded(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON has them; those that it can't have are named under "not_recorded"."""
    plain = {name: _plain(value) for name, value in given.items()}
    lost = sorted(name for name, value in plain.items() if value is NotImplemented)
    settings = {name: value for name, value in plain.items() if name not in lost}
    return {**settings, "not_recorded": lost} if lost else settings


def _plain(value: Any) -> Any:
    """A value of JSON; NotImplemented where there is none."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else NotImplemented
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Tensor | np.ndarray):
        # Sigmas are a handful of numbers; embeddings and noise belong in no manifest.
        return value.tolist() if value.ndim == 1 else NotImplemented
    if isinstance(value, Sequence):
        items = [_plain(item) for item in value]
        return NotImplemented if any(item is NotImplemented for item in items) else items
    return NotImplemented


def _per_fork(value: Any, name: str, grid: Grid, plan: ForkPlan) -> Any:
    """What is meant for all, or a list with one item for each fork of the plan."""
    if isinstance(value, str):
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, Sequence):
        raise InvalidTypeError(
            f"{name} is {type(value).__name__}; allowed: a text, a list with an item for each cell, "
            "or a table of rows"
        )
    table = list(value)
    if table and isinstance(table[0], Sequence) and not isinstance(table[0], str):
        if len(table) != grid.rows or any(len(row) != grid.columns for row in table):
            shape = f"{len(table)} rows of {[len(row) for row in table]}"
            raise InvalidValueError(
                f"{name} is a table of {shape}; allowed: {grid.rows} rows of {grid.columns}"
            )
        table = [item for row in table for item in row]
    if len(table) != len(grid):
        raise InvalidValueError(
            f"{name} has {len(table)} items; allowed: one text, or {len(grid)} items, one for each cell"
        )
    return [table[cell] for cell in plan.cells]
