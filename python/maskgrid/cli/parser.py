"""The arguments of all commands. Imports next to nothing, so that `--help` is quick."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from maskgrid._native import __version__
from maskgrid.cli.option_groups import (
    add_alpha,
    add_cells,
    add_controls,
    add_detect,
    add_file_output,
    add_folder_output,
    add_grid,
    add_inputs,
    add_loading,
    add_machine,
    add_reading,
    add_running,
    add_sharing,
    add_zoom,
)
from maskgrid.cli.option_types import (
    COVERAGES,
    MODES,
    cell_and_fork,
    count,
    fork_number,
    number,
    position,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CommandParser", "make_parser"]

_EPILOG = """\
exit codes: 0 fine, 1 an error, 2 wrong usage, 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM
`maskgrid COMMAND --help` lists what a command takes."""


class CommandParser(argparse.ArgumentParser):
    """Says in one line what is wrong, with `--json` as an object on stdout besides."""

    as_json = False
    where = ""
    """What stands before a message, where not what was typed is wrong but a file."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse; remembers whether errors are to be told as JSON."""
        self.as_json = "--json" in (sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end the program with 2."""
        if self.as_json:
            print(json.dumps({"error": self.where + message, "kind": "Usage", "exit_code": 2}), flush=True)
        self.exit(2, f"{self.prog}: error: {self.where}{message} (see {self.prog} --help)\n")


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
    parser = CommandParser(
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
    add_folder_output(parser, "out/demo")
    parser.add_argument(
        "--model", default="bundled", help="as for sample; the sheet is enlarged to what it was made for"
    )
    add_running(parser)
    sampling = parser.add_argument_group("sampling")
    parting = sampling.add_mutually_exclusive_group()
    parting.add_argument("--mode", default="fork", choices=MODES, help="see sample (default: %(default)s)")
    parting.add_argument(
        "--fork-at", type=int, metavar="STEP", help="where the forks part, in place of a mode"
    )
    sampling.add_argument("--steps", type=count, default=20, metavar="N", help="(default: %(default)s)")
    sampling.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def _sample(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser, required=False)
    add_detect(parser, "; refused where that is not sure")
    _add_sources(parser)
    add_folder_output(parser, "out/forks")
    add_running(parser)
    which = parser.add_argument_group("which cells, how many tries")
    add_cells(which)
    which.add_argument(
        "--variants",
        type=count,
        metavar="N",
        help="tries of each cell, the seed counted on from try to try (default: 1)",
    )
    add_zoom(parser.add_argument_group("small cells"))
    _add_words(parser.add_argument_group("what to draw"))
    add_controls(parser.add_argument_group("how to sample"))
    add_sharing(parser.add_argument_group("what forks share"))
    add_alpha(parser.add_argument_group("transparency"))
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


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """Add where settings come from, besides what is typed."""
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
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a .toml file with options by name, paths relative to it; what is typed goes before it",
    )


def _add_words(words: Any) -> None:
    """Add what to draw: texts, pictures to go by, the model."""
    drawn = words.add_mutually_exclusive_group()
    drawn.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="what to draw; given once for each cell, each has its own",
    )
    drawn.add_argument(
        "--prompts",
        metavar="FILE",
        help="a prompt for each cell, from a .txt, .csv or .json file, see docs/command-line.md",
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
    add_machine(parser)
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
    add_inputs(parser, required=True)
    add_detect(parser, "; without --mask that is all")
    add_cells(parser)
    add_zoom(parser)
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
    add_file_output(parser, required=False)


def _mask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mask", help="a picture; white may change")
    add_reading(parser)
    add_file_output(parser, required=True)
    steps = parser.add_argument_group("what to do, in this order")
    steps.add_argument(
        "--cell", type=position, metavar="ROW,COLUMN", help="cut this cell out of a whole sheet"
    )
    add_grid(steps)
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
    add_file_output(parser, required=True)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="bundled", help="as for sample (default: %(default)s)")
    add_loading(parser)


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
