"""Paths of this machine: `~` is the home folder, and a URL is refused, not made a folder called `s3:`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maskgrid.errors import InvalidTypeError, InvalidValueError

__all__ = ["local_path"]

# Two letters at least, for `C:/` is a drive; one slash, for `Path` takes the second one away.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|data:", re.ASCII)


def local_path(path: str | os.PathLike[str], name: str = "path") -> Path:
    """What somebody calls a path, as a path of this machine: `~` opened, URLs refused.

    Args:
        path: Text or a path; it need not exist.
        name: What an error calls it.

    Returns:
        The path.

    Raises:
        InvalidTypeError: No path.
        InvalidValueError: A URL such as `s3://bucket/sheet.png`, or a `~user` that is unknown.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise InvalidTypeError(f"{name} is a {type(path).__name__}; allowed: a path") from error
    if _URL.match(text):
        raise InvalidValueError(
            f"{name} is the URL {text[:100]!r}; allowed: a path on this machine. fsspec brings files from "
            'there and back; for a picture its bytes do, too, such as fsspec.open(url, "rb").open().read()'
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidValueError(f"{name} is {text!r}, whose home folder is not known ({error})") from error
