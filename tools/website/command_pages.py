"""Writes the reference of the command line from its parser: a section a command, with tables of options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["list_commands", "write_commands"]


WIDTH = 76
"""Columns of the usage lines."""


def write_commands(parser: argparse.ArgumentParser) -> str:
    """The page in Markdown: what the program takes, then every command."""
    parts = [
        "# Commands and options",
        f"Of maskgrid's own parser; [The command line](../command-line.md) says how they are used.\n\n"
        f"{escape(parser.description or '')}",
        *_tables(parser),
    ]
    for name, command in list_commands(parser).items():
        parts += [f"## {parser.prog} {name}", escape(command.description or ""), _usage(command)]
        parts += _tables(command)
    return "\n\n".join(parts) + "\n"


def list_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Every command by its name, those of commands too: `batch`, `comfyui`."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found[name] = command
                found |= {f"{name} {inner}": one for inner, one in list_commands(command).items()}
    return found


def _usage(parser: argparse.ArgumentParser) -> str:
    """As `--help` has it, wrapped to the page whatever the terminal."""
    action_groups = parser._mutually_exclusive_groups
    formatter = argparse.HelpFormatter(parser.prog, width=WIDTH)
    formatter.add_usage(parser.usage, parser._actions, action_groups)
    return f"```text\n{formatter.format_help().strip()}\n```"


def _tables(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A table for each group of options that has any, under the group's title."""
    for group in parser._action_groups:
        rows = [_row(action, parser) for action in group._group_actions if _is_shown(action)]
        if rows:
            yield f"**{escape((group.title or '').capitalize())}**"
            if group.description:
                yield escape(group.description)
            yield "\n".join(["| option | what it does |", "|---|---|", *rows])


def _is_shown(action: argparse.Action) -> bool:
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
    return not hidden and not isinstance(action, argparse._SubParsersAction)


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """One option: its names with what they take, then its help and the choices that the names do not show."""
    formatter = argparse.HelpFormatter(parser.prog)
    formatter._root_section.formatter = formatter
    takes = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    if action.option_strings:
        names = ", ".join(f"`{name}`" for name in action.option_strings)
        what = f"{names} `{escape(takes)}`" if takes and action.nargs != 0 else names
    else:
        takes = formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
        what = f"`{escape(takes)}`"
    words = escape(formatter._expand_help(action)) if action.help else ""
    if action.choices is not None and action.metavar is not None:
        words += f"; one of {', '.join(f'`{choice}`' for choice in action.choices)}"
    return f"| {what} | {words} |"


def escape(text: str) -> str:
    """Text as a table's cell can hold it."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;").replace("\n", " ")
