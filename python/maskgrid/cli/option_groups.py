"""Groups of options that several commands have: sheet and grid, sampling, where it runs, where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.option_types import (
    MODES,
    background,
    count,
    numbers_pair,
    pixels_or_share,
    position,
    sampler_name,
    schedule_name,
    seeds,
    zoom_factor,
)

if TYPE_CHECKING:
    import argparse

__all__ = [
    "add_alpha",
    "add_cells",
    "add_controls",
    "add_detect",
    "add_file_output",
    "add_folder_output",
    "add_grid",
    "add_inputs",
    "add_machine",
    "add_reading",
    "add_running",
    "add_sharing",
    "add_zoom",
]


def add_controls(group: Any) -> None:
    """Add how to sample, by the names of `MaskGrid.__call__`; what is not given is None and left to it."""
    parting = group.add_mutually_exclusive_group()
    parting.add_argument(
        "--mode",
        choices=MODES,
        help="sample: all cells together, then fork (the default); fork: each alone",
    )
    parting.add_argument(
        "--fork-at",
        type=int,
        metavar="STEP",
        help="sample together up to this step, then each alone; in place of a mode",
    )
    group.add_argument(
        "--sampler",
        type=sampler_name,
        metavar="NAME",
        help="such as euler, dpmpp_2m, uni_pc, see docs/samplers.md (default: euler)",
    )
    group.add_argument(
        "--scheduler",
        dest="schedule",
        type=schedule_name,
        metavar="NAME",
        help="such as normal, karras, simple, beta (default: normal)",
    )
    group.add_argument("--steps", type=count, metavar="N", help="(default: 20)")
    group.add_argument("--seed", type=int, help="of the noise (default: 0)")
    group.add_argument(
        "--fork-seeds",
        type=seeds,
        metavar="SEEDS",
        help="same, increment, or one for each cell as 1,2,3 (default: same)",
    )
    _add_range_controls(group)
    _add_blend_controls(group)


def _add_range_controls(group: Any) -> None:
    """Add which part of the schedule is walked."""
    group.add_argument("--denoise", type=float, help="below 1 the run begins at lower noise (default: 1)")
    group.add_argument(
        "--start", dest="start_at_step", type=int, metavar="STEP", help="steps to leave out at first"
    )
    group.add_argument("--end", dest="end_at_step", type=int, metavar="STEP", help="the step to stop before")
    group.add_argument(
        "--leftover-noise",
        dest="return_with_leftover_noise",
        action="store_const",
        const=True,
        help="keep the noise of a run that stops early",
    )


def _add_blend_controls(group: Any) -> None:
    """Add what a soft stencil means, and whose text the sheet has."""
    group.add_argument(
        "--blend",
        choices=("lerp", "differential"),
        help="what a grey pixel of the stencil means: sampled partly at every step, or fully in the last "
        "ones (default: lerp)",
    )
    group.add_argument(
        "--sheet-conditioning",
        choices=("own", "cells"),
        help="what the sheet is told while the forks are together: one text, or each cell its own "
        "(default: own)",
    )


def add_alpha(group: Any) -> None:
    """Add what a model sees under a sheet's alpha, and what alpha new cells get."""
    group.add_argument(
        "--background",
        type=background,
        metavar="COLOUR",
        help="what the model sees under alpha: #00ff00, or auto for a colour far from the sheet's own "
        "(default: the colours beside what is hidden go on)",
    )
    group.add_argument(
        "--alpha",
        choices=("keep", "new"),
        help="of new cells: keep the sheet's, or new by keying against the background (default: keep)",
    )


def add_detect(parser: argparse.ArgumentParser, more: str) -> None:
    """Add `--detect`; `more` ends its help."""
    parser.add_argument(
        "--detect",
        action="store_true",
        help=f"find rows, columns, gap and margin in the pixels, and say them and the runners-up{more}",
    )


def add_cells(parser: Any) -> None:
    """Add which cells are meant."""
    parser.add_argument(
        "--cells",
        nargs="+",
        type=position,
        metavar="ROW,COLUMN",
        help="only these, counted from 0; prompts may then be one for each of them (default: all)",
    )


def add_zoom(parser: Any) -> None:
    """Add how large the model sees cells; not given is None, so that the package's defaults count."""
    parser.add_argument(
        "--zoom",
        type=zoom_factor,
        metavar="FACTOR",
        help="show each cell with its context so many times larger to the model, as a canvas of its own; "
        "auto brings it to the model's own size (default: the sheet as it is)",
    )
    parser.add_argument(
        "--context",
        type=pixels_or_share,
        metavar="SIZE",
        help="around a zoomed cell: whole pixels, or with a point a share of the cell (default: nothing "
        "where the stencil leaves a rim of the cell, else 0.25)",
    )
    parser.add_argument(
        "--zoom-filter", choices=("lanczos", "nearest"), help="nearest keeps pixel art (default: lanczos)"
    )


def add_inputs(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the sheet, the stencil and where the cells lie."""
    parser.add_argument("--image", required=required, help="the sheet")
    parser.add_argument("--mask", help="the stencil, white may change: as large as a cell or as the sheet")
    add_reading(parser)
    add_grid(parser)


def add_reading(parser: Any) -> None:
    """Add how pictures are read; the names are those of `maskgrid.pictures.mask_channel.CHANNELS`."""
    parser.add_argument(
        "--mask-channel",
        choices=("alpha", "luminance", "red"),
        help="which part of the mask's picture counts, where its brightness and its alpha both vary",
    )
    parser.add_argument(
        "--max-pixels",
        type=count,
        metavar="N",
        help="decode files of up to so many pixels, for files that you trust (default: about 89 million)",
    )


def add_grid(parser: Any) -> None:
    """Add where the cells lie; what is not given is None, so that a manifest's values or defaults count."""
    parser.add_argument("--rows", type=count, metavar="N", help="rows of cells (default: 1)")
    parser.add_argument("--columns", type=count, metavar="N", help="columns of cells (default: 1)")
    parser.add_argument(
        "--gap", type=numbers_pair, metavar="PIXELS", help="between cells: one number, or HEIGHT,WIDTH"
    )
    parser.add_argument("--margin", type=numbers_pair, metavar="PIXELS", help="around the cells, likewise")


def add_folder_output(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the output folder of a run."""
    parser.add_argument("--out", default=folder, metavar="FOLDER", help="(default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace an output folder that is there")
    parser.add_argument(
        "--preview", action="store_true", help="write preview.png beside the folder as it goes"
    )


def add_file_output(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the picture that a command writes."""
    parser.add_argument(
        "--out", required=required, metavar="FILE", help="the picture to write: .png, .webp, .tif or .jpg"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def add_running(parser: argparse.ArgumentParser) -> None:
    """Add where a run is made and how many forks in one call."""
    add_machine(parser)
    parser.add_argument(
        "--micro-batch", type=count, metavar="N", help="the most forks in one call (default: all)"
    )


def add_sharing(group: Any) -> None:
    """Add what forks share in the network; see docs/speed.md."""
    group.add_argument(
        "--sharing",
        choices=("base",),
        help="base: one pass over what all forks share, then each one's window alone (default: no sharing)",
    )
    group.add_argument(
        "--halo",
        type=float,
        metavar="SHARE",
        help="what a window has around its cell, as a share of it (default: 0.25)",
    )
    group.add_argument(
        "--base-prompt",
        choices=("own", "shared"),
        help="a shared pass for each prompt, or one with the mean of all (default: own)",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add where a model is loaded to and in which precision."""
    parser.add_argument("--device", help="such as cpu, cuda, mps (default: an accelerator if there is one)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="(default: float32 on the CPU, else what suits the model)",
    )
