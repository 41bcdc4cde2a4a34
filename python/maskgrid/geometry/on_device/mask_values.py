"""The number types that masks may have, and how results get into their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.on_device.argument_checks import level_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    "at_least",
    "checked",
    "from_bools",
    "from_units",
    "name",
    "prepare_out",
    "stack_masks",
    "to_units",
]

MASK_DTYPES = (torch.bool, torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def stack_masks(mask: Tensor) -> Tensor:
    """The view (N, H, W) of a mask (H, W), (N, H, W) or (N, H, W, C), of which channel 0 counts.

    Raises:
        InvalidTypeError: Not a tensor, or of a dtype that no mask has.
        InvalidValueError: Another number of axes, or no channel.
    """
    if not isinstance(mask, torch.Tensor):
        raise InvalidTypeError(f"the mask is of type {type(mask).__name__}; allowed: a torch tensor")
    if mask.dtype not in MASK_DTYPES:
        allowed = ", ".join(name(dtype) for dtype in MASK_DTYPES)
        raise InvalidTypeError(f"the mask has dtype {name(mask.dtype)}; allowed: {allowed}")
    if mask.ndim == 2:
        return mask[None]
    if mask.ndim == 3:
        return mask
    if mask.ndim == 4 and mask.shape[3] > 0:
        return mask[..., 0]
    raise InvalidValueError(
        f"the mask has shape {tuple(mask.shape)}; "
        "allowed: (H, W), (N, H, W) or (N, H, W, C) with C of 1 or more"
    )


def checked(masks: Tensor) -> Tensor:
    """Masks (N, H, W) of any dtype, once all values are known to lie in [0, 1].

    Raises:
        InvalidValueError: A value outside [0, 1] or NaN; the message says where.
    """
    if not masks.dtype.is_floating_point:
        return masks
    outside = ~((masks >= 0) & (masks <= 1))
    if bool(outside.any()):
        index, row, column = torch.nonzero(outside)[0].tolist()
        value = float(masks[index, row, column])
        raise InvalidValueError(
            f"the mask has the value {value} at (mask {index}, row {row}, column {column}); "
            "allowed: numbers from 0 to 1"
        )
    return masks


def at_least(masks: Tensor, level: float) -> Tensor:
    """Where masks (N, H, W), read as float32, reach a level, which is rounded to float32 too.

    Raises:
        InvalidTypeError: A level that is no number.
        InvalidValueError: A level outside [0, 1], a value outside [0, 1] or NaN.
    """
    rounded = torch.tensor(level_number(level), dtype=torch.float32, device="cpu").item()
    return to_units(masks) >= rounded


def to_units(masks: Tensor) -> Tensor:
    """Masks (N, H, W) as float32 in [0, 1]; for uint8, 255 is 1.

    Raises:
        InvalidValueError: A value outside [0, 1] or NaN.
    """
    units = checked(masks).to(torch.float32)
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
        names = ", ".join(name(dtype) for dtype in allowed)
        raise InvalidTypeError(f"out has dtype {name(out.dtype)}; allowed: {names}")
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


def name(dtype: torch.dtype) -> str:
    """The dtype's name without "torch."."""
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
