"""The samplers: MaskGrid Sampler with KSampler's controls, MaskGrid Sampler Custom with any SAMPLER."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy_api.latest import io

from maskgrid.hosts.comfyui import fork_options
from maskgrid.hosts.comfyui.fork_options import ForkOptions
from maskgrid.hosts.comfyui.sample_sheet import sample_sheet, sample_with_guider

__all__ = ["NODES", "MaskGridSampler", "MaskGridSamplerCustom"]

CATEGORY = "MaskGrid"
_ALIASES = ["mask grid", "sprite sheet", "expression sheet", "variations", "inpaint grid", "n ksamplers"]
_CONTROLS = (
    "add_noise",
    "noise_seed",
    "steps",
    "cfg",
    "sampler_name",
    "scheduler",
    "start_at_step",
    "end_at_step",
    "return_with_leftover_noise",
)
_OBJECTS = ("noise", "guider", "sampler", "sigmas", "latent_image", "mask")
_MODE_TIP = (
    "Sample then Fork: all cells are sampled in one go and see each other, then each fork takes one of them. "
    "Fork then Sample: each fork is sampled with its own cell only, among the cells of the sheet as it is."
)


def control_inputs() -> list[io.Input]:
    """The inputs of KSampler (Advanced), in its order."""
    sampling = comfy.samplers.KSampler
    return [
        io.Model.Input("model"),
        io.Combo.Input("add_noise", options=["enable", "disable"]),
        io.Int.Input("noise_seed", default=0, min=0, max=2**64 - 1, control_after_generate=True),
        io.Int.Input("steps", default=20, min=1, max=10000),
        io.Float.Input("cfg", default=8.0, min=0.0, max=100.0, step=0.1, round=0.01),
        io.Combo.Input("sampler_name", options=sampling.SAMPLERS),
        io.Combo.Input("scheduler", options=sampling.SCHEDULERS),
        io.Conditioning.Input("positive"),
        io.Conditioning.Input("negative"),
        io.Latent.Input(
            "latent_image", tooltip="The sheet, or the forks of a sampler that left noise in them."
        ),
        io.Int.Input("start_at_step", default=0, min=0, max=10000),
        io.Int.Input("end_at_step", default=10000, min=0, max=10000),
        io.Combo.Input("return_with_leftover_noise", options=["disable", "enable"]),
    ]


def grid_inputs() -> list[io.Input]:
    """The inputs that the original node has besides."""
    return [
        io.Image.Input(
            "mask",
            tooltip="The stencil, as large as one cell: white may change, black stays. One picture for all "
            "cells, "
            "or as many as there are cells.",
        ),
        io.Int.Input("rows", default=1, min=1, max=16, tooltip="Rows of cells in the sheet."),
        io.Int.Input("columns", default=3, min=1, max=16, tooltip="Columns of cells in the sheet."),
        io.Combo.Input(
            "mode", options=list(fork_options.MODES), default=fork_options.MODES[0], tooltip=_MODE_TIP
        ),
    ]


def fork_inputs() -> list[io.Input]:
    """What the original node has not; all optional and last, so that old workflows fit."""
    return [
        io.Int.Input(
            "fork_at",
            default=-1,
            min=-1,
            max=10000,
            optional=True,
            tooltip="All cells are sampled together up to this step, then each fork alone. -1 leaves it to "
            "the mode.",
        ),
        io.Combo.Input(
            "coverage",
            options=list(fork_options.COVERAGES),
            default=fork_options.COVERAGES[0],
            optional=True,
            tooltip="How the stencil's pixels become latent cells. center is ComfyUI's way and may lose "
            "thin lines; "
            "max keeps all of them.",
        ),
        io.Combo.Input(
            "blend",
            options=list(fork_options.BLENDS),
            default=fork_options.BLENDS[0],
            optional=True,
            tooltip="What a grey of the stencil means: lerp mixes old and new by it at every step, "
            "differential "
            "lets the place change from a later step on.",
        ),
        io.String.Input(
            "cells",
            default="",
            optional=True,
            tooltip="Which cells to fork, counted from 0 row by row, such as 0, 2, 4-6. Empty for all.",
        ),
    ]


def run_inputs() -> list[io.Input]:
    """More of them: seeds, prompts, and how the forks are run."""
    return [
        io.Combo.Input(
            "seed_mode",
            options=list(fork_options.SEED_MODES),
            default=fork_options.SEED_MODES[0],
            optional=True,
            tooltip="same: one noise for all forks. increment: fork i has seed + i. list: the seeds below. "
            "All but same need Fork then Sample.",
        ),
        io.String.Input(
            "seeds",
            default="",
            optional=True,
            tooltip="One seed for each fork, for seed_mode list: 11, 12, 13.",
        ),
        io.Int.Input(
            "micro_batch",
            default=0,
            min=0,
            max=256,
            optional=True,
            tooltip="The most forks in one call of the model. 0 takes as many as fit into memory.",
        ),
        io.Boolean.Input(
            "compat",
            default=False,
            optional=True,
            tooltip="Leftover noise as the original node gives it: a noisy cell in a clean sheet, nothing "
            "carried "
            "for the next sampler. Also only the first picture of the mask counts.",
        ),
        io.Boolean.Input(
            "prompt_per_fork",
            default=False,
            optional=True,
            tooltip="Row i of a batched conditioning is the prompt of fork i. Off: all forks see the first.",
        ),
    ]


def latent_outputs() -> list[io.Output]:
    """Outputs of the sampler nodes: the forks' latents and the merged sheet's."""
    return [
        io.Latent.Output("forks", tooltip="The sheet once for each cell, with that cell new."),
        io.Latent.Output("merged", tooltip="One sheet with every new cell."),
    ]


class MaskGridSampler(io.ComfyNode):
    """Variations of a sheet, with the controls of KSampler (Advanced)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridSampler."""
        return io.Schema(
            node_id="MaskGridSampler",
            display_name="MaskGrid Sampler",
            category=CATEGORY,
            description="Draws the cells of a sheet anew inside a stencil and returns one sheet for each "
            "cell, in "
            "which everything else is the original's.",
            search_aliases=_ALIASES,
            inputs=[*control_inputs(), *grid_inputs(), *fork_inputs(), *run_inputs()],
            outputs=latent_outputs(),
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridSampler."""
        return io.NodeOutput(*run(given))


class MaskGridSamplerCustom(io.ComfyNode):
    """Variations of a sheet, with the objects of ComfyUI's custom sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridSamplerCustom."""
        return io.Schema(
            node_id="MaskGridSamplerCustom",
            display_name="MaskGrid Sampler Custom",
            category=CATEGORY,
            description="MaskGrid Sampler for any guider, sampler and noise levels; DisableNoise goes on "
            "with "
            "forks that have noise left.",
            search_aliases=[*_ALIASES, "SamplerCustomAdvanced"],
            inputs=[
                io.Noise.Input("noise"),
                io.Guider.Input("guider"),
                io.Sampler.Input("sampler"),
                io.Sigmas.Input("sigmas"),
                io.Latent.Input("latent_image", tooltip="The sheet, or forks that have noise left in them."),
                *grid_inputs(),
                *fork_inputs(),
                *run_inputs(),
            ],
            outputs=latent_outputs(),
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridSamplerCustom."""
        noise, guider, sampler, sigmas, latent, mask = (given.pop(name) for name in _OBJECTS)
        options = ForkOptions(**given)
        return io.NodeOutput(*sample_with_guider((noise, guider, sampler, sigmas), latent, mask, options))


def run(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two LATENTs for the inputs of MaskGrid Sampler."""
    controls = {name: given.pop(name) for name in _CONTROLS}
    names = ("model", "positive", "negative", "latent_image", "mask")
    model, positive, negative, latent, mask = (given.pop(name) for name in names)
    return sample_sheet((model, positive, negative), controls, latent, mask, ForkOptions(**given))


NODES: list[type[io.ComfyNode]] = [MaskGridSampler, MaskGridSamplerCustom]
