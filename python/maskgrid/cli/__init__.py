"""The command line `maskgrid`: reads arguments, calls the package, says what happened.

Nothing heavy is imported before a command needs it. Exit codes: 0 fine, 1 an error, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from maskgrid.cli.parser import make_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

FINE, ERROR, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; default those of the process.

    Returns:
        The exit code. Wrong usage and `--help` end the program themselves, with 2 and 0.
    """
    options = make_parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough of it; Python must not fail again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except KeyboardInterrupt as stop:
        _complain(stop, "interrupted; nothing was written", debug=options.debug)
        return INTERRUPTED
    except Exception as error:
        _complain(error, _in_one_line(error), debug=options.debug)
        return ERROR
    return code


def _complain(error: BaseException, line: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    print(f"maskgrid: {line}", file=sys.stderr)


def _in_one_line(error: Exception) -> str:
    from maskgrid.errors import MaskGridError, in_one_line

    if isinstance(error, MaskGridError):
        return "error: " + " ".join(str(error).split())
    # Others' messages say little without the kind of error.
    return f"error: {type(error).__name__}: {in_one_line(error)}"
