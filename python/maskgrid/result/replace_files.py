"""Files and folders that appear whole or not at all: drafts beside their place, moved there when complete.

A draft is called `.NAME.maskgrid-<12 letters>.tmp` and lies beside its place. It is locked while its process
lives, so a draft that can be locked was left by a process that was killed, and whoever writes next to it
removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from maskgrid.errors import OutputExistsError
from maskgrid.result.rename_files import exchange_paths, rename_to_new

try:
    import fcntl
except ImportError:
    # Windows has no such locks.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["Contents", "free_name", "remove_leftovers", "write_file", "write_folder"]

_DRAFT = re.compile(r"\.(?P<stem>.+)\.maskgrid-[0-9a-f]{12}\.(?P<kind>tmp|old)(?P<suffix>\.\w+)?", re.DOTALL)
_DAY = 24 * 3600.0


class Contents(Protocol):
    """Looks through a folder that is to be deleted."""

    def __call__(self, folder: Path, *, is_draft: bool = False) -> Collection[str]:
        """The names in it, all of which may be deleted.

        Args:
            folder: The folder.
            is_draft: Whether it may have been left by a process that was killed, half written.

        Raises:
            OutputExistsError: It holds anything else.
        """


def write_folder(
    target: Path, fill: Callable[[Path], None], contents: Contents, *, replace: bool = False
) -> None:
    """Fill a folder under a temporary name and move it to its place.

    Args:
        target: Its place.
        fill: Writes the files into the path it is given.
        contents: Looks through the folder that is there, and through what killed processes left beside it.
        replace: Whether a folder may be there, of which `contents` then says whether it can be replaced.

    Raises:
        OutputExistsError: Something is there that may not be replaced; nothing has changed then.
        OSError: It can't be written; nothing has changed then.
    """
    with _parents(target):
        remove_leftovers(target, contents)
        with _draft(target, is_folder=True) as draft:
            fill(draft)
            _sync_folder(draft)
            if replace and os.path.lexists(target):
                contents(target)
                _replace_folder(draft, target, contents)
            else:
                _rename_to_new(draft, target)
            _sync(target.parent)


def write_file(target: Path, fill: Callable[[Path], None], *, replace: bool) -> None:
    """Write a file under a temporary name, which ends as its own does, and move it to its place.

    Args:
        target: Its place.
        fill: Writes the file whose path it is given.
        replace: Whether a file that is there may be replaced.

    Raises:
        OutputExistsError: Something is there that may not be replaced; nothing has changed then.
        OSError: It can't be written; nothing has changed then.
    """
    with _parents(target), _draft(target, is_folder=False) as draft:
        remove_leftovers(target)
        fill(draft)
        _sync(draft)
        if replace:
            draft.replace(target)
        else:
            _rename_to_new(draft, target)
        _sync(target.parent)


def remove_leftovers(target: Path, contents: Contents | None = None) -> None:
    """Remove what killed processes left beside a place; a folder that one had taken aside is put back.

    Args:
        target: The place; what lies beside it under another name is cleared up, too.
        contents: As for `write_folder`; without it only files are removed.
    """
    for path in list(target.parent.iterdir()) if target.parent.is_dir() else []:
        named = _DRAFT.fullmatch(path.name)
        if named is None or path.is_symlink():
            continue
        with _lock_of_dead(path) as is_dead:
            if not is_dead:
                continue
            is_ours = named["kind"] == "old" and named["stem"] == _stem(target)
            if is_ours and not os.path.lexists(target):
                path.rename(target)
            elif not path.is_dir():
                path.unlink(missing_ok=True)
            elif contents is not None and not named["suffix"]:
                _remove_folder(path, contents, is_draft=named["kind"] == "tmp")


def free_name(folder: Path) -> Path:
    """A folder's path, or with -2, -3 and so on after its name, whichever is not there."""
    number, path = 1, folder
    while os.path.lexists(path):
        number += 1
        path = folder.with_name(f"{folder.name}-{number}")
    return path


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """With the folders above a place, which are removed again if it comes to nothing."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


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
def _draft(target: Path, *, is_folder: bool) -> Iterator[Path]:
    """A new, locked path beside a place; what is still there at the end is removed."""
    made = None
    while made is None:
        made = _make_locked(_beside(target, "tmp", "" if is_folder else target.suffix), is_folder=is_folder)
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
def _lock_of_dead(path: Path) -> Iterator[bool]:
    """Whether the process that made a draft is gone; it stays locked meanwhile."""
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


def _beside(target: Path, kind: str, suffix: str = "") -> Path:
    ending = suffix if re.fullmatch(r"\.\w{1,8}", suffix) else ""
    return target.with_name(f".{_stem(target)}.maskgrid-{secrets.token_hex(6)}.{kind}{ending}")


def _stem(target: Path) -> str:
    """The name in a draft's name, which has to stay below the length that file systems allow."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= 150 else hashlib.sha256(name).hexdigest()[:32]


def _rename_to_new(draft: Path, target: Path) -> None:
    try:
        rename_to_new(draft, target)
    except FileExistsError as error:
        raise OutputExistsError(
            f"{target} appeared meanwhile; allowed: a path where nothing is, or force=True (--force)"
        ) from error


def _replace_folder(draft: Path, target: Path, contents: Contents) -> None:
    """Put the new folder in the old one's place and delete the old one, unless it gained something."""
    old = draft
    if not exchange_paths(draft, target):
        old = _beside(target, "old")
        try:
            target.rename(old)
            draft.rename(target)
        except BaseException:
            if old.exists() and not os.path.lexists(target):
                old.rename(target)
            raise
    if not _remove_folder(old, contents):
        kept = free_name(target.with_name(f"{target.name}-old"))
        old.rename(kept)
        warnings.warn(
            f"{target} was replaced, but what was added to it meanwhile is kept in {kept}", stacklevel=2
        )


def _remove_folder(folder: Path, contents: Contents, *, is_draft: bool = False) -> bool:
    """Delete a folder unless it holds something that is not ours; whether it is gone."""
    try:
        names = contents(folder, is_draft=is_draft)
    except OutputExistsError:
        return False
    # The manifest goes last, so that what is left after a kill can still be told from other folders.
    for name in sorted(names, key=lambda name: name.endswith(".json")):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not os.path.lexists(folder)


def _sync_folder(folder: Path) -> None:
    for path in folder.iterdir():
        if stat.S_ISREG(path.lstat().st_mode):
            _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Have it on the disk, so that it outlasts a machine that stops."""
    # Windows gives no descriptor of a folder.
    if os.name != "nt":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
