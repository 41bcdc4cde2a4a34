"""Files and folders that appear whole or not at all: drafts beside their place, moved there when complete.

Whoever writes also removes the drafts beside it that processes left which were killed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from typing import TYPE_CHECKING, Protocol

from maskgrid.errors import OutputExistsError
from maskgrid.result.locked_drafts import DRAFT_NAME, lock_of_dead, open_draft, path_beside, stem_of
from maskgrid.result.rename_files import exchange_paths, rename_to_new

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

__all__ = ["Contents", "free_name", "remove_leftovers", "write_file", "write_folder"]


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
        with open_draft(target, is_folder=True) as draft:
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
    with _parents(target), open_draft(target, is_folder=False) as draft:
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
        named = DRAFT_NAME.fullmatch(path.name)
        if named is None or path.is_symlink():
            continue
        with lock_of_dead(path) as is_dead:
            if not is_dead:
                continue
            is_ours = named["kind"] == "old" and named["stem"] == stem_of(target)
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
        old = path_beside(target, "old")
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
