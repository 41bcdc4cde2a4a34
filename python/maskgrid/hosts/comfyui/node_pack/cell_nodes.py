"""Nodes for cells: sheets made of one cell, cut into cells, and merged from forks."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from maskgrid.hosts.comfyui import cells

from .sampler_nodes import CATEGORY

__all__ = ["NODES"]

_PICKS = (
    "Which fork each cell is taken from, row by row: numbers from 0, - for the original's cell, such as 0 3 "
    "- 1. "
    "Empty for fork i in cell i."
)


def _sides() -> list[io.Input]:
    return [
        io.Int.Input("rows", default=1, min=1, max=16, tooltip="Rows of cells in the sheet."),
        io.Int.Input("columns", default=3, min=1, max=16, tooltip="Columns of cells in the sheet."),
    ]


def _schema(node_id: str, name: str, text: str, **more: Any) -> io.Schema:
    return io.Schema(node_id=node_id, display_name=name, category=CATEGORY, description=text, **more)


class MaskGridRepeatLatent(io.ComfyNode):
    """ComfyUI node: a latent tiled into the cells of a sheet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridRepeatLatent."""
        return _schema(
            "MaskGridRepeatLatent",
            "Repeat Latent Into Sheet",
            "Tiles a latent, and its noise mask, into rows and columns.",
            search_aliases=["tile latent", "Repeat Into Grid"],
            inputs=[io.Latent.Input("samples"), *_sides()],
            outputs=[io.Latent.Output()],
        )

    @classmethod
    def execute(cls, samples: dict[str, Any], rows: int, columns: int) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridRepeatLatent."""
        return io.NodeOutput(cells.repeat_latent(samples, rows, columns))


class MaskGridRepeatImage(io.ComfyNode):
    """ComfyUI node: an image tiled into the cells of a sheet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridRepeatImage."""
        return _schema(
            "MaskGridRepeatImage",
            "Repeat Image Into Sheet",
            "Tiles an image into rows and columns: one character becomes a sheet of the same character.",
            search_aliases=["tile image", "Repeat Into Grid"],
            inputs=[io.Image.Input("image"), *_sides()],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: Any, rows: int, columns: int) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridRepeatImage."""
        return io.NodeOutput(cells.repeat_image(image, rows, columns))


class MaskGridSplitGrid(io.ComfyNode):
    """ComfyUI node: the cells of a sheet as a batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridSplitGrid."""
        pixels = [
            io.Int.Input(name, default=0, min=0, max=4096, optional=True, tooltip=f"Pixels {where}.")
            for name, where in (("gap", "between cells"), ("margin", "around the cells"))
        ]
        return _schema(
            "MaskGridSplitGrid",
            "Split Grid",
            "Cuts a sheet into its cells, which come out as a batch, row by row.",
            search_aliases=["ungrid", "UnGridify", "slice sprites", "cut sheet"],
            inputs=[io.Image.Input("image"), *_sides(), *pixels],
            outputs=[io.Image.Output("cells")],
        )

    @classmethod
    def execute(cls, image: Any, rows: int, columns: int, gap: int = 0, margin: int = 0) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridSplitGrid."""
        return io.NodeOutput(cells.split_image(image, rows, columns, gap=gap, margin=margin))


class MaskGridMergeForksLatent(io.ComfyNode):
    """A latent with a picked fork in each cell."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridMergeForksLatent."""
        return _schema(
            "MaskGridMergeForksLatent",
            "Merge Forks (latent)",
            "One sheet with a fork of your choice in each cell.",
            search_aliases=["pick cells", "Merge Latent Batch Gridwise"],
            inputs=[
                io.Latent.Input("forks", tooltip="The forks of one sampler, or a batch of those of several."),
                *_sides(),
                io.String.Input("picks", default="", optional=True, tooltip=_PICKS),
                io.Latent.Input(
                    "original", optional=True, tooltip="What cells without a pick are taken from."
                ),
            ],
            outputs=[io.Latent.Output("merged")],
        )

    @classmethod
    def execute(cls, forks: dict[str, Any], rows: int, columns: int, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridMergeForksLatent."""
        return io.NodeOutput(cells.merge_latents(forks, rows, columns, **given))


class MaskGridMergeForksImage(io.ComfyNode):
    """An image with a picked fork in each cell."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridMergeForksImage."""
        return _schema(
            "MaskGridMergeForksImage",
            "Merge Forks (image)",
            "One sheet with a fork of your choice in each cell.",
            search_aliases=["pick cells", "choose best", "Merge Latent Batch Gridwise"],
            inputs=[
                io.Image.Input("forks", tooltip="Decoded forks, best from Paste Forks."),
                *_sides(),
                io.String.Input("picks", default="", optional=True, tooltip=_PICKS),
                io.Image.Input(
                    "original", optional=True, tooltip="What cells without a pick are taken from."
                ),
            ],
            outputs=[io.Image.Output("merged")],
        )

    @classmethod
    def execute(cls, forks: Any, rows: int, columns: int, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridMergeForksImage."""
        return io.NodeOutput(cells.merge_images(forks, rows, columns, **given))


class MaskGridJoinLatents(io.ComfyNode):
    """ComfyUI node: a batch of latents as the cells of one sheet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridJoinLatents."""
        columns = io.Int.Input(
            "columns", default=0, min=0, max=64, optional=True, tooltip="In a row; 0 for a square, or nearly."
        )
        return _schema(
            "MaskGridJoinLatents",
            "Join Latents Into Sheet",
            "Lays the latents of a batch side by side in one latent.",
            search_aliases=["latent grid", "FlatLatentsIntoSingleGrid"],
            inputs=[io.Latent.Input("samples"), columns],
            outputs=[io.Latent.Output("sheet")],
        )

    @classmethod
    def execute(cls, samples: dict[str, Any], columns: int = 0) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridJoinLatents."""
        return io.NodeOutput(cells.join_latents(samples, columns))


NODES: list[type[io.ComfyNode]] = [
    MaskGridRepeatLatent,
    MaskGridRepeatImage,
    MaskGridSplitGrid,
    MaskGridMergeForksLatent,
    MaskGridMergeForksImage,
    MaskGridJoinLatents,
]
