"""The main job: a sheet, a stencil and a prompt go in, forks come back as pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from maskgrid.conditioning import conditioning_of, has_own_texts
from maskgrid.encode_decode import decode_forks, eight_bit_picture, encode_views, finish_as_pictures
from maskgrid.errors import MaskGridError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.load_pipeline import load_pipeline
from maskgrid.load_pipeline.lora_files import find_loras
from maskgrid.pictures.mix_alpha import mix_patches
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.result.fork_records import RunRecord, records_of_run, run_settings
from maskgrid.result.forks import Forks
from maskgrid.result.repeat_runs import recorded_model, repeat_runs
from maskgrid.run_arguments import RunArguments, call_signature, pipeline_words_apart
from maskgrid.run_inputs import read_inputs
from maskgrid.run_log import RunLog
from maskgrid.run_plan import plan_run
from maskgrid.sampling import ForkMasks, prepare_forks

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from maskgrid.load_pipeline import LoraSource
    from maskgrid.run_inputs import RunInputs
    from maskgrid.run_plan import RunPlan
    from maskgrid.sampling import Controls, ForkLatents, Progress

__all__ = ["MaskGrid", "repeat"]


class MaskGrid:
    """Forks of a sheet, made with a diffusers pipeline.

        forks = MaskGrid(pipe)(image="sheet.png", mask="stencil.png", rows=3, columns=3, prompt="a sad face")
        forks.merged().show()
        forks.save("out")

    It can be pickled and copied as far as its pipeline can.

    One run at a time uses a pipeline, whichever objects and threads ask for it; `clone()` gives another that
    may run beside this one.

    Args:
        pipe: A text-to-image pipeline of diffusers, of a family that is known; it stays as it is.
        wait: Whether a run waits for another thread's to end; if not, it raises PipelineBusyError.

    Raises:
        InvalidTypeError: A pipeline of no known family.
    """

    def __init__(self, pipe: Any, *, wait: bool = True) -> None:
        self.host = DiffusersHost(pipe, wait=wait)
        self._source: dict[str, Any] = {}

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str],
        *,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        loras: Sequence[LoraSource] = (),
        offload: str | None = None,
        vae_tiling: bool = False,
    ) -> MaskGrid:
        """With a pipeline loaded by name; its manifests then say which, so that `repeat` finds it again.

        Args:
            model: See `maskgrid.load_pipeline.load_pipeline`, as for all others.
            device: As torch names it.
            dtype: "float32", "float16" or "bfloat16".
            revision: Of a hub id: a branch, a tag or a commit.
            loras: .safetensors files, or pairs of a file and its weight. Manifests hold their hashes.
            offload: "model", "sequential" or "group".
            vae_tiling: Whether the VAE works tile by tile.

        Raises:
            MaskGridError: No such model or LoRA, or it can't be loaded.
            InvalidTypeError: Its pipeline is of no known family.
        """
        name = str(model)
        path = Path(name).expanduser()
        # Hashed once, and before the weights are read.
        found = find_loras(loras)
        extras: dict[str, Any] = {"revision": revision, "offload": offload, "vae_tiling": vae_tiling}
        made = cls(load_pipeline(name, device=device, dtype=dtype, loras=found, **extras))
        where = str(path.resolve()) if path.exists() else name
        extras["loras"] = [lora.told() for lora in found]
        told = {name: value for name, value in extras.items() if value}
        made._source = {"pipeline": {"model": where, "device": device, "dtype": dtype, **told}}
        return made

    def clone(self) -> MaskGrid:
        """Another one, with a scheduler of its own over the same weights: both may run side by side.

        Raises:
            InvalidTypeError: A pipeline with hooks in its networks, such as those of offloading, which move
                or cast the weights that a clone would share.
            PipelineBusyError: The pipeline runs in this thread, or in another that is not to be waited for.
        """
        made = type(self)(self.host.pipe, wait=self.host.wait)
        made.host = self.host.clone()
        made._source = dict(self._source)
        return made

    def __call__(self, **arguments: Unpack[RunArguments]) -> Forks:
        """Make the forks.

        Args:
            image: The sheet: a path, bytes, an open file, a PIL image, an array or a tensor; see
                `maskgrid.pictures.read_sheet.read_sheet`.
            mask: The stencil, white may change: as large as one cell, one per cell, or as large as the sheet.
                What `image` may be, and what `maskgrid.masks` takes; see
                `maskgrid.pictures.read_mask.read_mask`.
            mask_channel: Which part of a picture is the mask, where both its brightness and its alpha vary:
                "alpha", "luminance" or "red".
            max_pixels: The most pixels of a file that are decoded, in place of Pillow's guard.
            rows: Rows of cells.
            columns: Columns of cells.
            cell: Size of a cell in pixels; default the largest that fits. `Grid.detect` finds it.
            gap: Pixels between cells.
            margin: Pixels around the cells; with `cell`, before the first.
            cells: The cells to fork, by number or as (row, column); default all. A list of prompts or seeds
                may then have one for each of these.
            variants: Tries of each cell, 1 to 4096. The seed counts on from try to try, and `forks[row,
                column, k]` is try k of a cell. Sampled together, each try is a sheet of its own.
            zoom: How many times larger the model sees a cell and its context, as a canvas of its own; "auto"
                for what brings them to the model's own size. Without a mode, cells are then sampled alone; in
                `mode="sample"` the sheet is enlarged as a whole. See docs/sheets.md.
            context: What a zoomed cell has around it: an int is pixels, a float a share of the cell's sides;
                default nothing where the stencil leaves a rim of the cell, a quarter of the cell elsewhere.
            zoom_filter: "lanczos", or "nearest" for pixel art, which takes whole factors.
            prompt: For all cells; or one for each, as a list or a table of rows. A run that samples the forks
                together then samples each cell with its own (`sheet_conditioning="cells"`).
            negative_prompt: Likewise, as are prompt_2, negative_prompt_2 and so on where there are such.
            cfg: Guidance scale; default the pipeline's own.
            control_image: A ControlNet's or T2I-Adapter's picture, as large as the sheet, or a list of them.
            reference_image: Pictures of any size that the network goes by, such as Flux.2's.
            background: What the model sees under a sheet's alpha: "#00ff00", (0, 255, 0), or "auto", a colour
                far from the sheet's own. Default the colours beside what is hidden go on; see docs/sheets.md.
            alpha: Of new cells: "keep", the sheet's, or "new", by keying against the background, which
                is then "auto" by default.
            coverage: How pixels of the stencil become latent cells, see `ForkPlan`.
            feather: Pixels inside the stencil's edge over which old and new mix, at most half the thickness
                of what is white; default the VAE's stride, and 0 for a soft stencil, which is its own
                feather. See `maskgrid.pictures.paste_weights.paste_weights`.
            micro_batch: The most forks in one pipeline call; default all.
            sharing: "base" runs the network once over what all forks share, and then over each fork's window
                alone: nearly the same forks for a few samplings, see docs/speed.md. Default each fork's whole
                canvas.
            halo: What a window has around its cell, as a share of the cell's sides.
            base_prompt: Where cells have prompts of their own: "own", a shared pass for each distinct prompt,
                or "shared", one with the mean of their embeddings.
            callback: Told a `Progress` after each call of the network; returning False stops the run.
            decode_callback: Told after each picture how many are decoded, and of how many.
            pipe_kwargs: Arguments of the pipeline's own, by name. One that is no argument of ours may as well
                be given by itself, which type checkers don't know.
            **controls: Those of `maskgrid.sampling.controls.ControlOptions`: mode, fork_at, sampler,
                schedule, steps, seed, fork_seeds (a list or table like the prompts), denoise and so on.

        Returns:
            The forks, one for each cell whose stencil is not empty; of several variants first one for each
            cell, then the next.

        Raises:
            InvalidTypeError: An object, dtype or argument that is not allowed.
            InvalidValueError: A number, shape or name that is not allowed.
            MaskGridError: A stencil so thin that the coverage loses it in every cell.
            DenoiserError: The network returned something unusable or did not fit. This, the next ones and
                everything else that is raised during the run carry what was finished, see `maskgrid.errors`.
            AutoencoderError: The sheet or a fork did not fit into the VAE.
            CancelledError: The callback stopped the run.
            RunInterrupted: Ctrl-C.
        """
        return self.run(read_inputs(arguments))

    def run(self, inputs: RunInputs) -> Forks:
        """Make the forks of what `maskgrid.run_inputs.read_inputs` read, as the call itself does."""
        log, host = RunLog(), self.host
        plan = plan_run(inputs, stride=host.stride, align=host.family.align, side=host.side)
        told = conditioning_of(host, inputs, plan)
        controls = _controls_of_forks(inputs, plan, told)
        hand_over = partial(_forks_of, inputs, plan, {**_settings(inputs), **self._source})
        inputs = log.listening(inputs)
        decode = partial(self._decode, inputs=inputs, plan=plan, hand_over=hand_over, log=log)
        with host.reserve(), log.run(inputs, plan, host.name), finish_as_pictures(decode):
            sheets = encode_views(host, inputs.sheet.colours, plan)
            table = host.table(plan.latent_size, inputs.options.steps)
            sampling = prepare_forks(
                *_sheets_and_masks(sheets, plan),
                controls,
                table=table,
                micro_batch=inputs.options.micro_batch,
                callback=inputs.options.callback,
                own_sheets=plan.windows is not None,
            )
            sharing = inputs.options.what_is_shared()
            return decode(host.run(sampling, inputs.options.steps, told, sharing=sharing))

    def again(self, manifest: str | os.PathLike[str], **changes: Any) -> Forks:
        """The forks that a manifest tells of, made again with this pipeline.

        Args:
            manifest: A `manifest.json`, or the folder that `Forks.save` wrote it to.
            **changes: Arguments to use in place of the manifest's. With `from_fork` the number of a fork to
                go on from, `again(folder, from_fork=5, denoise=0.4)`: the sheet is then that fork's picture,
                and its cell alone is forked unless `cells` says otherwise.

        Returns:
            The forks; with the same pipeline and versions on the same machine bit for bit as they were.

        Raises:
            MaskGridError: No such manifest, one without a stencil, or of a run with arguments that no
                manifest can hold and that are not among the changes.
        """

        def make(**arguments: Any) -> Forks:
            return self.run(read_inputs(pipeline_words_apart(arguments)))

        return repeat_runs(make, manifest, **changes)

    def preview(self, progress: Progress, size: tuple[int, int] | None = None) -> Image:
        """How a run looks by now, for a callback: the sheet, or the first fork of the call, fully decoded.

        Args:
            progress: What the callback was told.
            size: Height and width of the sheet in pixels; default all that was sampled, which can be up to a
                latent cell more.
        """
        decoded = self.host.decode(progress.denoised[:1])[0]
        height, width = size or decoded.shape[1:]
        return to_pil(eight_bit_picture(decoded[:, :height, :width]))

    def _decode(
        self,
        latents: ForkLatents,
        *,
        inputs: RunInputs,
        plan: RunPlan,
        hand_over: partial[Forks],
        log: RunLog,
    ) -> Forks:
        with log.decoding(len(latents)):
            return decode_forks(self.host, latents, inputs, plan, hand_over=hand_over)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.host.pipe, self.host.wait, self._source)


MaskGrid.__call__.__signature__ = call_signature(Forks)  # type: ignore[attr-defined]


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


def _restore(kind: type[MaskGrid], pipe: Any, wait: bool, source: dict[str, Any]) -> MaskGrid:
    """A `MaskGrid` made again of what was pickled."""
    made = kind(pipe, wait=wait)
    made._source = source
    return made


def _controls_of_forks(inputs: RunInputs, plan: RunPlan, told: dict[str, Any]) -> Controls:
    """The controls, with a seed for each fork of the plan where cells have their own."""
    controls, chosen = inputs.options.controls, inputs.options.chosen
    if "sheet_conditioning" not in chosen and has_own_texts(told):
        controls = replace(controls, sheet_conditioning="cells")
    return replace(controls, fork_seeds=plan.seeds_of_forks(inputs.seeds, controls.seed))


def _sheets_and_masks(sheets: Tensor, plan: RunPlan) -> tuple[Tensor, ForkMasks]:
    """The sheet that forks are of, or one for each, and where each may change."""
    if plan.windows is None:
        return sheets[0], ForkMasks.from_plan(plan.forks).repeat(plan.variants)
    masks = ForkMasks.of_own_sheets(plan.windows.coverages, plan.forks.cells, plan.grid)
    return sheets.repeat(plan.variants, *(1,) * (sheets.ndim - 1)), masks.repeat(plan.variants)


def _settings(inputs: RunInputs) -> dict[str, Any]:
    """What `MaskGrid` has a manifest tell of its run; lists have an item for each cell of the sheet."""
    told = inputs.options.told()
    if inputs.options.cells is not None:
        told |= {name: text for name, text in inputs.texts.items() if isinstance(text, list)}
        told |= {"fork_seeds": inputs.seeds} if "fork_seeds" in told else {}
    return run_settings(inputs.options.controls, told)


def _forks_of(
    inputs: RunInputs,
    plan: RunPlan,
    settings: dict[str, Any],
    latents: ForkLatents,
    patches: NDArray[np.uint8],
) -> Forks:
    """The result: the sheet, and for each fork the one cell that is new."""
    run = RunRecord(settings, inputs.stencil)
    tint = plan.alpha if len(plan.alpha) == 1 else plan.alpha[list(latents.cells)]
    alpha = tint
    if inputs.options.alpha == "new":
        patches, alpha = mix_patches(inputs.pixels, patches, latents.cells, plan.grid, tint)
    return Forks(
        inputs.pixels,
        patches,
        latents.cells,
        plan.grid,
        alpha,
        latents=latents,
        records=records_of_run(run, latents.cells, plan.grid, latents.numbers, latents.variants),
        tint=tint,
        save_options=inputs.sheet.save_options,
    )
