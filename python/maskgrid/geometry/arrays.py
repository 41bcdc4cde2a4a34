"""What kind of array a caller gave, and where the result goes.

Rust reads and writes host memory: numpy arrays as they are, CPU tensors through a DLPack capsule. A tensor on
another device never gets there: the functions of the folder `on_device` take it. This module recognises
tensors without importing torch: where it was not imported there are none.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid import _native
from maskgrid.errors import InvalidBufferError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "as_source",
    "as_target",
    "equal",
    "is_off_host",
    "is_tensor",
    "maximum",
    "new_array",
    "result_for",
    "shape_of",
    "zeros_like",
]

Array = Any
"""A numpy array, a torch tensor, a DLPack capsule, or an object with the buffer protocol or `__dlpack__`."""


def is_tensor(array: Array) -> bool:
    """Whether an array is a torch tensor, told without importing torch."""
    # A torch that is half imported has no Tensor yet.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(array, tensor)


def is_off_host(array: Array) -> bool:
    """Whether it is a torch tensor outside of host memory, which is for the folder `on_device`."""
    return type(array) is not np.ndarray and is_tensor(array) and not array.is_cpu


def as_source(array: Array) -> Array:
    """What native functions read: a capsule for a CPU tensor, anything else as it is."""
    return _capsule(array) if type(array) is not np.ndarray and is_tensor(array) else array


def as_target(out: Array) -> Array:
    """What native functions write, likewise.

    Raises:
        InvalidBufferError: A tensor on another device, or one that requires grad.
    """
    if type(out) is np.ndarray or not is_tensor(out):
        return out
    if not out.is_cpu:
        raise InvalidBufferError(f"out lies on {out.device}; allowed: host memory, where the input lies")
    if out.requires_grad:
        raise InvalidBufferError("out requires grad; allowed: a tensor that does not: out.detach()")
    if out.is_neg() or out.is_conj():
        raise InvalidBufferError("out is a lazily negated view; allowed: plain memory")
    return _capsule(out)


def _capsule(tensor: Array) -> Array:
    """A legacy capsule: several times faster than `__dlpack__`, and it reads tensors that require grad."""
    try:
        return sys.modules["torch"].to_dlpack(tensor.resolve_neg() if tensor.is_neg() else tensor)
    except (RuntimeError, BufferError, ValueError) as error:
        raise InvalidBufferError(f"the tensor of layout {tensor.layout} can't be read: {error}") from error


def shape_of(array: Array, name: str) -> tuple[int, ...]:
    """The shape of any array; a capsule stays usable.

    Raises:
        InvalidTypeError: No array; the message calls it `name`.
        InvalidBufferError: Memory that can't be read.
    """
    if type(array) is np.ndarray or is_tensor(array):
        return tuple(array.shape)
    return tuple(_native.describe(array, name)[0])


def new_array(like: Array, shape: Sequence[int], dtype: str) -> Array:
    """An uninitialised array of the kind of `like` in host memory: a tensor for a tensor, else numpy."""
    if type(like) is not np.ndarray and is_tensor(like):
        torch = sys.modules["torch"]
        return torch.empty(tuple(shape), dtype=getattr(torch, dtype))
    return np.empty(shape, dtype)


def result_for(mask: Array, out: Array, *, soft: bool = False) -> tuple[Array, Array, Array]:
    """What an operation on a mask reads, what it writes, and what it returns.

    The result has the mask's kind, shape and dtype (bool for whole numbers that are no bytes, float32 instead
    of bool where it is `soft`); or it is `out`.
    """
    if type(mask) is np.ndarray:
        if out is None:
            out = np.empty(mask.shape, _result_dtype(mask.dtype, soft))
            return mask, out, out
        return mask, as_target(out), out
    if is_tensor(mask):
        source = _capsule(mask)
        if out is None:
            out = _empty_tensor(mask, soft)
        return source, as_target(out), out
    if out is None:
        shape, dtype = _native.describe(mask, "the mask")
        out = np.empty(shape, _result_dtype(_numpy_dtype(dtype), soft))
    return mask, as_target(out), out


def _result_dtype(dtype: np.dtype[Any], soft: bool) -> np.dtype[Any]:
    if dtype.kind in "iu" and dtype != np.uint8:
        dtype = np.dtype(np.bool_)
    if soft and dtype == np.bool_:
        return np.dtype(np.float32)
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _empty_tensor(mask: Array, soft: bool) -> Array:
    torch = sys.modules["torch"]
    dtype = mask.dtype
    if not dtype.is_floating_point and not dtype.is_complex and dtype != torch.uint8:
        dtype = torch.float32 if soft else torch.bool
    return torch.empty_like(mask, dtype=dtype, memory_format=torch.contiguous_format)


def _numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The dtype of that name; float32 for bfloat16 where ml_dtypes did not teach it to numpy."""
    try:
        return np.dtype(dtype)
    except TypeError:
        return np.dtype(np.float32)


def zeros_like(like: Array, shape: Sequence[int]) -> Array:
    """Zeros of another shape; kind, dtype and device as `like`."""
    return like.new_zeros(tuple(shape)) if is_tensor(like) else np.zeros(shape, like.dtype)


def maximum(a: Array, b: Array) -> Array:
    """The larger of each two numbers, of two arrays or of two tensors."""
    return sys.modules["torch"].maximum(a, b) if is_tensor(a) else np.maximum(a, b)


def equal(a: Array, b: Array) -> bool:
    """Whether both are of one kind, on one device, and have the same shape and numbers."""
    if is_tensor(a) and is_tensor(b):
        return bool(a.device == b.device and sys.modules["torch"].equal(a, b))
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
