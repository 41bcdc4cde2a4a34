"""The number types that masks may have, and how results get into their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.mask_axes import read_mask_axes, stack_masks
from maskgrid.geometry.on_device.argument_checks import level_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

__all__ = [
    "at_least",
    "dtype_name",
    "from_bools",
    "from_units",
    "prepare_out",
    "read_masks",
    "result_dtype",
    "to_units",
    "write_result",
]

WHOLE_DTYPES = (
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)
MASK_DTYPES = (torch.bool, torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_masks(mask: Tensor, *, size: Iterable[int] | None = None) -> Tensor:
    """The masks (N, H, W) of a tensor with checked values; bool for whole numbers that are no bytes.

    Args:
        mask: Shaped as `maskgrid.geometry.mask_axes` says.
        size: Height and width in pixels that the masks should have, where that is known.

    Raises:
        InvalidTypeError: Not a tensor, or of a dtype that no mask has.
        InvalidValueError: A shape that is no mask's, floats outside [0, 1] or NaN, bytes of 0 and 1 alone,
            other whole numbers than 0 and 1 or 0 and 255; the message says where.
    """
    if not isinstance(mask, torch.Tensor):
        raise InvalidTypeError(f"the mask is of type {type(mask).__name__}; allowed: a torch tensor")
    if mask.dtype not in MASK_DTYPES and mask.dtype not in WHOLE_DTYPES:
        allowed = ", ".join(dtype_name(dtype) for dtype in MASK_DTYPES)
        raise InvalidTypeError(
            f"the mask has dtype {dtype_name(mask.dtype)}; allowed: {allowed}, "
            "and other whole numbers of 0 and 1 or 0 and 255"
        )
    masks: Tensor = stack_masks(mask, size=size)
    if masks.dtype.is_floating_point:
        _check_units(masks)
    elif masks.dtype == torch.uint8:
        _check_bytes(masks)
    elif masks.dtype in WHOLE_DTYPES:
        return _read_whole_numbers(masks)
    return masks


def _check_units(masks: Tensor) -> None:
    outside = ~((masks >= 0) & (masks <= 1))
    if bool(outside.any()):
        index, row, column = torch.nonzero(outside)[0].tolist()
        value = float(masks[index, row, column])
        raise InvalidValueError(
            f"the mask has the value {value} at (mask {index}, row {row}, column {column}); "
            "allowed: numbers from 0 to 1"
        )


def _check_bytes(masks: Tensor) -> None:
    if masks.numel() > 0 and int(masks.amax()) == 1:
        raise InvalidValueError(
            "the mask is uint8 and its largest value is 1, which is 1/255; allowed: 0 to 255, where 255 is 1 "
            "(multiply it by 255), or 0 and 1 as bool"
        )


def _read_whole_numbers(masks: Tensor) -> Tensor:
    # int64 has room for the 255 that int8 does not have; larger uint64 are negative there, no mask's too.
    numbers = masks.to(torch.int64)
    one, full = numbers == 1, numbers == 255
    other = ~(one | full | (numbers == 0))
    some_other = bool(other.any())
    bad = other if some_other else full & one.any()
    if bool(bad.any()):
        index, row, column = torch.nonzero(bad)[0].tolist()
        value = int(masks[index, row, column].item())
        beside = "" if some_other else " and 1 elsewhere"
        raise InvalidValueError(
            f"the mask has the whole number {value} at (mask {index}, row {row}, column {column}){beside}; "
            "allowed: 0 and 1, or 0 and 255; others as uint8 or as floats from 0 to 1"
        )
    return numbers != 0


def result_dtype(mask: Tensor, *, soft: bool = False) -> torch.dtype:
    """The dtype of results: the mask's, bool for other whole numbers; where `soft`, float32 for bool."""
    dtype = torch.bool if mask.dtype in WHOLE_DTYPES else mask.dtype
    return torch.float32 if soft and dtype == torch.bool else dtype


def write_result(result: Tensor, mask: Tensor, numbers: Tensor) -> Tensor:
    """Write numbers (N, H, W) into a result of the mask's shape; every channel of a picture gets them."""
    axes = read_mask_axes(mask.shape)
    shape = [side for axis, side in enumerate(mask.shape) if axis != axes.channels]
    numbers = numbers.reshape(shape)
    return result.copy_(numbers if axes.channels is None else numbers[..., None])


def at_least(masks: Tensor, level: float) -> Tensor:
    """Where masks that were read reach a level, both as float32.

    Raises:
        InvalidTypeError: A level that is no number.
        InvalidValueError: A level outside [0, 1].
    """
    rounded = torch.tensor(level_number(level), dtype=torch.float32, device="cpu").item()
    return to_units(masks) >= rounded


def to_units(masks: Tensor) -> Tensor:
    """Masks that were read as float32 in [0, 1]; for uint8, 255 is 1."""
    units = masks.to(torch.float32)
    return units / 255.0 if masks.dtype == torch.uint8 else units


def from_units(units: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest numbers of a dtype to values in [0, 1]; bool: whether a value is one half or more."""
    if dtype == torch.bool:
        return units >= 0.5
    if dtype == torch.uint8:
        return (units * 255.0).round().to(torch.uint8)
    return units.to(dtype)


def from_bools(inside: Tensor, dtype: torch.dtype) -> Tensor:
    """True as one (255 for uint8), False as zero."""
    if dtype == torch.uint8:
        return inside.to(torch.uint8) * 255
    return inside.to(dtype)


def prepare_out(
    out: Tensor | None,
    shape: Sequence[int],
    dtype: torch.dtype,
    inputs: Sequence[Tensor],
    *,
    allowed: Sequence[torch.dtype] = MASK_DTYPES,
) -> Tensor:
    """The caller's output, or a new tensor on the device of the first input.

    Args:
        out: The caller's tensor, or None.
        shape: The shape that the result has.
        dtype: The dtype of a new tensor.
        inputs: Tensors that are read; the output may not share memory with them.
        allowed: The dtypes that the caller's output may have.

    Raises:
        InvalidTypeError: The output is no tensor, or has another dtype than the allowed.
        InvalidValueError: The output has another shape.
        InvalidBufferError: The output lies on another device or shares memory with an input or with itself.
    """
    device = inputs[0].device
    if out is None:
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    if not isinstance(out, torch.Tensor):
        raise InvalidTypeError(f"out is of type {type(out).__name__}; allowed: a torch tensor on {device}")
    if out.dtype not in allowed:
        names = ", ".join(dtype_name(dtype) for dtype in allowed)
        raise InvalidTypeError(f"out has dtype {dtype_name(out.dtype)}; allowed: {names}")
    if out.shape != torch.Size(shape):
        raise InvalidValueError(f"out has shape {tuple(out.shape)}; allowed: {tuple(shape)}")
    if out.device != device:
        raise InvalidBufferError(f"out lies on {out.device}; allowed: {device}, where the input lies")
    if out.requires_grad:
        raise InvalidBufferError("out requires grad; allowed: a tensor that does not: out.detach()")
    if any(count > 1 and stride == 0 for count, stride in zip(out.shape, out.stride(), strict=True)):
        raise InvalidBufferError(
            f"out has elem_strides {out.stride()}, so elements share memory; allowed: memory of its own"
        )
    for tensor in inputs:
        if _share_memory(out, tensor):
            raise InvalidBufferError("out overlaps the memory of an input; allowed: memory of its own")
    return out


def dtype_name(dtype: torch.dtype) -> str:
    """A torch dtype's name without "torch."."""
    return str(dtype).removeprefix("torch.")


def _share_memory(a: Tensor, b: Tensor) -> bool:
    if a.numel() == 0 or b.numel() == 0 or a.device != b.device:
        return False
    (low_a, high_a), (low_b, high_b) = _span(a), _span(b)
    return low_a < high_b and low_b < high_a


def _span(tensor: Tensor) -> tuple[int, int]:
    """First address and the one past the last that a tensor touches; torch has no negative strides."""
    reach = sum((count - 1) * stride for count, stride in zip(tensor.shape, tensor.stride(), strict=True))
    start = tensor.data_ptr()
    return start, start + (reach + 1) * tensor.element_size()
