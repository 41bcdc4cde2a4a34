"""Where the jobs of a batch are kept: a folder for each, whole or not at all, and notes of what failed.

PLACE/3f/3f9a.../       the output folder of a job, by its identity
PLACE/failed/3f9a....json   why a job failed
PLACE/index.jsonl       which row is which job
PLACE/run.json          how far the last run was
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from maskgrid.errors import MaskGridError, OutputExistsError, in_one_line
from maskgrid.result.manifest import MANIFEST
from maskgrid.result.output_place import check_picture, local_folder
from maskgrid.result.replace_files import write_file

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    from maskgrid.result.forks import Forks

__all__ = [
    "FAILED",
    "INDEX",
    "JOB_ID",
    "RUN",
    "Failure",
    "LocalPlace",
    "Place",
    "failures_of",
    "job_folder",
    "local_place",
    "place_names",
]

FAILED, INDEX, RUN = "failed", "index.jsonl", "run.json"
JOB_ID = re.compile(r"[0-9a-f]{32}")
_SHARD = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Attributes:
        job: Its identity.
        row: The file and line of its row.
        kind: The name of the error.
        reason: What it says, in a line.
        tries: How often it was tried.
    """

    job: str
    row: str
    kind: str
    reason: str
    tries: int = 1

    def to_json(self) -> str:
        """The failure as it is written down."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


class Place(Protocol):
    """Where jobs are kept."""

    url: str
    """Its path or URL, from which another process opens it."""

    def prepare(self) -> None:
        """Complain of what would keep it from being written.

        Raises:
            MaskGridError: It can't be written.
        """

    def done(self) -> set[str]:
        """The identities of the jobs whose folder is there."""

    def has(self, job: str) -> bool:
        """Whether the folder of a job is there."""

    def save(self, job: str, forks: Forks) -> None:
        """Write the folder of a job, whole or not at all; one that is there stays.

        Raises:
            MaskGridError: It can't be written.
        """

    def failures(self) -> dict[str, Failure]:
        """What failed, by the identity of the job."""

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Write a file, whole or not at all, in place of one that is there."""

    def read(self, name: str) -> str | None:
        """A file's text; None where there is none."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def job_folder(job: str) -> str:
    """The folder of a job inside its place; 256 folders above them keep each listing short."""
    return f"{job[:2]}/{job}"


def failures_of(texts: Iterable[str]) -> dict[str, Failure]:
    """Failures as they were written down, by job; what is no such thing is left out."""
    found = {}
    for text in texts:
        try:
            fields = json.loads(text)
            failure = Failure(**fields)
        except (ValueError, TypeError):
            continue
        found[failure.job] = failure
    return found


def place_names(names: Iterable[str]) -> list[str]:
    """Those of the names that are of the 256 folders."""
    return sorted(name for name in names if _SHARD.fullmatch(name))


class LocalPlace:
    """A place on a disk of this machine: folders are moved into it in one step.

    Args:
        path: The folder.

    Attributes:
        path: The folder, absolute.
        url: Likewise, as a text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.url = str(self.path)

    def prepare(self) -> None:
        """Complain of what would keep it from being written."""
        check_picture(self.path / RUN, force=True)

    def done(self) -> set[str]:
        """The identities of the jobs whose folder is there."""
        found: set[str] = set()
        for shard in place_names(_names(self.path)):
            folder = self.path / shard
            found.update(job for job in _names(folder) if JOB_ID.fullmatch(job) and self.has(job))
        return found

    def has(self, job: str) -> bool:
        """Whether the folder of a job is there."""
        return (self.path / job_folder(job) / MANIFEST).is_file()

    def save(self, job: str, forks: Forks) -> None:
        """Write the folder of a job, whole or not at all."""
        try:
            forks.save(self.path / job_folder(job))
        except OutputExistsError:
            # Another run at the same place was quicker with the same job.
            if not self.has(job):
                raise

    def failures(self) -> dict[str, Failure]:
        """What failed, by the identity of the job."""
        folder = self.path / FAILED
        return failures_of((folder / name).read_text("utf-8") for name in _names(folder) if name[0] != ".")

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Write a file, whole or not at all."""

        def fill(draft: Path) -> None:
            with draft.open("w", encoding="utf-8") as file:
                file.writelines(lines)

        try:
            write_file(self.path / name, fill, replace=True)
        except OSError as error:
            raise MaskGridError(f"{self.path / name} can't be written ({in_one_line(error)})") from error

    def read(self, name: str) -> str | None:
        """A file's text; None where there is none."""
        try:
            return (self.path / name).read_text("utf-8")
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)


def local_place(place: str | os.PathLike[str]) -> LocalPlace | None:
    """A place on this machine, given as a path or as file:///...; None where it is a URL of another kind.

    Raises:
        InvalidValueError: A name that no folder can have.
        InvalidTypeError: No path.
    """
    text = place if isinstance(place, str) else None
    if text is not None and text.startswith("file://"):
        text = urllib.request.url2pathname(urllib.parse.urlparse(text).path)
    elif text is not None and ("://" in text or "::" in text):
        return None
    return LocalPlace(local_folder(place if text is None else text))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
