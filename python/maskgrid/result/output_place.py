"""Where output may go: what is told before a run, what of a folder may be replaced, and names beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from maskgrid.errors import InvalidValueError, MaskGridError, OutputExistsError
from maskgrid.pictures.local_path import local_path
from maskgrid.result.locked_drafts import path_beside
from maskgrid.result.manifest import MANIFEST
from maskgrid.result.read_manifest import read_manifest

__all__ = ["check_output", "check_picture", "local_folder", "names_of_ours"]

# What file managers put into every folder that is looked at.
_OF_NOBODY = frozenset({".DS_Store", "Thumbs.db"})


def check_output(folder: str | os.PathLike[str], *, force: bool = False, room: int = 0) -> Path:
    """Whether an output folder can be written: everything that can be known before a run.

    Args:
        folder: Its place.
        force: Whether an output folder that is there may be replaced: an empty one, or one whose every file
            its manifest lists.
        room: Bytes that will be needed.

    Returns:
        Its path; where a link to a folder is given, that of the folder.

    Raises:
        InvalidValueError: A URL, or a name that no folder can have.
        OutputExistsError: Something is there and `force` is False, or something that is not maskgrid's.
        MaskGridError: It can't be written: no permission, a file among its parents, no room.
    """
    target = local_folder(folder)
    try:
        is_there = os.path.lexists(target)
        if is_there and not force:
            raise OutputExistsError(
                f"{target} exists; allowed: a new folder, or force=True (--force) to replace it"
            )
        if is_there:
            names_of_ours(target)
        _check_parents(target, room, is_there=is_there)
    except MaskGridError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"{target} can't be written ({error}); allowed: another place") from error
    return target


def check_picture(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Whether a file can be written: everything that can be known before.

    Args:
        path: Its place.
        force: Whether a file that is there may be replaced.

    Returns:
        Its path; where a link to a file is given, that of the file.

    Raises:
        InvalidValueError: A URL, or a name that no file can have.
        OutputExistsError: Something is there and `force` is False, or it is no file.
        MaskGridError: It can't be written.
    """
    target = local_folder(path)
    try:
        is_there = os.path.lexists(target)
        if is_there and not (force and target.is_file()):
            raise OutputExistsError(
                f"{target} exists; allowed: a new file, or force=True (--force) to replace a file"
            )
        _check_parents(target, 0, is_there=False)
    except MaskGridError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"{target} can't be written ({error}); allowed: another place") from error
    return target


def local_folder(folder: str | os.PathLike[str]) -> Path:
    """What somebody calls an output, as a path of this machine: `~` opened, links followed, URLs refused.

    Raises:
        InvalidTypeError: No path.
        InvalidValueError: A URL, a `~user` that is unknown, or no name at all.
    """
    path = local_path(folder, "the output")
    try:
        # Drafts lie beside what is really written, on the same disk.
        path = Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"the output is {str(path)[:100]!r} ({error}); allowed: a path") from error
    if not path.name or path.name == ".." or "\0" in str(path):
        raise InvalidValueError(f"the output is {str(path)!r}; allowed: a path that ends in a name")
    return path


def names_of_ours(folder: Path, *, is_draft: bool = False) -> frozenset[str]:
    """The names in an output folder, all of which may be deleted.

    That are the files that its manifest lists, and nothing that anybody put beside them.

    Args:
        folder: The folder.
        is_draft: Whether it lies under a draft's name, where it may be half written and without a manifest.

    Raises:
        OutputExistsError: It is no folder, holds anything else, or is not maskgrid's; the message names it.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise OutputExistsError(f"{folder} is no folder and is not replaced; allowed: a new path")
    found = {path.name: path.lstat().st_mode for path in folder.iterdir()}
    if not found:
        return frozenset()
    try:
        listed = read_manifest(folder / MANIFEST).files
    except MaskGridError as error:
        if not is_draft:
            raise OutputExistsError(
                f"{folder} is no folder of maskgrid's and is not replaced: it holds {_names(found)} and no "
                "manifest that lists them; allowed with force: an empty folder, or one that maskgrid wrote"
            ) from error
        listed = frozenset(found)
    foreign = {
        name: mode
        for name, mode in found.items()
        if not stat.S_ISREG(mode) or name not in listed | _OF_NOBODY
    }
    if foreign:
        raise OutputExistsError(
            f"{folder} is not replaced: it holds {_names(foreign)}, which its {MANIFEST} does not list; "
            "allowed: to move that away first, or another folder"
        )
    return frozenset(found)


def _try_to_write(target: Path, parent: Path) -> None:
    """Make a folder where drafts will be, and remove it: permissions don't tell of /proc or a full disk."""
    probe = path_beside(parent / target.name, "tmp")
    try:
        probe.mkdir()
    except OSError as error:
        raise MaskGridError(
            f"{target} can't be written: nothing can be made in {parent} ({error.strerror}); "
            "allowed: another place"
        ) from error
    probe.rmdir()


def _names(found: dict[str, int]) -> str:
    names = [f"{name}/" if stat.S_ISDIR(mode) else name for name, mode in sorted(found.items())]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _check_parents(target: Path, room: int, *, is_there: bool) -> None:
    """Whether something can be made or exchanged at a place."""
    here = Path.cwd()
    absolute = Path.cwd() / target
    if is_there and target.resolve() in {here, *here.parents}:
        raise MaskGridError(f"{target} is the folder you are in and can't be replaced; allowed: another one")
    if is_there and target.is_mount():
        raise MaskGridError(f"{target} is a disk of its own and can't be replaced; allowed: a folder in it")
    # What nobody can look into is not there for `exists`.
    parent = next(folder for folder in absolute.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise MaskGridError(f"{target} can't be written: {parent} is no folder; allowed: another place")
    effective = os.access in os.supports_effective_ids
    if not os.access(parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise MaskGridError(
            f"{target} can't be written: there is no permission to write in {parent}; allowed: another place"
        )
    # Too long a name shows here.
    with contextlib.suppress(FileNotFoundError):
        (parent / target.name).lstat()
    _try_to_write(target, parent)
    usage = shutil.disk_usage(parent)
    # Some network disks say that they have no size at all.
    if usage.total and usage.free < room:
        raise MaskGridError(
            f"{target} can't be written: {usage.free >> 20} MiB are free and {-(-room >> 20)} are needed; "
            "allowed: another disk"
        )
