"""The ids of comfyui_bmad_nodes, for workflows that were made with it: same inputs, outputs and results."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyAPI, io

from maskgrid.hosts.comfyui import cells

from .sampler_nodes import CATEGORY, control_inputs, grid_inputs, run

__all__ = ["NODES", "register_replacements"]

_OLD = f"{CATEGORY}/old workflows"
_SAMPLER = "MaskGrid N KSamplers Advanced"


def _side(name: str) -> io.Input:
    return io.Int.Input(name, default=3, min=1, max=8, step=1)


def _schema(node_id: str, inputs: list[io.Input], output: io.Output, instead: str) -> io.Schema:
    return io.Schema(
        node_id=node_id,
        display_name=node_id,
        category=_OLD,
        description=f"Kept for old workflows; new ones have {instead}.",
        inputs=inputs,
        outputs=[output],
        is_deprecated=True,
    )


class MaskGridNKSamplersAdvanced(io.ComfyNode):
    """MaskGrid Sampler under its old name, with its old inputs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridNKSamplersAdvanced."""
        return _schema(_SAMPLER, [*control_inputs(), *grid_inputs()], io.Latent.Output(), "MaskGrid Sampler")

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Sample the forks; leftover noise comes out as it did."""
        return io.NodeOutput(run({**given, "compat": True})[0])


class RepeatIntoGridLatent(io.ComfyNode):
    """The original pack's node, by its old id: a latent tiled into a grid."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node RepeatIntoGridLatent."""
        inputs = [io.Latent.Input("samples"), _side("columns"), _side("rows")]
        return _schema("Repeat Into Grid (latent)", inputs, io.Latent.Output(), "Repeat Latent Into Sheet")

    @classmethod
    def execute(cls, samples: dict[str, Any], columns: int, rows: int) -> io.NodeOutput:
        """Run the ComfyUI node RepeatIntoGridLatent."""
        return io.NodeOutput(cells.repeat_latent(samples, rows, columns))


class RepeatIntoGridImage(io.ComfyNode):
    """The original pack's node, by its old id: an image tiled into a grid."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node RepeatIntoGridImage."""
        inputs = [io.Image.Input("image"), _side("columns"), _side("rows")]
        return _schema("Repeat Into Grid (image)", inputs, io.Image.Output(), "Repeat Image Into Sheet")

    @classmethod
    def execute(cls, image: Any, columns: int, rows: int) -> io.NodeOutput:
        """Run the ComfyUI node RepeatIntoGridImage."""
        return io.NodeOutput(cells.repeat_image(image, rows, columns))


class UnGridImage(io.ComfyNode):
    """The original pack's node, by its old id: an image cut into a list of cells."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node UnGridImage."""
        inputs = [io.Image.Input("image"), _side("columns"), _side("rows")]
        output = io.Image.Output(is_output_list=True)
        return _schema("UnGridify (image)", inputs, output, "Split Grid")

    @classmethod
    def execute(cls, image: Any, columns: int, rows: int) -> io.NodeOutput:
        """Run the ComfyUI node UnGridImage."""
        return io.NodeOutput(cells.cut_image(image, rows, columns))


class MergeLatentsBatchGridwise(io.ComfyNode):
    """Forks merged: each cell from the fork that has it new."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MergeLatentsBatchGridwise."""
        sides = [io.Int.Input(name, default=1, min=1, max=16) for name in ("rows", "columns")]
        inputs = [io.Latent.Input("batch"), io.Image.Input("mask"), *sides]
        return _schema("Merge Latent Batch Gridwise", inputs, io.Latent.Output(), "Merge Forks (latent)")

    @classmethod
    def execute(cls, batch: dict[str, Any], mask: Any, rows: int, columns: int) -> io.NodeOutput:
        """Run the ComfyUI node MergeLatentsBatchGridwise."""
        return io.NodeOutput(cells.merge_latents(batch, rows, columns, cell=mask.shape[1:3]))


class FlatLatentsIntoSingleGrid(io.ComfyNode):
    """The latents of a batch side by side in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node FlatLatentsIntoSingleGrid."""
        inputs = [io.Latent.Input("latents")]
        return _schema("FlatLatentsIntoSingleGrid", inputs, io.Latent.Output(), "Join Latents Into Sheet")

    @classmethod
    def execute(cls, latents: dict[str, Any]) -> io.NodeOutput:
        """Run the ComfyUI node FlatLatentsIntoSingleGrid."""
        return io.NodeOutput(cells.join_latents(latents))


NODES: list[type[io.ComfyNode]] = [
    MaskGridNKSamplersAdvanced,
    RepeatIntoGridLatent,
    RepeatIntoGridImage,
    UnGridImage,
    MergeLatentsBatchGridwise,
    FlatLatentsIntoSingleGrid,
]


async def register_replacements() -> None:
    """Say which new node stands for which old one, and where the values of an old workflow go."""
    register = ComfyAPI().node_replacement.register
    for old, new, inputs, widgets in _REPLACEMENTS:
        await register(
            io.NodeReplace(
                old_node_id=old,
                new_node_id=new,
                old_widget_ids=widgets,
                input_mapping=[{"new_id": name_now, "old_id": name} for name, name_now in inputs.items()],
                output_mapping=[{"new_idx": 0, "old_idx": 0}],
            )
        )


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_SAMPLER_INPUTS = (
    *(
        "model",
        "add_noise",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "positive",
        "negative",
    ),
    *(
        "latent_image",
        "start_at_step",
        "end_at_step",
        "return_with_leftover_noise",
        "mask",
        "rows",
        "columns",
    ),
    "mode",
)
# The page keeps what happens to the seed afterwards among the values.
_SAMPLER_WIDGETS = [
    *("add_noise", "noise_seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler"),
    *("start_at_step", "end_at_step", "return_with_leftover_noise", "rows", "columns", "mode"),
]
_SIDES = ["columns", "rows"]
_REPLACEMENTS: list[tuple[str, str, dict[str, str], list[str]]] = [
    (_SAMPLER, "MaskGridSampler", _same(*_SAMPLER_INPUTS), _SAMPLER_WIDGETS),
    ("Repeat Into Grid (latent)", "MaskGridRepeatLatent", _same("samples", *_SIDES), _SIDES),
    ("Repeat Into Grid (image)", "MaskGridRepeatImage", _same("image", *_SIDES), _SIDES),
    ("UnGridify (image)", "MaskGridSplitGrid", _same("image", *_SIDES), _SIDES),
    (
        "Merge Latent Batch Gridwise",
        "MaskGridMergeForksLatent",
        {"batch": "forks", "rows": "rows", "columns": "columns"},
        ["rows", "columns"],
    ),
    ("FlatLatentsIntoSingleGrid", "MaskGridJoinLatents", {"latents": "samples"}, []),
]
