"""Rows of a table of jobs: JSON lines, CSV, Parquet, or a folder with a sheet in every picture."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError, MaskGridError, MissingExtraError, in_one_line
from maskgrid.pictures.local_path import local_path
from maskgrid.run_arguments import TEXTS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["FILES", "TableRow", "folder_of", "read_default", "read_rows"]

FILES = ("image", "mask", "control_image", "reference_image")
"""Arguments that are paths."""
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp")
_KINDS = (".jsonl", ".ndjson", ".csv", ".parquet")
_DEFAULT = "default.json"
_WORDS = frozenset(
    (*FILES, *TEXTS, "mask_channel", "coverage", "sampler", "schedule", "mode", "fork_seeds", "blend")
) | {"sheet_conditioning", "model", "device", "dtype"}
"""Columns of a CSV whose cells are texts, unless they are a list in JSON."""


@dataclass(frozen=True)
class TableRow:
    """A row as it was read.

    Attributes:
        where: The file and the line, counted from 1: "table.jsonl:17".
        values: What it says, by column; what is empty is not among them.
        problem: Why it can't be read; "" where it can.
    """

    where: str
    values: dict[str, Any]
    problem: str = ""


def read_rows(table: str | os.PathLike[str]) -> Iterator[TableRow]:
    """The rows of a table, one after another, so that a long one is never held as a whole.

    Args:
        table: A .jsonl or .ndjson file with an object in every line, a .csv file with a heading, a .parquet
            file, or a folder: every picture in it is a sheet, and its default.json says the rest.

    Yields:
        The rows in their order; one that is no row has a problem.

    Raises:
        InvalidValueError: Another kind of file.
        MissingExtraError: A Parquet file, and pyarrow is not installed.
        MaskGridError: No such file, or it can't be read.
    """
    path = local_path(table, "the table")
    if path.is_dir():
        yield from _read_folder(path)
        return
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InvalidValueError(f"the table is {str(path)!r}; allowed: {', '.join(_KINDS)}, or a folder")
    if not path.is_file():
        raise MaskGridError(f"there is no table {path}")
    read = {".csv": _read_csv, ".parquet": _read_parquet}.get(kind, _read_json_lines)
    try:
        yield from read(path)
    except (OSError, UnicodeError) as error:
        raise MaskGridError(f"the table {path} can't be read ({in_one_line(error)})") from error


def folder_of(table: str | os.PathLike[str]) -> Path:
    """The folder that the paths in a table are relative to: the table itself, or the one it lies in."""
    path = local_path(table, "the table").absolute()
    return path if path.is_dir() else path.parent


def _read_json_lines(path: Path) -> Iterator[TableRow]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _json_row(f"{path}:{number}", line)


def _json_row(where: str, text: str) -> TableRow:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return TableRow(where, {}, f"no JSON ({in_one_line(error)}); allowed: an object")
    if not isinstance(values, dict):
        return TableRow(where, {}, f"JSON, but a {type(values).__name__}; allowed: an object")
    return TableRow(where, _given(values))


def _read_csv(path: Path) -> Iterator[TableRow]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, strict=True)
        start = reader.line_num
        try:
            names = reader.fieldnames or []
            if len(set(names)) != len(names):
                raise MaskGridError(f"{path}:1: the heading has a column twice; allowed: each column once")
            start = reader.line_num
            for fields in reader:
                where, start = f"{path}:{start + 1}", reader.line_num
                if None in fields:
                    yield TableRow(where, {}, f"more cells than the heading's {len(names)}")
                else:
                    yield TableRow(where, _given({name: _cell(name, fields[name]) for name in names}))
        except csv.Error as error:
            raise MaskGridError(f"{path}:{start + 1}: no CSV ({in_one_line(error)})") from error


def _cell(name: str, text: str | None) -> Any:
    """What a cell of a CSV means: a text, a list in JSON, or for other columns any JSON."""
    if text is None or not text.strip():
        return None
    try:
        value = json.loads(text.lower() if text.strip().lower() in ("true", "false") else text)
    except (ValueError, RecursionError):
        return text
    return text if name in _WORDS and not isinstance(value, list) else value


def _read_parquet(path: Path) -> Iterator[TableRow]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError(
            'Parquet needs pyarrow; install it with: pip install "maskgrid[jobs]"'
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    number += 1
                    yield TableRow(f"{path}:{number}", _given(values))
    except ArrowException as error:
        raise MaskGridError(f"{path}: no Parquet ({in_one_line(error)})") from error


def _read_folder(path: Path) -> Iterator[TableRow]:
    default = read_default(path / _DEFAULT) if (path / _DEFAULT).is_file() else {}
    named = [value for name in FILES for value in _listed(default.get(name))]
    taken = {Path(value).resolve() for value in named if isinstance(value, str)}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() in _PICTURES and file.resolve() not in taken:
            yield TableRow(str(file), {**default, "image": file.name})


def read_default(file: str | os.PathLike[str]) -> dict[str, Any]:
    """What rows say that don't say otherwise: an object in a JSON file, its paths relative to that file.

    Returns:
        The values by column, paths absolute.

    Raises:
        MaskGridError: No such file, or no object in JSON.
    """
    path = local_path(file, "the default").absolute()
    try:
        row = _json_row(str(path), path.read_text("utf-8-sig"))
    except (OSError, UnicodeError) as error:
        raise MaskGridError(f"the default {path} can't be read ({in_one_line(error)})") from error
    if row.problem:
        raise MaskGridError(f"{path}: {row.problem}")
    values = dict(row.values)
    for name in FILES:
        value = values.get(name)
        if isinstance(value, list):
            values[name] = [_beside(path, each) for each in value]
        elif value is not None:
            values[name] = _beside(path, value)
    return values


def _beside(file: Path, path: Any) -> Any:
    """A path that is relative to a file's folder, absolute; what is no path stays, to be refused later."""
    return str(file.parent / local_path(path)) if isinstance(path, str) else path


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
