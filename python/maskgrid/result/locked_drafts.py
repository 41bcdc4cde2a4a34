"""Drafts: files and folders under temporary names, locked while the process that writes them lives.

A draft is called `.NAME.maskgrid-<12 letters>.tmp` and lies beside its place. One that can be locked was left
by a process that was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:
    # Windows has no such locks.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DRAFT_NAME", "lock_of_dead", "open_draft", "path_beside", "stem_of"]

DRAFT_NAME = re.compile(
    r"\.(?P<stem>.+)\.maskgrid-[0-9a-f]{12}\.(?P<kind>tmp|old)(?P<suffix>\.\w+)?", re.DOTALL
)
"""The name of a draft (kind tmp), or of a folder that was taken aside (kind old)."""

_DAY = 24 * 3600.0


@dataclass
class _Locked:
    """A path that was made, and the lock on it."""

    path: Path
    descriptor: int | None
    identity: tuple[int, int]

    def is_still_there(self) -> bool:
        """Whether the path is what was made, not removed, moved or exchanged."""
        return _identity(self.path) == self.identity


@contextlib.contextmanager
def open_draft(target: Path, *, is_folder: bool) -> Iterator[Path]:
    """A draft of a file or folder: a new, locked path beside a place, removed at the end if still there."""
    made = None
    while made is None:
        path = path_beside(target, "tmp", "" if is_folder else target.suffix)
        made = _make_locked(path, is_folder=is_folder)
    try:
        yield made.path
    finally:
        if made.is_still_there():
            shutil.rmtree(made.path) if is_folder else made.path.unlink()
        if made.descriptor is not None:
            os.close(made.descriptor)


def _make_locked(path: Path, *, is_folder: bool) -> _Locked | None:
    """None if another process took it for a leftover in the moment before it was locked."""
    if is_folder:
        path.mkdir()
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    identity = _identity(path)
    if fcntl is None:
        return None if identity is None else _Locked(path, None, identity)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        # A file system without locks; there a draft counts as left when it is a day old.
        return None if identity is None else _Locked(path, descriptor, identity)
    if identity is None or _identity(path) != identity:
        os.close(descriptor)
        return None
    return _Locked(path, descriptor, identity)


@contextlib.contextmanager
def lock_of_dead(path: Path) -> Iterator[bool]:
    """Whether the process that wrote a draft was killed; the draft stays locked meanwhile."""
    found = _identity(path)
    if found is None:
        yield False
        return
    if fcntl is None:
        yield _is_old(path)
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_dead = _identity(path) == found
    except BlockingIOError:
        is_dead = False
    except OSError:
        is_dead = _is_old(path)
    try:
        yield is_dead
    finally:
        os.close(descriptor)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _DAY


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def path_beside(target: Path, kind: str, suffix: str = "") -> Path:
    """A draft's path beside a place: kind tmp for what is written, old for what was taken aside."""
    ending = suffix if re.fullmatch(r"\.\w{1,8}", suffix) else ""
    return target.with_name(f".{stem_of(target)}.maskgrid-{secrets.token_hex(6)}.{kind}{ending}")


def stem_of(target: Path) -> str:
    """A place's name inside the names of its drafts, shortened where file systems would not take those."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= 150 else hashlib.sha256(name).hexdigest()[:32]
