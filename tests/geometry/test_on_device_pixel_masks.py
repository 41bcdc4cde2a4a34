"""Mask operations on a device against scipy and numpy, which share no code with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from maskgrid import Rect
from maskgrid.geometry.mask_axes import read_mask_axes, stack_masks
from maskgrid.geometry.on_device import pixel_masks as on_device
from strategies import (
    LENGTHS,
    LEVELS,
    MASK_DTYPES,
    RESOLUTION,
    array_of,
    as_dtype,
    dtype_name,
    masks,
    same_bits,
    tensor_of,
)


def inside_of(mask: Any, level: float) -> np.ndarray:
    """(N, H, W) bool by numpy: where the value is at least the level, both as float32."""
    values = stack_masks(array_of(mask))
    units = values.astype(np.float32) / np.float32(255 if values.dtype == np.uint8 else 1)
    return units >= np.float32(level)


def distances(targets: np.ndarray) -> np.ndarray:
    """Distance to the nearest True of each (H, W) in pixels; infinite without one."""
    result = np.full(targets.shape, np.inf)
    for distance, image in zip(result, targets, strict=True):
        if image.any():
            distance[...] = ndimage.distance_transform_edt(~image)
    return result


def assert_bools(result: torch.Tensor, expected: np.ndarray, mask: Any) -> None:
    """The result is one where expected, zero elsewhere, in the mask's dtype and shape."""
    one = 255 if result.dtype == torch.uint8 else 1
    assert dtype_name(result) == dtype_name(mask)
    assert result.shape == mask.shape
    np.testing.assert_array_equal(stack_masks(array_of(result)), expected * one)


@given(masks(), LEVELS)
def test_threshold_is_numpys_comparison(mask: Any, level: float) -> None:
    assert_bools(on_device.threshold(tensor_of(mask), level), inside_of(mask, level), mask)


@given(masks(), LENGTHS, LEVELS)
def test_grow_reaches_as_far_as_scipys_distance(mask: Any, radius: float, level: float) -> None:
    squares = np.rint(np.square(distances(inside_of(mask, level))))
    assert_bools(on_device.grow(tensor_of(mask), radius, level=level), squares <= min(radius, 1e6) ** 2, mask)


@given(masks(), LENGTHS, LEVELS)
def test_shrink_eats_as_far_as_scipys_distance(mask: Any, radius: float, level: float) -> None:
    squares = np.rint(np.square(distances(~inside_of(mask, level))))
    assert_bools(
        on_device.shrink(tensor_of(mask), radius, level=level), squares > min(radius, 1e6) ** 2, mask
    )


@given(masks(dtypes=["bool"]), st.integers(0, 6), st.booleans())
def test_grow_and_shrink_are_scipys_with_a_disc(mask: np.ndarray, radius: int, less: bool) -> None:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (y * y + x * x <= radius * radius)[None]
    inside = inside_of(mask, 0.5)
    if less:
        expected = ndimage.binary_erosion(inside, disc, border_value=1)
        assert_bools(on_device.shrink(tensor_of(mask), radius), expected, mask)
    else:
        assert_bools(on_device.grow(tensor_of(mask), radius), ndimage.binary_dilation(inside, disc), mask)


@given(masks(), LENGTHS, LEVELS, st.sampled_from(["inside", "outside", "centred"]))
def test_feather_is_the_ramp_over_scipys_distance(mask: Any, width: float, level: float, where: str) -> None:
    inside = inside_of(mask, level)
    signed = np.where(inside, distances(~inside) - 0.5, 0.5 - distances(inside))
    with np.errstate(divide="ignore", over="ignore"):
        ramp = {"inside": 0.0, "centred": 0.5, "outside": 1.0}[where] + signed / width
    expected = np.clip(ramp, 0.0, 1.0) if width > 0.0 else inside.astype(np.float64)
    result = on_device.feather(tensor_of(mask), width, where=where, level=level)
    assert dtype_name(result) == ("float32" if mask.dtype in (np.bool_, torch.bool) else dtype_name(mask))
    scale = 255.0 if result.dtype == torch.uint8 else 1.0
    found = stack_masks(array_of(result)).astype(np.float64) / scale
    np.testing.assert_allclose(
        found, expected.reshape(found.shape), atol=RESOLUTION[dtype_name(result)], rtol=0
    )


@given(masks(), LEVELS)
def test_fill_holes_is_scipys(mask: Any, level: float) -> None:
    inside = inside_of(mask, level)
    expected = np.array([ndimage.binary_fill_holes(image) if image.size else image for image in inside], bool)
    assert_bools(on_device.fill_holes(tensor_of(mask), level=level), expected.reshape(inside.shape), mask)


def test_fill_holes_walks_a_spiral_to_its_end() -> None:
    spiral = np.ones((21, 21), bool)
    y, x = 0, 0
    spiral[0, 0] = False
    lengths = [20, 20, 20, *(side for length in range(18, 0, -2) for side in (length, length))]
    for turn, length in enumerate(lengths):
        dy, dx = [(0, 1), (1, 0), (0, -1), (-1, 0)][turn % 4]
        for _ in range(length):
            y, x = y + dy, x + dx
            spiral[y, x] = False
    assert not spiral[y, x]
    np.testing.assert_array_equal(on_device.fill_holes(torch.from_numpy(spiral)).numpy(), spiral)
    closed = spiral.copy()
    closed[[0, -1]], closed[:, [0, -1]] = True, True
    closed[0, 0] = True
    np.testing.assert_array_equal(on_device.fill_holes(torch.from_numpy(closed)).numpy(), True)


@given(masks(), LEVELS)
def test_bounding_box_is_the_extent_of_numpys_indices(mask: Any, level: float) -> None:
    expected = []
    for image in inside_of(mask, level):
        rows, columns = np.nonzero(image)
        found = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else (0, 0, 0, 0)
        expected.append(Rect(*(int(edge) for edge in found)))
    result = on_device.bounding_box(tensor_of(mask), level=level)
    assert result == (expected[0] if read_mask_axes(mask.shape).masks is None else expected)


@given(masks())
def test_invert_is_numpys_subtraction(mask: Any) -> None:
    values = stack_masks(array_of(mask))
    expected = ~values if values.dtype in (np.bool_, np.uint8) else 1 - values
    result = on_device.invert(tensor_of(mask))
    assert dtype_name(result) == dtype_name(mask)
    found = stack_masks(array_of(result))
    np.testing.assert_array_equal(found, array_of(as_dtype(expected, dtype_name(mask))))


@given(masks(), st.sampled_from(MASK_DTYPES))
def test_out_holds_the_result_in_its_own_dtype(mask: Any, dtype: str) -> None:
    tensor = tensor_of(mask)
    out = torch.zeros(tensor.shape, dtype=getattr(torch, dtype))
    assert on_device.grow(tensor, 1.5, out=out) is out
    one = 255 if dtype == "uint8" else 1
    assert torch.equal(out == one, on_device.grow(tensor, 1.5) > 0)
    assert on_device.feather(tensor.to(torch.float32).clamp(0, 1), 3, out=out) is out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_written_like_the_level_is_inside(dtype: str) -> None:
    for percent in range(101):
        mask = as_dtype(np.full((1, 1), percent / 100), dtype)
        assert bool(on_device.threshold(tensor_of(mask), percent / 100).all())


def test_no_edge_stays_as_it_is() -> None:
    for value in (0.0, 1.0):
        mask = torch.full((3, 4), value)
        for where in ("inside", "outside", "centred"):
            assert torch.equal(on_device.feather(mask, 1000.0, where=where), mask)


def test_everything_is_made_on_the_masks_device() -> None:
    # With another default device, a tensor made without naming one would not mix with the mask.
    mask = (torch.rand(2, 20, 30) > 0.6).to(torch.float16)
    calls = {
        "threshold": lambda: on_device.threshold(mask),
        "invert": lambda: on_device.invert(mask),
        "grow": lambda: on_device.grow(mask, 2.5),
        "shrink": lambda: on_device.shrink(mask, 2.5),
        "feather": lambda: on_device.feather(mask, 2.5, where="centred"),
        "fill_holes": lambda: on_device.fill_holes(mask),
    }
    for call in calls.values():
        expected = call()
        with torch.device("meta"):
            assert same_bits(call(), expected)
    boxes = on_device.bounding_box(mask)
    with torch.device("meta"):
        assert on_device.bounding_box(mask) == boxes


def test_long_distances_do_not_overflow() -> None:
    mask = torch.zeros(40_000, 2)
    mask[0, 0] = 1.0
    ramp = on_device.feather(mask, 50_000.0, where="outside")
    expected = 1.0 + (0.5 - math.hypot(39_999, 1)) / 50_000.0
    assert math.isclose(float(ramp[-1, -1]), expected, abs_tol=1e-6)
