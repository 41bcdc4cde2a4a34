"""A job: what one row asks, its files by absolute path, and its identity, the hash of all it asks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.bundled_model import BUNDLED
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, in_one_line
from maskgrid.jobs.table_rows import FILES
from maskgrid.load_pipeline import DTYPES
from maskgrid.load_pipeline.by_name import find_local
from maskgrid.pictures.local_path import local_path
from maskgrid.run_arguments import ARGUMENT_NAMES, nearest_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MODEL_FIELDS", "Job", "find_model", "make_job"]

MODEL_FIELDS = ("model", "device", "dtype")
"""What a row says besides the arguments of a run."""
_FORMAT = 1
_NOT_IN_TABLES = frozenset({"callback", "decode_callback", "noise"})
"""Arguments that no table can hold."""
_COLUMNS = tuple(name for name in (*ARGUMENT_NAMES, *MODEL_FIELDS) if name not in _NOT_IN_TABLES)


@dataclass(frozen=True, slots=True)
class Job:
    """What one row asks; held as text, so that a million of them fit into memory.

    Attributes:
        id: 32 hexadecimal digits, the hash of what it asks: arguments, model, dtype, and the content of its
            files, wherever they lie. The device is not part of it.
        where: The file and line of its row.
        text: As JSON: the fields of `MODEL_FIELDS`, "arguments", and "digests" of the files by path.
    """

    id: str
    where: str
    text: str

    @property
    def model(self) -> tuple[str, str | None, str | None]:
        """The model, the device and the dtype."""
        model, device, dtype = (json.loads(self.text)[name] for name in MODEL_FIELDS)
        return model, device, dtype

    def arguments(self, files: Mapping[str, bytes] | None = None) -> dict[str, Any]:
        """The arguments of its run.

        Args:
            files: What the files hold, by path; without it the paths are the arguments.
        """
        arguments: dict[str, Any] = json.loads(self.text)["arguments"]
        return arguments if files is None else _with_files(arguments, lambda path: files[path])

    def read_files(self) -> dict[str, bytes]:
        """What its files hold, by path.

        Raises:
            MaskGridError: One can't be read, or is not what it was when the job got its identity.
        """
        files = {}
        for path, digest in json.loads(self.text)["digests"].items():
            try:
                files[path] = Path(path).read_bytes()
            except OSError as error:
                raise MaskGridError(f"{path} can't be read any more ({in_one_line(error)})") from error
            if hashlib.sha256(files[path]).hexdigest() != digest:
                raise MaskGridError(f"{path} has changed since the table was checked")
        return files


def make_job(where: str, values: Mapping[str, Any], folder: Path) -> Job:
    """The job that a row asks for; its files are read for their hashes.

    Args:
        where: The file and line of the row.
        values: What it says, by column.
        folder: What its paths are relative to.

    Returns:
        The job.

    Raises:
        InvalidTypeError: A column that there is not, or a path or name that is no text.
        InvalidValueError: A dtype that is not allowed.
        MaskGridError: A file that can't be read, or no such model.
    """
    _check_columns(values)
    named = dict(zip(MODEL_FIELDS, _model_fields(values, folder), strict=True))
    digests: dict[str, str] = {}

    def resolve(path: Any) -> str:
        found = str(folder / local_path(path))
        if found not in digests:
            digests[found] = _digest(found)
        return found

    given = {name: value for name, value in values.items() if name not in MODEL_FIELDS}
    for name in ("image", "mask"):
        if name not in given:
            raise InvalidTypeError(f"{name} is missing; allowed: a path")
    arguments = _with_files(given, resolve)
    asked = {
        "format": _FORMAT,
        "model": named["model"],
        "dtype": named["dtype"],
        "arguments": _with_files(arguments, lambda path: {"sha256": digests[path]}),
    }
    try:
        canonical = json.dumps(asked, sort_keys=True, allow_nan=False).encode()
        text = json.dumps({**named, "arguments": arguments, "digests": digests}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"the row can't be held as JSON ({in_one_line(error)})") from error
    return Job(hashlib.sha256(canonical).hexdigest()[:32], where, text)


def _check_columns(values: Mapping[str, Any]) -> None:
    for name in values:
        if name in _COLUMNS:
            continue
        near = nearest_argument(name)
        meant = f"did you mean {near}? " if near in _COLUMNS else ""
        raise InvalidTypeError(
            f"{name} is no column of a table; {meant}allowed: the arguments of MaskGrid.__call__ that JSON "
            f"can hold, {', '.join(MODEL_FIELDS)}, and the pipeline's own arguments in pipe_kwargs"
        )


def _model_fields(values: Mapping[str, Any], folder: Path) -> tuple[str, str | None, str | None]:
    """The model, a local one by its absolute path, the device and the dtype."""
    model, device, dtype = (values.get(name) for name in MODEL_FIELDS)
    for name, value in (("model", model), ("device", device), ("dtype", dtype)):
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(f"{name} is {value!r}; allowed: a text")
    if dtype is not None and dtype not in DTYPES:
        raise InvalidValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    return find_model(model or BUNDLED, folder), device, dtype


def find_model(model: str, folder: Path) -> str:
    """A model's name; that of a folder or file as an absolute path, if it is there.

    Args:
        model: As for `load_pipeline`.
        folder: What a path is relative to.

    Raises:
        MaskGridError: A path where nothing is, or a folder that is no model's.
    """
    if model == BUNDLED:
        return model
    beside = folder / Path(model).expanduser()
    found = find_local(str(beside) if beside.exists() else model)
    return model if found is None else str(found.resolve())


def _with_files(arguments: Mapping[str, Any], put: Callable[[Any], Any]) -> dict[str, Any]:
    """Arguments with something else in place of each path."""
    changed = dict(arguments)
    for name in FILES:
        value = changed.get(name)
        if isinstance(value, list):
            changed[name] = [put(each) for each in value]
        elif value is not None:
            changed[name] = put(value)
    return changed


def _digest(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    try:
        found = Path(path).stat()
        return _digest_of(path, found.st_mtime_ns, found.st_size)
    except FileNotFoundError as error:
        raise MaskGridError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise MaskGridError(f"{path} can't be read ({in_one_line(error)})") from error


@lru_cache(maxsize=4096)
def _digest_of(path: str, _changed: int, _size: int) -> str:
    """The same, read once for rows that share a file, such as a stencil."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
