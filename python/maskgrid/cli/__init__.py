"""The command line `maskgrid`: reads arguments, calls the package, says what happened.

Nothing heavy is imported before a command needs it. Exit codes: 0 fine, 1 an error, 2 wrong usage, 128 and
the number of a signal that ended it: 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from typing import TYPE_CHECKING

from maskgrid.cli.obey_signals import exit_code, obey_signals
from maskgrid.cli.parser import make_parser
from maskgrid.cli.steady_stream import SteadyStream
from maskgrid.cli.tell import set_up_warnings, tell_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]

ERROR, USAGE = 1, 2
_FILES = ("image", "mask", "manifest", "folder", "control_image", "reference_image")
"""Options whose value is a file: what is wrong with what it holds is no wrong usage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; default those of the process.

    Returns:
        The exit code. Wrong usage and `--help` end the program themselves, with 2 and 0.
    """
    out, err = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            options = make_parser().parse_args(argv)
            return _run(options)
        finally:
            out.flush()
            err.flush()


def _run(options: argparse.Namespace) -> int:
    from maskgrid.errors import InvalidTypeError, InvalidValueError

    try:
        with obey_signals():
            set_up_warnings(options)
            code: int = options.run(options)
            return code
    except KeyboardInterrupt as stop:
        _trace(stop, options)
        code = exit_code(stop)
        tell_error(options, "interrupted; nothing was written", "Interrupted", code)
        return code
    except Exception as error:
        _trace(error, options)
        line, is_of_option = _name_flags(_in_one_line(error), options)
        is_usage = is_of_option and isinstance(error, (InvalidValueError, InvalidTypeError))
        code = USAGE if is_usage else ERROR
        tell_error(options, f"error: {line}", type(error).__name__, code)
        return code


def _trace(error: BaseException, options: argparse.Namespace) -> None:
    if options.debug:
        traceback.print_exception(error)


def _in_one_line(error: Exception) -> str:
    from maskgrid.errors import MaskGridError, in_one_line

    if isinstance(error, MaskGridError):
        return " ".join(str(error).split())
    # Others' messages say little without the kind of error.
    return f"{type(error).__name__}: {in_one_line(error)}"


def _name_flags(line: str, options: argparse.Namespace) -> tuple[str, bool]:
    """An error in the words of the command line: --fork-at where Python has fork_at.

    Returns:
        The line, and whether it begins with an option that is no file: what was typed is wrong, then.
    """
    flags = {
        action.dest: action.option_strings[-1]
        for action in options.parser._actions
        if action.option_strings and action.dest != "help"
    }
    first = re.match(r"\w+", line)
    begins = first[0] if first and first[0] in flags else None
    names = [name for name in flags if "_" in name or name == begins]
    for name in names:
        where = rf"^{name}\b" if "_" not in name else rf"(?<![\w-]){name}\b(?!=)"
        line = re.sub(where, flags[name], line)
    return line, begins is not None and begins not in _FILES
