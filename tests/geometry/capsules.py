"""DLPack capsules made by hand, right ones and broken ones."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["CODES", "Producer", "Tensor", "name_of"]

CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
NAMES = {
    name: ctypes.c_char_p(name)
    for name in (b"dltensor", b"dltensor_versioned", b"used_dltensor", b"used_dltensor_versioned", b"other")
}
Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Legacy(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", Deleter)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


_new = ctypes.pythonapi.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_get_name = ctypes.pythonapi.PyCapsule_GetName
_get_name.restype = ctypes.c_char_p
_get_name.argtypes = [ctypes.py_object]


def name_of(capsule: Any) -> bytes:
    """The name that a capsule has now."""
    return _get_name(capsule)


def _numbers(values: Sequence[int] | None) -> Any:
    return None if values is None else (ctypes.c_int64 * max(len(values), 1))(*values)


@dataclass
class Tensor:
    """A DLPack tensor over an array's memory, of which any field can be something else.

    Attributes:
        array: The memory; held until this object goes.
        versioned: Whether the capsule is a versioned one.
        fields: What differs from the truth: fields of `DLTensor` and of `Versioned`; `shape` and `strides`
            are sequences or None; `name` is the capsule's, `deleter` False for none.
        deleted: How often the deleter was called.
    """

    array: np.ndarray
    versioned: bool = True
    fields: dict[str, Any] = field(default_factory=dict)
    deleted: int = 0

    def capsule(self) -> Any:
        """A new capsule."""
        fields = {
            "data": self.array.ctypes.data,
            "device_type": 1,
            "device_id": 0,
            "ndim": self.array.ndim,
            "code": CODES[self.array.dtype.kind],
            "bits": 8 * self.array.itemsize,
            "lanes": 1,
            "shape": self.array.shape,
            "strides": tuple(stride // self.array.itemsize for stride in self.array.strides),
            "byte_offset": 0,
            "major": 1,
            "minor": 0,
            "flags": 0,
            "deleter": True,
            "name": b"dltensor_versioned" if self.versioned else b"dltensor",
        } | self.fields
        self._shape, self._strides = _numbers(fields["shape"]), _numbers(fields["strides"])
        self._deleter = Deleter(self._delete) if fields["deleter"] else Deleter()
        self._managed: Versioned | Legacy = Versioned() if self.versioned else Legacy()
        self._managed.deleter = self._deleter
        for name, _ in DLTensor._fields_:
            if name not in ("shape", "strides"):
                setattr(self._managed.tensor, name, fields[name])
        pointer = ctypes.POINTER(ctypes.c_int64)
        self._managed.tensor.shape = ctypes.cast(self._shape, pointer)
        self._managed.tensor.strides = ctypes.cast(self._strides, pointer)
        if self.versioned:
            for name in ("major", "minor", "flags"):
                setattr(self._managed, name, fields[name])
        return _new(ctypes.addressof(self._managed), NAMES[fields["name"]], None)

    def _delete(self, managed: int) -> None:
        assert managed == ctypes.addressof(self._managed)
        self.deleted += 1


class Producer:
    """An object whose only way to its memory is `__dlpack__`, of version 1 or of before."""

    def __init__(self, tensor: Tensor, device: Any = (1, 0)) -> None:
        self.tensor = tensor
        self.device = device
        self.asked: list[dict[str, Any]] = []
        if not tensor.versioned:
            self.__class__ = _LegacyProducer

    def __dlpack__(self, **options: Any) -> Any:
        self.asked.append(options)
        return self.tensor.capsule()

    def __dlpack_device__(self) -> Any:
        return self.device


class _LegacyProducer(Producer):
    def __dlpack__(self, stream: Any = None) -> Any:  # type: ignore[override]
        return super().__dlpack__(stream=stream)
