"""`--prompts FILE`: a prompt for each cell, from lines of text, a table in CSV, or JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError, MaskGridError, in_one_line
from maskgrid.pictures.local_path import local_path

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["read_prompts"]

_COLUMNS = ("row", "column", "prompt")
_LARGEST = 64 * 2**20


def read_prompts(file: str | os.PathLike[str], rows: int, columns: int) -> list[str]:
    """The prompts of a file, one for each cell of a grid.

    Args:
        file: UTF-8: a .txt file with a line for each cell, row by row; a .csv file, either a table of the
            sheet's rows or with the columns row, column and prompt; or a .json file with a list, a table, or
            an object such as {"0,1": "a sad face"} with row and column, counted from 0.
        rows: Rows of cells.
        columns: Columns of cells.

    Returns:
        One for each cell, row by row.

    Raises:
        InvalidValueError: Another kind of file, more or fewer prompts than cells, a cell that is named twice
            or is not there, or a prompt that is no text.
        MaskGridError: A file that can't be read.
    """
    path = local_path(file, "the prompts file")
    readers = {".txt": _read_lines, ".csv": _read_csv, ".json": _read_json}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise InvalidValueError(f"the prompts file is {str(path)!r}; allowed: {', '.join(readers)}")
    return read(_Cells(str(path), rows, columns), _read_text(path))


class _Cells:
    """Puts prompts into the cells of a grid, and says what is wrong with them.

    Args:
        name: The file, for messages.
        rows: Rows of cells.
        columns: Columns of cells.
    """

    def __init__(self, name: str, rows: int, columns: int) -> None:
        self.name, self.rows, self.columns = name, rows, columns

    @property
    def shape(self) -> str:
        return f"{self.rows} rows x {self.columns} columns"

    def refuse(self, has: str, allowed: str) -> InvalidValueError:
        return InvalidValueError(f"the prompts file {self.name!r} has {has}; allowed: {allowed}")

    def of_list(self, prompts: list[Any]) -> list[str]:
        """Prompts row by row."""
        count = self.rows * self.columns
        if len(prompts) != count:
            allowed = f"{count}, one for each cell of {self.shape}"
            raise self.refuse(f"{len(prompts)} prompts", allowed)
        return [self._text(text, number) for number, text in enumerate(prompts)]

    def of_table(self, table: list[list[Any]]) -> list[str]:
        """Prompts as a table of rows."""
        widths = [len(row) for row in table]
        if widths != [self.columns] * self.rows:
            raise self.refuse(f"a table of {len(table)} rows with {_in_short(widths)} prompts", self.shape)
        return self.of_list([text for row in table for text in row])

    def of_named(self, named: Iterable[tuple[Any, Any, Any]]) -> list[str]:
        """Prompts each with the row and column of its cell."""
        found: dict[int, Any] = {}
        for row, column, text in named:
            cell = self._cell(row, column)
            if cell in found:
                raise self.refuse(f"the cell {row},{column} twice", "each cell once")
            found[cell] = text
        lacking = [
            divmod(cell, self.columns) for cell in range(self.rows * self.columns) if cell not in found
        ]
        if lacking:
            cells = _in_short([f"{row},{column}" for row, column in lacking])
            raise self.refuse(f"no prompt for {cells}", f"one for each cell of {self.shape}")
        return self.of_list([found[cell] for cell in sorted(found)])

    def _cell(self, row: Any, column: Any) -> int:
        try:
            place = int(str(row)), int(str(column))
        except ValueError:
            place = -1, -1
        if not (0 <= place[0] < self.rows and 0 <= place[1] < self.columns):
            allowed = f"rows 0 to {self.rows - 1} and columns 0 to {self.columns - 1}"
            raise self.refuse(f"a prompt for row {row!r}, column {column!r}", allowed)
        return place[0] * self.columns + place[1]

    def _text(self, text: Any, number: int) -> str:
        if not isinstance(text, str):
            row, column = divmod(number, self.columns)
            raise self.refuse(f"{text!r} for the cell {row},{column}", "a text, empty for none")
        return text.strip()


def _read_text(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size <= _LARGEST:
            return path.read_text("utf-8-sig")
        raise MaskGridError(f"the prompts file {str(path)!r} is not there, or is no file of at most 64 MiB")
    except (OSError, UnicodeError) as error:
        raise MaskGridError(f"the prompts file {str(path)!r} can't be read ({in_one_line(error)})") from error


def _read_lines(cells: _Cells, text: str) -> list[str]:
    lines = text.splitlines()
    # Editors leave empty lines at the end; elsewhere such a line is a cell without words.
    while len(lines) > cells.rows * cells.columns and not lines[-1].strip():
        lines.pop()
    return cells.of_list(lines)


def _read_csv(cells: _Cells, text: str) -> list[str]:
    try:
        table = [row for row in csv.reader(io.StringIO(text), strict=True, skipinitialspace=True) if row]
    except csv.Error as error:
        raise cells.refuse(f"no CSV ({in_one_line(error)})", "a table, or row,column,prompt") from error
    heading = [name.strip().lower() for name in table[0]] if table else []
    if sorted(heading) != sorted(_COLUMNS):
        return cells.of_table(table)
    for number, row in enumerate(table[1:], 1):
        if len(row) != len(_COLUMNS):
            raise cells.refuse(f"{len(row)} values in its entry {number}", ", ".join(heading))
    order = [heading.index(name) for name in _COLUMNS]
    return cells.of_named((row[order[0]], row[order[1]], row[order[2]]) for row in table[1:])


def _read_json(cells: _Cells, text: str) -> list[str]:
    allowed = 'a list, a table of rows, or an object like {"0,1": "a sad face"}'
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise cells.refuse(f"no JSON ({in_one_line(error)})", allowed) from error
    if isinstance(value, _Pairs):
        return cells.of_named((*_parted(place), prompt) for place, prompt in value)
    if not isinstance(value, list):
        raise cells.refuse(f"a {type(value).__name__}", allowed)
    if value and all(isinstance(row, list) and not isinstance(row, _Pairs) for row in value):
        return cells.of_table(value)
    return cells.of_list(value)


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as its names and values, so that none is lost that is there twice."""


def _parted(place: str) -> tuple[str, str]:
    row, _, column = place.partition(",")
    return row.strip(), column.strip()


def _in_short(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return f"{shown} and {len(values) - 8} more" if len(values) > 8 else shown
