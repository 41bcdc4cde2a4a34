"""Buffers of Python's buffer protocol made by hand, right ones and broken ones."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["crafted"]


class PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_view = ctypes.pythonapi.PyMemoryView_FromBuffer
_view.restype = ctypes.py_object
_view.argtypes = [ctypes.POINTER(PyBuffer)]
# What views point at; they do not hold it.
_held: list[Any] = []


def crafted(
    memory: np.ndarray,
    letter: bytes | None,
    itemsize: int,
    shape: Sequence[int],
    strides: Sequence[int],
    *,
    offset: int = 0,
) -> memoryview:
    """A memoryview over an array's memory that says whatever it is told; strides and offset in bytes."""
    numbers = [(ctypes.c_ssize_t * max(len(values), 1))(*values) for values in (shape, strides)]
    buffer = PyBuffer(
        buf=memory.ctypes.data + offset,
        len=memory.nbytes,
        itemsize=itemsize,
        ndim=len(shape),
        format=letter,
        shape=ctypes.cast(numbers[0], ctypes.POINTER(ctypes.c_ssize_t)),
        strides=ctypes.cast(numbers[1], ctypes.POINTER(ctypes.c_ssize_t)),
    )
    _held.append((memory, numbers, buffer))
    view: memoryview = _view(ctypes.byref(buffer))
    return view
