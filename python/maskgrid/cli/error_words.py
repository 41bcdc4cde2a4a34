"""Errors and warnings in the words of the command line: flags for Python's names, one line, a remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, in_one_line

if TYPE_CHECKING:
    import argparse

__all__ = ["describe_error", "name_flags", "name_missing"]

_FILES = ("image", "mask", "manifest", "folder", "control_image", "reference_image")
"""Options whose value is a file: what is wrong with what it holds is no wrong usage."""

_OF_DIFFUSERS = (
    *("torch", "diffusers", "transformers", "accelerate", "huggingface_hub", "safetensors"),
    *("scipy", "torchsde", "tqdm"),
)


def describe_error(error: Exception, options: argparse.Namespace) -> tuple[str, bool]:
    """An error in the words of the command line, in one line.

    Args:
        error: Whosever.
        options: Of the command that it ended.

    Returns:
        The line, and whether what was typed is wrong, not what a file holds.
    """
    if isinstance(error, ModuleNotFoundError) and (missing := name_missing(error)):
        return missing, False
    is_ours = isinstance(error, MaskGridError) or "does not exist; there are" in str(error)
    # Others' messages say little without the kind of error.
    line = " ".join(str(error).split()) if is_ours else f"{type(error).__name__}: {in_one_line(error)}"
    line, is_of_option = name_flags(line, options)
    return line, is_of_option and isinstance(error, (InvalidValueError, InvalidTypeError))


def name_missing(error: ModuleNotFoundError) -> str | None:
    """What to install for a package that is not there; None where no extra has it."""
    name = (error.name or "").partition(".")[0]
    if name in _OF_DIFFUSERS:
        return f'{name} is not installed; install what this needs with: pip install "maskgrid[diffusers]"'
    return None


def name_flags(line: str, options: argparse.Namespace) -> tuple[str, bool]:
    """A line in the words of the command line: --fork-at where Python has fork_at.

    Returns:
        The line, and whether it begins with an option that is no file.
    """
    actions = [a for a in options.parser._actions if a.option_strings and a.dest != "help"]
    flags = {action.dest: action.option_strings[-1] for action in actions}
    line = re.sub(r"\w+=\w+ \((--[\w-]+)\)", r"\1", line)
    line = re.sub(r"\w+ \((--[\w-]+)\)", r"\1", line)
    first = re.match(r"(--)?(\w[\w-]*)(?=[ :])", line)
    begins = None
    if first:
        name = first[2].replace("-", "_") if first[1] else first[2]
        begins = name if name in flags else None
    if begins and not (first and first[1]):
        line = flags[begins] + line[len(begins) :]
    for action in actions:
        name, flag = action.dest, action.option_strings[-1]
        if "_" in name:
            line = re.sub(rf"(?<![\w-]){name}\b(?!=)", flag, line)
        elif action.choices:
            line = re.sub(rf"(?<![\w-]){name}(?= ')", flag, line)
    # What else a pipeline takes has no flags.
    line = re.sub(r"(does not take --[\w-]+); allowed: .*", r"\1; allowed: a model that takes it", line)
    return line, begins is not None and begins not in _FILES
