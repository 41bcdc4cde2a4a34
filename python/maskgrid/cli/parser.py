"""The arguments of all commands. Imports next to nothing, so that `--help` is quick."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from maskgrid._native import __version__
from maskgrid.cli.option_types import (
    COVERAGES,
    MODES,
    cell_and_fork,
    count,
    fork_number,
    number,
    numbers_pair,
    pixels_or_share,
    position,
    sampler_name,
    schedule_name,
    seeds,
    share,
    zoom_factor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_parser"]

_EPILOG = """\
exit codes: 0 fine, 1 an error, 2 wrong usage, 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM
`maskgrid COMMAND --help` lists what a command takes."""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, with `--json` as an object on stdout besides."""

    as_json = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.as_json = "--json" in (sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if self.as_json:
            print(json.dumps({"error": message, "kind": "Usage", "exit_code": 2}), flush=True)
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class _PrintCompletion(argparse.Action):
    """Prints the completion for a shell, made by shtab from the parser itself."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, *_: Any) -> None:
        try:
            import shtab
        except ImportError:
            parser.error(
                '--print-completion needs shtab; install it with: pip install "maskgrid[completion]"'
            )
        print(shtab.complete(parser, values))
        parser.exit(0)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; the options have `run`, which carries the command out."""
    parser = _Parser(
        prog="maskgrid",
        description="Variations of a sheet: a diffusion model redraws one cell at a time, everything else "
        "stays bit for bit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"maskgrid {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh", "tcsh"),
        help="print what a shell completes commands and options by, to be sourced",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _demo(_command(commands, "demo", "redraw a small sheet with the bundled model or another one"))
    _sample(_command(commands, "sample", "make the forks of a sheet"))
    _batch(_command(commands, "batch", "make the forks of every row of a table, each row exactly once"))
    _plan(_command(commands, "plan", "show grid, stencil and windows, in numbers and drawn over the sheet"))
    _mask(_command(commands, "mask", "prepare a stencil"))
    _merge(_command(commands, "merge", "put chosen cells of saved forks into one sheet"))
    _check(_command(commands, "check", "test whether a model can be trusted with the job"))
    _command(commands, "info", "print versions, devices, model families and threads")
    _bench(_command(commands, "bench", "measure the geometry against the plain way"))
    _comfyui(_command(commands, "comfyui", "put the nodes into a ComfyUI"))
    return parser


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    talk = parser.add_argument_group("what it says")
    much = talk.add_mutually_exclusive_group()
    much.add_argument("-q", "--quiet", action="store_true", help="only warnings and errors")
    much.add_argument("-v", "--verbose", action="store_true", help="besides, what is done and for how long")
    talk.add_argument("--json", action="store_true", help="what came out as one JSON object on stdout")
    talk.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_later(name), parser=parser)
    return parser


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """The function `run` of the module of this command, imported when it is called."""

    def run(options: argparse.Namespace) -> int:
        code: int = import_module(f"maskgrid.cli.{name}").run(options)
        return code

    return run


def _demo(parser: argparse.ArgumentParser) -> None:
    _outputs(parser, "out/demo")
    parser.add_argument(
        "--model", default="bundled", help="as for sample; the sheet is enlarged to what it was made for"
    )
    _running(parser)
    sampling = parser.add_argument_group("sampling")
    parting = sampling.add_mutually_exclusive_group()
    parting.add_argument("--mode", default="fork", choices=MODES, help="see sample (default: %(default)s)")
    parting.add_argument(
        "--fork-at", type=int, metavar="STEP", help="where the forks part, in place of a mode"
    )
    sampling.add_argument("--steps", type=count, default=20, metavar="N", help="(default: %(default)s)")
    sampling.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def _sample(parser: argparse.ArgumentParser) -> None:
    _inputs(parser, required=False)
    _detect(parser, "; refused where that is not sure")
    parser.add_argument(
        "--from",
        dest="manifest",
        metavar="MANIFEST",
        help="make the pictures of a manifest again; other options replace its values",
    )
    parser.add_argument(
        "--from-fork",
        type=fork_number,
        metavar="FORK",
        help="with --from: go on from this fork of the folder, which is the sheet then, with its own cell",
    )
    _outputs(parser, "out/forks")
    _running(parser)
    which = parser.add_argument_group("which cells, how many tries")
    _cells(which)
    which.add_argument(
        "--variants",
        type=count,
        metavar="N",
        help="tries of each cell, the seed counted on from try to try (default: 1)",
    )
    _zoom(parser.add_argument_group("small cells"))
    words = parser.add_argument_group("what to draw")
    words.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="what to draw; given once for each cell, each has its own",
    )
    words.add_argument(
        "--negative-prompt", action="append", metavar="TEXT", help="what not to draw; likewise"
    )
    for option, text in (
        ("--control-image", "for a model with a ControlNet, as large as the sheet; once for each ControlNet"),
        ("--reference-image", "what Flux.2 is to go by, of any size; may be given several times"),
    ):
        words.add_argument(option, action="append", metavar="FILE", type=os.path.abspath, help=text)
    words.add_argument("--cfg", type=float, help="guidance scale (default: the pipeline's)")
    words.add_argument(
        "--model", help="bundled (the default), a folder, a hub id like owner/name, or a .safetensors file"
    )
    _controls(parser.add_argument_group("how to sample"))
    _sharing(parser.add_argument_group("what forks share"))
    edges = parser.add_argument_group("the stencil's edge")
    edges.add_argument(
        "--feather",
        type=number,
        metavar="PIXELS",
        help="over how much old and new mix inside a hard edge (default: the model's stride)",
    )
    edges.add_argument(
        "--coverage", choices=COVERAGES, help="how pixels become latent cells (default: center)"
    )


def _controls(group: Any) -> None:
    """Names are those of `MaskGrid.__call__`; an option that is not given is None and is left to it."""
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
    _range_controls(group)
    _blend_controls(group)


def _range_controls(group: Any) -> None:
    """Which part of the schedule is walked."""
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


def _blend_controls(group: Any) -> None:
    """What a soft stencil means, and whose text the sheet has."""
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


def _batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="a .jsonl, .csv or .parquet file, or a folder of sheets with a default.json; or the word "
        "status, to be told how far the batch in --out is",
    )
    parser.add_argument(
        "--out", required=True, metavar="PLACE", help="a folder, or a URL that fsspec knows, such as s3://..."
    )
    parser.add_argument(
        "--default", metavar="FILE", help="JSON with what rows say that don't say otherwise, by column"
    )
    parser.add_argument("--model", help="of rows that name none: as for sample (default: bundled)")
    _machine(parser)
    parser.add_argument(
        "--retry-failed", action="store_true", help="do those again that failed in an earlier run"
    )
    parser.add_argument("--list", action="store_true", help="with status: where every row is")
    ray = parser.add_argument_group("many workers, with Ray")
    ray.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="on a Ray that is started here, or that is at ADDRESS, such as auto or host:6379",
    )
    ray.add_argument("--workers", type=count, metavar="N", help="(default: as many as there is room for)")
    ray.add_argument(
        "--gpus-per-worker", type=number, metavar="N", help="such as 0.5 (default: 1, 0 where there are none)"
    )


def _plan(parser: argparse.ArgumentParser) -> None:
    _inputs(parser, required=True)
    _detect(parser, "; without --mask that is all")
    _cells(parser)
    _zoom(parser)
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--model", default="bundled", help="as for sample: its pixels per latent cell (default: %(default)s)"
    )
    scale.add_argument("--stride", type=count, metavar="PIXELS", help="per latent cell, if not a model's")
    parser.add_argument(
        "--coverage", choices=COVERAGES, default="center", help="as for sample (default: %(default)s)"
    )
    parser.add_argument(
        "--halo",
        type=int,
        metavar="CELLS",
        help="draw the windows that `maskgrid.ForkPlan` gives with so many latent cells around each cell; "
        "sample reads the whole sheet",
    )
    parser.add_argument(
        "--align",
        type=count,
        default=1,
        metavar="CELLS",
        help="the unit of the sides of such windows",
    )
    parser.add_argument(
        "--feather", type=number, metavar="PIXELS", help="as for sample (default: the stride)"
    )
    _file_output(parser, required=False)


def _mask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mask", help="a picture; white may change")
    _reading(parser)
    _file_output(parser, required=True)
    steps = parser.add_argument_group("what to do, in this order")
    steps.add_argument(
        "--cell", type=position, metavar="ROW,COLUMN", help="cut this cell out of a whole sheet"
    )
    _grid(steps)
    steps.add_argument(
        "--threshold", type=share, metavar="LEVEL", help="make it hard: 1 from this value on, 0 to 1"
    )
    steps.add_argument("--invert", action="store_true", help="exchange black and white")
    steps.add_argument("--fill-holes", action="store_true", help="fill what is enclosed")
    steps.add_argument("--grow", type=number, default=0, metavar="PIXELS")
    steps.add_argument("--shrink", type=number, default=0, metavar="PIXELS")
    steps.add_argument("--feather", type=number, default=0, metavar="PIXELS", help="soften the edge, inwards")


def _merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="+", help="output folders of one sheet; forks are numbered through them all"
    )
    parser.add_argument(
        "--pick",
        nargs="+",
        type=cell_and_fork,
        metavar="FORK",
        help="numbers of forks, or ROW,COLUMN=FORK (default: all; a cell takes the last)",
    )
    _file_output(parser, required=True)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="bundled", help="as for sample (default: %(default)s)")
    _machine(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cell", type=count, default=256, help="pixels a side (default: %(default)s)")
    parser.add_argument("--rows", type=count, default=4, help="(default: %(default)s)")
    parser.add_argument("--columns", type=count, default=4, help="(default: %(default)s)")
    parser.add_argument(
        "--stride", type=count, default=8, help="pixels per latent cell (default: %(default)s)"
    )


def _comfyui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("install",), help="copy the node pack into custom_nodes")
    parser.add_argument("path", metavar="PATH", help="the folder of ComfyUI, 0.14.0 or newer")


def _detect(parser: argparse.ArgumentParser, more: str) -> None:
    parser.add_argument(
        "--detect",
        action="store_true",
        help=f"find rows, columns, gap and margin in the pixels, and say them and the runners-up{more}",
    )


def _cells(parser: Any) -> None:
    parser.add_argument(
        "--cells",
        nargs="+",
        type=position,
        metavar="ROW,COLUMN",
        help="only these, counted from 0; prompts may then be one for each of them (default: all)",
    )


def _zoom(parser: Any) -> None:
    """How large the model sees cells; not given is None, so that the package's defaults count."""
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


def _inputs(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--image", required=required, help="the sheet")
    parser.add_argument("--mask", help="the stencil, white may change: as large as a cell or as the sheet")
    _reading(parser)
    _grid(parser)


def _reading(parser: Any) -> None:
    """How pictures are read; the names are those of `maskgrid.pictures.mask_channel.CHANNELS`."""
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


def _grid(parser: Any) -> None:
    """Not given is None, so that a manifest's values or the package's defaults count."""
    parser.add_argument("--rows", type=count, metavar="N", help="rows of cells (default: 1)")
    parser.add_argument("--columns", type=count, metavar="N", help="columns of cells (default: 1)")
    parser.add_argument(
        "--gap", type=numbers_pair, metavar="PIXELS", help="between cells: one number, or HEIGHT,WIDTH"
    )
    parser.add_argument("--margin", type=numbers_pair, metavar="PIXELS", help="around the cells, likewise")


def _outputs(parser: argparse.ArgumentParser, folder: str) -> None:
    parser.add_argument("--out", default=folder, metavar="FOLDER", help="(default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace an output folder that is there")
    parser.add_argument(
        "--preview", action="store_true", help="write preview.png beside the folder as it goes"
    )


def _file_output(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--out", required=required, metavar="FILE", help="the picture to write: .png, .webp, .tif or .jpg"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _running(parser: argparse.ArgumentParser) -> None:
    _machine(parser)
    parser.add_argument(
        "--micro-batch", type=count, metavar="N", help="the most forks in one call (default: all)"
    )


def _sharing(group: Any) -> None:
    """What forks share in the network; see docs/speed.md."""
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


def _machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="such as cpu, cuda, mps (default: an accelerator if there is one)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="(default: float32 on the CPU, else what suits the model)",
    )
