"""Nodes for pictures: stencils, forks pasted over the original, a preview of the grid, a contact sheet."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from maskgrid.hosts.comfyui import fork_options, pictures

from .sampler_nodes import CATEGORY

__all__ = ["NODES"]


def _sides() -> list[io.Input]:
    return [
        io.Int.Input("rows", default=1, min=1, max=16, tooltip="Rows of cells in the sheet."),
        io.Int.Input("columns", default=3, min=1, max=16, tooltip="Columns of cells in the sheet."),
    ]


def _pixels(name: str, text: str) -> io.Input:
    return io.Float.Input(name, default=0.0, min=0.0, max=512.0, step=0.5, tooltip=text)


def _stencil(**more: Any) -> io.Input:
    tip = "The stencil, as large as one cell; an image or a mask."
    return io.MultiType.Input("mask", [io.Image, io.Mask], tooltip=tip, **more)


def _schema(node_id: str, name: str, text: str, **more: Any) -> io.Schema:
    return io.Schema(node_id=node_id, display_name=name, category=CATEGORY, description=text, **more)


class MaskGridPrepareStencil(io.ComfyNode):
    """ComfyUI node: a stencil prepared for a picture's cells."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridPrepareStencil."""
        return _schema(
            "MaskGridPrepareStencil",
            "Prepare Stencil",
            "Makes a stencil hard, inverts, fills, grows, shrinks and feathers it, in this order.",
            search_aliases=["mask grow", "feather mask", "threshold mask", "fill holes"],
            inputs=[
                _stencil(),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1 where the stencil is at least this; 0 leaves it soft.",
                ),
                io.Boolean.Input("invert", default=False, tooltip="Exchange black and white."),
                io.Boolean.Input("fill_holes", default=False, tooltip="Fill what is enclosed."),
                _pixels("grow", "Pixels to grow by."),
                _pixels("shrink", "Pixels to shrink by."),
                _pixels("feather", "Pixels inside the edge over which it rises from 0 to 1."),
            ],
            outputs=[io.Image.Output("stencil"), io.Mask.Output("mask")],
        )

    @classmethod
    def execute(cls, mask: Any, threshold: float, **steps: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridPrepareStencil."""
        return io.NodeOutput(*pictures.prepare_stencil(mask, threshold=threshold or None, **steps))


class MaskGridPasteForks(io.ComfyNode):
    """Forks whose pixels outside the stencil are the sheet's own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridPasteForks."""
        return _schema(
            "MaskGridPasteForks",
            "Paste Forks",
            "Lays decoded forks over the sheet that was encoded, through the stencil: the VAE shifts every "
            "pixel, "
            "so that only what is new is taken from it.",
            search_aliases=["composite", "restore pixels", "stitch inpaint"],
            inputs=[
                io.Image.Input("forks", tooltip="The forks after VAE Decode."),
                io.Image.Input("sheet", tooltip="The picture before VAE Encode."),
                _stencil(),
                *_sides(),
                io.String.Input(
                    "cells", default="", optional=True, tooltip="The sampler's cells; empty for all of them."
                ),
                io.Float.Input(
                    "feather",
                    default=0.0,
                    min=0.0,
                    max=512.0,
                    step=0.5,
                    optional=True,
                    tooltip="Pixels inside a hard stencil's edge over which old and new mix.",
                ),
            ],
            outputs=[io.Image.Output("forks_pasted", display_name="forks"), io.Image.Output("merged")],
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridPasteForks."""
        return io.NodeOutput(*pictures.paste_forks(**given))


class MaskGridPreview(io.ComfyNode):
    """Grid, stencil and noise mask over the sheet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridPreview."""
        return _schema(
            "MaskGridPreview",
            "Grid Preview",
            "Shows the grid, the stencil, what the model sees of it and what gets lost, before anything is "
            "sampled.",
            search_aliases=["mask preview", "plan"],
            inputs=[
                io.Image.Input("sheet"),
                _stencil(),
                *_sides(),
                io.Combo.Input(
                    "coverage",
                    options=list(fork_options.COVERAGES),
                    default=fork_options.COVERAGES[0],
                    tooltip="As in MaskGrid Sampler.",
                ),
                io.Int.Input(
                    "stride",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="Pixels per latent cell: 8 for most models, 16 for Flux.2 and Wan 2.2, 32 for "
                    "LTX.",
                ),
            ],
            outputs=[io.Image.Output("preview")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridPreview."""
        picture = pictures.preview_grid(**given)
        return io.NodeOutput(picture, ui=ui.PreviewImage(picture, cls=cls))


class MaskGridContactSheet(io.ComfyNode):
    """Before, stencil and after side by side."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs of the ComfyUI node MaskGridContactSheet."""
        return _schema(
            "MaskGridContactSheet",
            "Contact Sheet",
            "Before, stencil and after side by side, with the numbers of rows and columns.",
            search_aliases=["compare", "image grid"],
            inputs=[
                io.Image.Input("before", tooltip="The sheet."),
                io.Image.Input("after", tooltip="The merged sheet, or the forks."),
                *_sides(),
                _stencil(optional=True),
            ],
            outputs=[io.Image.Output("picture")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, before: Any, after: Any, rows: int, columns: int, mask: Any = None) -> io.NodeOutput:
        """Run the ComfyUI node MaskGridContactSheet."""
        picture = pictures.compare_sheets(before, after, mask, rows, columns)
        return io.NodeOutput(picture, ui=ui.PreviewImage(picture, cls=cls))


NODES: list[type[io.ComfyNode]] = [
    MaskGridPrepareStencil,
    MaskGridPasteForks,
    MaskGridPreview,
    MaskGridContactSheet,
]
