"""A place of jobs on an object store, by fsspec: a job is there when its manifest is, its last file."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError, MaskGridError, MissingExtraError, in_one_line
from maskgrid.jobs.place import (
    FAILED,
    JOB_ID,
    LocalPlace,
    Place,
    failures_of,
    job_folder,
    local_place,
    place_names,
)
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.manifest import MANIFEST

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from maskgrid.jobs.place import Failure
    from maskgrid.result.forks import Forks

__all__ = ["ObjectPlace", "open_place"]

_LISTINGS = 16
"""Listings that are asked for at the same time."""


def open_place(place: str | os.PathLike[str]) -> Place:
    """A place by its path or URL: a folder of this machine, or what fsspec knows (s3://, gs://, memory://).

    Raises:
        InvalidValueError: A name that no folder can have, or a kind of URL that fsspec does not know.
        MissingExtraError: A URL, and fsspec or the package for its kind is not installed.
    """
    local = local_place(place)
    return ObjectPlace(str(place)) if local is None else local


class ObjectPlace:
    """A place that fsspec writes to.

    Args:
        url: Its URL.

    Attributes:
        url: As given.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            import fsspec

            # Listings of millions of files are not to stay in memory, nor to be believed when they are old.
            self._system, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtraError(
                f"{url} needs fsspec and its part for that kind of URL ({error}); install them with: "
                'pip install "maskgrid[jobs]", and such as s3fs or gcsfs'
            ) from error
        except ValueError as error:
            raise InvalidValueError(
                f"the place is {url!r} ({error}); allowed: a path, or a URL that fsspec knows"
            ) from error

    def prepare(self) -> None:
        """Complain of what would keep it from being written."""
        probe = ".maskgrid-probe"
        self.write(probe, [""])
        self.remove(probe)

    def done(self) -> set[str]:
        """The identities of the jobs whose folder is there."""
        shards = place_names(self._names(self._root))
        with ThreadPoolExecutor(_LISTINGS) as pool:
            return set().union(*pool.map(self._done_in, shards))

    def _done_in(self, shard: str) -> set[str]:
        paths = (path.split("/") for path in self._system.find(f"{self._root}/{shard}"))
        return {path[-2] for path in paths if path[-1] == MANIFEST and JOB_ID.fullmatch(path[-2])}

    def _names(self, folder: str) -> list[str]:
        try:
            found: list[Any] = self._system.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def has(self, job: str) -> bool:
        """Whether the folder of a job is there."""
        return bool(self._system.exists(f"{self._root}/{job_folder(job)}/{MANIFEST}"))

    def save(self, job: str, forks: Forks) -> None:
        """Write the folder of a job, whole or not at all."""
        if self.has(job):
            return
        with tempfile.TemporaryDirectory(prefix="maskgrid-") as folder:
            LocalPlace(Path(folder)).save(job, forks)
            made = Path(folder) / job_folder(job)
            # What counts comes last.
            names = sorted((path.name for path in made.iterdir()), key=lambda name: (name == MANIFEST, name))
            try:
                with hold_interrupts():
                    for name in names:
                        self._system.put_file(str(made / name), f"{self._root}/{job_folder(job)}/{name}")
            except OSError as error:
                raise MaskGridError(
                    f"{self.url}/{job_folder(job)} can't be written ({in_one_line(error)})"
                ) from error

    def failures(self) -> dict[str, Failure]:
        """What failed, by the identity of the job."""
        names = [f"{self._root}/{FAILED}/{name}" for name in self._names(f"{self._root}/{FAILED}")]
        texts = self._system.cat(names) if names else {}
        return failures_of(text.decode("utf-8", "replace") for text in texts.values())

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Write a file, whole or not at all."""
        path = f"{self._root}/{name}"
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, "".join(lines).encode())
        except OSError as error:
            raise MaskGridError(f"{self.url}/{name} can't be written ({in_one_line(error)})") from error

    def read(self, name: str) -> str | None:
        """A file's text; None where there is none."""
        try:
            found: bytes = self._system.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return found.decode("utf-8", "replace")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        path = f"{self._root}/{name}"
        if self._system.exists(path):
            self._system.rm_file(path)
