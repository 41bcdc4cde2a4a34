"""`--config run.toml`: options of a command from a file, by their names here or in Python."""

from __future__ import annotations

import argparse
import difflib
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.cli.parser import make_parser
from maskgrid.errors import in_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskgrid.cli.parser import CommandParser

__all__ = ["parse_options"]

_FILES = frozenset({"image", "mask", "manifest", "prompts", "out", "control_image", "reference_image"})
"""Options that are paths, relative to the file they stand in."""
_NOT_IN_FILES = frozenset({"help", "config"})


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line, and those of the file that its `--config` names; what is typed wins.

    Args:
        argv: The arguments; default those of the process. Wrong ones end the program with 2.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    options = parser.parse_args(typed)
    if getattr(options, "config", None) is None:
        return options
    # Before a command's name there are no options that it could come with.
    command, typed = typed[0], typed[1:]
    words = _words_of_file(options.parser, Path(options.config).expanduser(), typed)
    return parser.parse_args([command, *words, *typed])


def _words_of_file(parser: CommandParser, file: Path, typed: Sequence[str]) -> list[str]:
    """What a file says in the words of the command line, without what was typed as well."""
    parser.where = f"{file}: "
    try:
        values = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        parser.error(f"can't be read as TOML ({in_one_line(error)})")
    found = _find_options(parser, values)
    words = {dest: _to_words(parser, action, value, file) for dest, (action, value) in found.items()}
    # By itself, so that what is wrong in it is said to be there.
    told = ["--json"] if parser.as_json else []
    parser.parse_args([*told, *(word for each in words.values() for word in each)])
    parser.where = ""
    hidden = _typed_with_rivals(parser, typed)
    return [word for dest, each in words.items() if dest not in hidden for word in each]


def _find_options(parser: CommandParser, values: Mapping[str, Any]) -> dict[str, tuple[argparse.Action, Any]]:
    """The options that a file's names stand for, by their names in Python."""
    known: dict[str, argparse.Action] = {}
    for action in parser._actions:
        names = [action.dest, *(text.lstrip("-").replace("-", "_") for text in action.option_strings)]
        known |= dict.fromkeys((name for name in names if action.dest not in _NOT_IN_FILES), action)
    found: dict[str, tuple[argparse.Action, Any]] = {}
    for name, value in values.items():
        if name.replace("-", "_") not in known:
            near = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.6)
            meant = f"; did you mean {near[0]}?" if near else ", or it can't stand in a file"
            parser.error(f"{name!r} is no option of {parser.prog}{meant}")
        action = known[name.replace("-", "_")]
        if action.dest in found:
            parser.error(f"{name!r} is there under another name as well; allowed: one of them")
        found[action.dest] = (action, value)
    return found


def _to_words(parser: CommandParser, action: argparse.Action, value: Any, file: Path) -> list[str]:
    flag = action.option_strings[-1]
    if action.nargs == 0:
        if not isinstance(value, bool):
            parser.error(f"{flag} is {value!r}; allowed: true or false")
        return [flag] if value else []
    several = isinstance(action, argparse._AppendAction) or action.nargs == "+"
    texts = [_to_text(parser, action, each, file) for each in (_flat(action, value) if several else [value])]
    return [flag, *texts] if action.nargs == "+" else [f"{flag}={text}" for text in texts]


def _flat(action: argparse.Action, value: Any) -> list[Any]:
    """The values of an option that may be given several times; of a table of prompts row after row."""
    if not isinstance(value, list):
        return [value]
    is_table = action.dest in ("prompt", "negative_prompt") and all(isinstance(row, list) for row in value)
    return [item for row in value for item in row] if is_table else value


def _to_text(parser: CommandParser, action: argparse.Action, value: Any, file: Path) -> str:
    """A value as it would be typed."""
    flag, folder = action.option_strings[-1], file.absolute().parent
    if action.dest == "loras":
        return _to_lora(parser, value, folder)
    if isinstance(value, list) and value and not any(isinstance(each, bool | list | dict) for each in value):
        return ",".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        parser.error(f"{flag} is {value!r}; allowed: a text, a number, or a list where it takes several")
    text = str(value)
    if action.dest in _FILES or (action.dest == "model" and (folder / text).exists()):
        return _beside(folder, text)
    return text


def _to_lora(parser: CommandParser, value: Any, folder: Path) -> str:
    """A LoRA as text, as a pair of its file and weight, or as a table of path and weight."""
    if isinstance(value, dict) and set(value) in ({"path"}, {"path", "weight"}):
        value = [value["path"], value.get("weight", 1)]
    if isinstance(value, str):
        # A weight at its end stays there, as it is no part of the folder.
        return _beside(folder, value)
    is_pair = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    if not is_pair or isinstance(value[1], bool) or not isinstance(value[1], int | float):
        parser.error(f"--lora is {value!r}; allowed: a path, [path, weight], or {{path=..., weight=...}}")
    return f"{_beside(folder, value[0])}:{value[1]}"


def _beside(folder: Path, text: str) -> str:
    return str(folder / Path(text).expanduser())


def _typed_with_rivals(parser: CommandParser, typed: Sequence[str]) -> set[str]:
    """What was typed, by its names in Python, and what can't be given beside it."""
    unset = object()
    before = {
        action.dest: None if isinstance(action, argparse._AppendAction) else unset
        for action in parser._actions
        if action.dest != argparse.SUPPRESS
    }
    after = vars(parser.parse_args(list(typed), argparse.Namespace(**before)))
    found = {name for name, value in before.items() if after[name] is not value}
    for group in parser._mutually_exclusive_groups:
        rivals = {action.dest for action in group._group_actions}
        found |= rivals if rivals & found else set()
    return found
