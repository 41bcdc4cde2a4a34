"""What a command says: lines to read on stdout, or with `--json` one object in their place."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

__all__ = ["give_result", "is_wordy", "say", "set_up_warnings", "tell_error"]


def is_wordy(options: argparse.Namespace) -> bool:
    """Whether lines are wanted that are for reading."""
    return not (options.quiet or options.json)


def say(options: argparse.Namespace, text: str) -> None:
    """Tell a line to people, unless only JSON is wanted."""
    if is_wordy(options):
        print(text, flush=True)


def give_result(options: argparse.Namespace, text: str, **facts: Any) -> None:
    """Print what came out: a line to read, or with `--json` the facts as one object.

    Args:
        options: Of the command line.
        text: The line; "" for none.
        **facts: What JSON can hold; paths become texts.
    """
    if options.json:
        print(json.dumps(facts, default=str), flush=True)
    elif text:
        say(options, text)


def tell_error(options: argparse.Namespace, line: str, kind: str, code: int) -> None:
    """Print what went wrong on stderr, with `--json` as an object on stdout besides."""
    print(f"maskgrid: {line}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({"error": line, "kind": kind, "exit_code": code}), flush=True)


def set_up_warnings(options: argparse.Namespace) -> None:
    """Have maskgrid's warnings printed in a line each, with `--verbose` what it logs, and nobody else's."""
    from maskgrid.cli.error_words import name_flags
    from maskgrid.errors import MaskGridWarning

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        line, _flag = name_flags(str(message), options)
        print(f"maskgrid: warning: {line}", file=sys.stderr, flush=True)

    warnings.simplefilter("ignore")
    warnings.simplefilter("default", MaskGridWarning)
    warnings.showwarning = show  # type: ignore[assignment]
    if options.verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger = logging.getLogger("maskgrid")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
