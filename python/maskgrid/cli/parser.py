"""The arguments of all commands. Imports next to nothing, so that `--help` is quick."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from maskgrid._native import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_parser"]

_EPILOG = """\
exit codes: 0 fine, 1 an error, 2 wrong usage, 130 interrupted
`maskgrid COMMAND --help` lists what a command takes."""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


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
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _demo(_command(commands, "demo", "redraw a small sheet with the bundled model or another one"))
    _sample(_command(commands, "sample", "make the forks of a sheet"))
    _plan(_command(commands, "plan", "show grid, stencil and windows, in numbers and drawn over the sheet"))
    _mask(_command(commands, "mask", "prepare a stencil"))
    _merge(_command(commands, "merge", "put chosen cells of saved forks into one sheet"))
    _check(_command(commands, "check", "test whether a model can be trusted with the job"))
    _bench(_command(commands, "bench", "measure the geometry against the plain way"))
    _comfyui(_command(commands, "comfyui", "put the nodes into a ComfyUI"))
    return parser


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_later(name))
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
    sampling.add_argument("--mode", default="fork", help="sample or fork, see sample (default: %(default)s)")
    sampling.add_argument(
        "--fork-at", type=int, metavar="STEP", help="where the forks part, in place of a mode"
    )
    sampling.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    sampling.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def _sample(parser: argparse.ArgumentParser) -> None:
    _inputs(parser, required=False)
    parser.add_argument(
        "--from",
        dest="manifest",
        metavar="MANIFEST",
        help="make the pictures of a manifest again; other options replace its values",
    )
    _outputs(parser, "out/forks")
    _running(parser)
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
    edges = parser.add_argument_group("the stencil's edge")
    edges.add_argument(
        "--feather",
        type=float,
        metavar="PIXELS",
        help="over how much old and new mix inside a hard edge (default: the model's stride)",
    )
    edges.add_argument(
        "--coverage", help="how pixels become latent cells: center, nearest, area, max, min (default: center)"
    )


def _controls(group: Any) -> None:
    """Names are those of `MaskGrid.__call__`; an option that is not given is None and is left to it."""
    group.add_argument("--mode", help="sample: all cells together, then fork (the default); fork: each alone")
    group.add_argument(
        "--fork-at",
        type=int,
        metavar="STEP",
        help="sample together up to this step, then each alone; in place of a mode",
    )
    group.add_argument(
        "--sampler", help="such as euler, dpmpp_2m, uni_pc, see docs/samplers.md (default: euler)"
    )
    group.add_argument(
        "--scheduler",
        dest="schedule",
        metavar="NAME",
        help="such as normal, karras, simple, beta (default: normal)",
    )
    group.add_argument("--steps", type=int, help="(default: 20)")
    group.add_argument("--seed", type=int, help="of the noise (default: 0)")
    group.add_argument(
        "--fork-seeds",
        type=_seeds,
        metavar="SEEDS",
        help="same, increment, or one for each cell as 1,2,3 (default: same)",
    )
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


def _plan(parser: argparse.ArgumentParser) -> None:
    _inputs(parser, required=True)
    parser.add_argument("--stride", type=int, default=8, help="pixels per latent cell (default: %(default)s)")
    parser.add_argument("--coverage", default="center", help="as for sample (default: %(default)s)")
    parser.add_argument("--halo", type=int, default=0, help="latent cells a window reads around its cell")
    parser.add_argument("--align", type=int, default=1, help="what windows are multiples of, in latent cells")
    parser.add_argument("--feather", type=float, metavar="PIXELS", help="as for sample (default: the stride)")
    _file_output(parser, required=False)


def _mask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mask", help="a picture; white may change")
    _reading(parser)
    _file_output(parser, required=True)
    steps = parser.add_argument_group("what to do, in this order")
    steps.add_argument(
        "--cell", type=_position, metavar="ROW,COLUMN", help="cut this cell out of a whole sheet"
    )
    _grid(steps)
    steps.add_argument(
        "--threshold", type=float, metavar="LEVEL", help="make it hard: 1 from this value on, 0 to 1"
    )
    steps.add_argument("--invert", action="store_true", help="exchange black and white")
    steps.add_argument("--fill-holes", action="store_true", help="fill what is enclosed")
    steps.add_argument("--grow", type=float, default=0, metavar="PIXELS")
    steps.add_argument("--shrink", type=float, default=0, metavar="PIXELS")
    steps.add_argument("--feather", type=float, default=0, metavar="PIXELS", help="soften the edge, inwards")


def _merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="+", help="output folders of one sheet; forks are numbered through them all"
    )
    parser.add_argument(
        "--pick",
        nargs="+",
        type=_choice,
        metavar="FORK",
        help="numbers of forks, or ROW,COLUMN=FORK (default: all; a cell takes the last)",
    )
    _file_output(parser, required=True)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="bundled", help="as for sample (default: %(default)s)")
    _machine(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cell", type=int, default=256, help="pixels a side (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--columns", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--stride", type=int, default=8, help="pixels per latent cell (default: %(default)s)")


def _comfyui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("install",), help="copy the node pack into custom_nodes")
    parser.add_argument("path", metavar="PATH", help="the folder of ComfyUI, 0.14.0 or newer")


def _inputs(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--image", required=required, help="the sheet")
    parser.add_argument(
        "--mask", required=required, help="the stencil, white may change: as large as a cell or as the sheet"
    )
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
        type=int,
        metavar="N",
        help="decode files of up to so many pixels, for files that you trust (default: about 89 million)",
    )


def _grid(parser: Any) -> None:
    """Not given is None, so that a manifest's values or the package's defaults count."""
    parser.add_argument("--rows", type=int, help="rows of cells (default: 1)")
    parser.add_argument("--columns", type=int, help="columns of cells (default: 1)")
    parser.add_argument(
        "--gap", type=_pair, metavar="PIXELS", help="between cells: one number, or HEIGHT,WIDTH"
    )
    parser.add_argument("--margin", type=_pair, metavar="PIXELS", help="around the cells, likewise")


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
        "--micro-batch", type=int, metavar="N", help="the most forks in one call (default: all)"
    )


def _machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="such as cpu, cuda, mps (default: an accelerator if there is one)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="(default: float32 on the CPU, else what suits the model)",
    )


def _pair(text: str) -> int | tuple[int, int]:
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) > 2:
        raise ValueError(text)
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _position(text: str) -> tuple[int, int]:
    row, column = text.split(",")
    return int(row), int(column)


def _seeds(text: str) -> str | list[int]:
    return [int(part) for part in text.split(",")] if text[:1].isdigit() else text


def _choice(text: str) -> tuple[tuple[int, int] | None, int]:
    where, _, fork = text.rpartition("=")
    return (_position(where) if where else None), int(fork)


# argparse names these in its messages.
_pair.__name__, _position.__name__ = "number or HEIGHT,WIDTH", "ROW,COLUMN"
_seeds.__name__, _choice.__name__ = "list of seeds", "FORK or ROW,COLUMN=FORK"
