"""Renames that the system does in one step: two paths exchanged, or a path that must not be there yet."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["exchange_paths", "rename_to_new"]

_AT_FDCWD = -100
# What a file system or a sandbox that does not know such a rename answers.
_UNKNOWN = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


def exchange_paths(first: Path, second: Path) -> bool:
    """Give each of two paths what the other one is, in one step that nothing can cut in two.

    Returns:
        False where the system or the file system can't; nothing has changed then.

    Raises:
        OSError: One of them is not there, or may not be renamed.
    """
    return _rename(first, second, linux=2, darwin=2)


def rename_to_new(source: Path, target: Path) -> None:
    """Rename to a path that must not exist; where the system can, it looks and renames in one step.

    Raises:
        FileExistsError: Something is there.
        OSError: It may not be renamed.
    """
    if _rename(source, target, linux=1, darwin=4):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _rename(source: Path, target: Path, *, linux: int, darwin: int) -> bool:
    function, is_darwin = _function()
    if function is None:
        return False
    names = os.fsencode(source), os.fsencode(target)
    if is_darwin:
        failed = function(*names, darwin)
    else:
        failed = function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], linux)
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


@cache
def _function() -> tuple[Any, bool]:
    """The system's rename with flags, and whether it is that of macOS; None where there is none."""
    if sys.platform not in ("linux", "darwin"):
        return None, False
    is_darwin = sys.platform == "darwin"
    function = getattr(ctypes.CDLL(None, use_errno=True), "renamex_np" if is_darwin else "renameat2", None)
    if function is not None:
        path = ctypes.c_char_p
        function.argtypes = (
            [path, path, ctypes.c_uint]
            if is_darwin
            else [ctypes.c_int, path, ctypes.c_int, path, ctypes.c_uint]
        )
    return function, is_darwin
