"""The command line `maskgrid`: reads arguments, calls the package, says what happened.

Nothing heavy is imported before a command needs it. Exit codes: 0 fine, 1 an error, 2 wrong usage, 128 and
the number of a signal that ended it: 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import TYPE_CHECKING

from maskgrid.cli.config_file import parse_options
from maskgrid.cli.obey_signals import exit_code, obey_signals
from maskgrid.cli.steady_stream import SteadyStream
from maskgrid.cli.tell import set_up_warnings, tell_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]

ERROR, USAGE = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of the command line `maskgrid`.

    Args:
        argv: The arguments; default those of the process.

    Returns:
        The exit code. Wrong usage and `--help` end the program themselves, with 2 and 0.
    """
    out, err = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            return _parse_and_run(argv)
        finally:
            out.flush()
            err.flush()


def _parse_and_run(argv: Sequence[str] | None) -> int:
    try:
        options = parse_options(argv)
    except ModuleNotFoundError as error:
        # Names of samplers are known to what needs torch.
        from maskgrid.cli.error_words import name_missing

        missing = name_missing(error)
        if missing is None:
            raise
        print(f"maskgrid: error: {missing}", file=sys.stderr, flush=True)
        return ERROR
    return _run(options)


def _run(options: argparse.Namespace) -> int:
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
        from maskgrid.cli.error_words import describe_error

        _trace(error, options)
        line, is_usage = describe_error(error, options)
        code = USAGE if is_usage else ERROR
        tell_error(options, f"error: {line}", type(error).__name__, code)
        return code


def _trace(error: BaseException, options: argparse.Namespace) -> None:
    if options.debug:
        traceback.print_exception(error)
