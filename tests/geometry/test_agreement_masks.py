"""Mask operations of the Rust core against torch: the same bits, and a stated tolerance for the ramp."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import masks as native
from maskgrid.geometry.on_device import pixel_masks as on_device
from strategies import (
    LENGTHS,
    LEVELS,
    MASK_DTYPES,
    RESOLUTION,
    SIDES,
    array_of,
    dtype_name,
    masks,
    same_bits,
    tensor_of,
)

PLACEMENTS = st.sampled_from(["inside", "outside", "centred"])


def assert_same_kind(result: Any, mask: Any) -> None:
    """Torch gives torch, all else numpy."""
    assert isinstance(result, torch.Tensor if isinstance(mask, torch.Tensor) else np.ndarray)


@given(masks(), LEVELS)
def test_threshold(mask: Any, level: float) -> None:
    result = native.threshold(mask, level)
    assert_same_kind(result, mask)
    assert same_bits(result, on_device.threshold(tensor_of(mask), level))


@given(masks())
def test_invert(mask: Any) -> None:
    result = native.invert(mask)
    assert_same_kind(result, mask)
    assert same_bits(result, on_device.invert(tensor_of(mask)))


@given(masks(), LENGTHS, LEVELS)
def test_grow(mask: Any, radius: float, level: float) -> None:
    result = native.grow(mask, radius, level=level)
    assert_same_kind(result, mask)
    assert same_bits(result, on_device.grow(tensor_of(mask), radius, level=level))


@given(masks(), LENGTHS, LEVELS)
def test_shrink(mask: Any, radius: float, level: float) -> None:
    result = native.shrink(mask, radius, level=level)
    assert_same_kind(result, mask)
    assert same_bits(result, on_device.shrink(tensor_of(mask), radius, level=level))


@given(masks(), LENGTHS, PLACEMENTS, LEVELS)
def test_feather(mask: Any, width: float, where: str, level: float) -> None:
    result = native.feather(mask, width, where=where, level=level)
    expected = on_device.feather(tensor_of(mask), width, where=where, level=level)
    assert_same_kind(result, mask)
    assert dtype_name(result) == dtype_name(expected)
    assert_close(result, expected)


def assert_close(result: Any, expected: torch.Tensor) -> None:
    """Equal within what the dtype can tell apart after float32 arithmetic; a byte may be its neighbour."""
    scale = 255.0 if expected.dtype == torch.uint8 else 1.0
    found, wanted = (array_of(values).astype(np.float64) / scale for values in (result, expected))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2 * RESOLUTION[dtype_name(expected)])


@given(masks(), LEVELS)
def test_fill_holes(mask: Any, level: float) -> None:
    result = native.fill_holes(mask, level=level)
    assert_same_kind(result, mask)
    assert same_bits(result, on_device.fill_holes(tensor_of(mask), level=level))


@given(masks(), LEVELS)
def test_bounding_box(mask: Any, level: float) -> None:
    assert native.bounding_box(mask, level=level) == on_device.bounding_box(tensor_of(mask), level=level)


@given(masks(), st.sampled_from(MASK_DTYPES), st.booleans(), st.floats(0.0, 4.0))
def test_out_of_another_dtype(mask: Any, dtype: str, in_torch: bool, radius: float) -> None:
    tensor = tensor_of(mask)
    shape = tensor.shape

    def new() -> Any:
        if in_torch or dtype == "bfloat16":
            return torch.zeros(shape, dtype=getattr(torch, dtype))
        return np.zeros(shape, dtype)

    expected = torch.zeros(shape, dtype=getattr(torch, dtype))
    out = new()
    assert native.grow(mask, radius, out=out) is out
    assert same_bits(out, on_device.grow(tensor, radius, out=expected))
    assert same_bits(native.invert(mask, out=new()), on_device.invert(tensor, out=expected))
    assert_close(native.feather(mask, radius, out=new()), on_device.feather(tensor, radius, out=expected))


@given(masks(st.tuples(st.integers(0, 3), st.just(1), SIDES, SIDES)), LENGTHS)
def test_every_mask_of_a_stack_stands_alone(mask: Any, radius: float) -> None:
    together = native.feather(mask, radius, where="centred")
    for index, (single,) in enumerate(mask):
        assert same_bits(together[index][0], native.feather(single, radius, where="centred"))
