"""Which numbers a mask may have: bytes of 0 and 1 are refused, other whole numbers are read as bool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import ForkPlan, Grid, Rect, masks
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.geometry.on_device import latent_coverage as on_device_coverage
from maskgrid.geometry.on_device import pixel_masks as on_device
from strategies import array_of, dtype_name, same_bits

WHOLE = ("int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
CALLS: dict[str, tuple[Any, ...]] = {
    "threshold": (),
    "invert": (),
    "grow": (1.5,),
    "shrink": (1.5,),
    "feather": (2.5,),
    "fill_holes": (),
    "bounding_box": (),
}
EVERY = pytest.mark.parametrize("function", CALLS)
REMEDIES = r"largest value is 1.*multiply it by 255.*bool"


def call(module: Any, function: str, mask: Any) -> Any:
    return getattr(module, function)(mask, *CALLS[function])


@EVERY
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 70), (2, 1, 400, 300), (9, 8, 3)])
def test_bytes_of_0_and_1_are_refused_with_both_remedies(function: str, shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[(-1,) * (len(shape) - 1)] = 1
    for given_mask in (mask, mask[:, ::-1], torch.from_numpy(mask)):
        with pytest.raises(InvalidValueError, match=REMEDIES):
            call(masks, function, given_mask)
    with pytest.raises(InvalidValueError, match=REMEDIES):
        call(on_device, function, torch.from_numpy(mask))
    call(masks, function, mask * 255)
    call(masks, function, mask.astype(bool))


@EVERY
def test_one_larger_byte_anywhere_is_enough(function: str) -> None:
    for place in ((0, 0), (11, 63), (39, 99)):
        mask = np.ones((40, 100), np.uint8)
        mask[place] = 2
        call(masks, function, mask)
        call(on_device, function, torch.from_numpy(mask))
    call(masks, function, np.zeros((40, 100), np.uint8))
    stack = np.zeros((2, 40, 100), np.uint8)
    stack[0, 3, 3], stack[1, 4, 4] = 1, 255
    call(masks, function, stack)


def test_plans_and_pasting_refuse_bytes_of_0_and_1() -> None:
    stencil = np.zeros((16, 16), np.uint8)
    stencil[4:9, 4:9] = 1
    grid, sheet = Grid(2, 2, cell=16), np.zeros((32, 32), np.float32)
    for mask in (stencil, np.stack([stencil] * 4)):
        for refused in (
            lambda mask=mask: ForkPlan(grid, mask),
            lambda mask=mask: masks.to_latent(mask, grid),
            lambda mask=mask: on_device_coverage.cover_sheet(torch.from_numpy(mask), grid),
            lambda mask=mask: canvas.paste(sheet, np.ones((4, 16, 16), np.float32), grid, mask),
        ):
            with pytest.raises(InvalidValueError, match=REMEDIES):
                refused()
    assert len(ForkPlan(grid, stencil * 255)) == 4


@EVERY
@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_read_as_bool(function: str, dtype: str) -> None:
    inside = np.random.default_rng(1).random((3, 9, 70)) > 0.6
    expected = call(masks, function, inside)
    for one in (1,) if dtype == "int8" else (1, 255):
        mask = (inside * one).astype(dtype)
        for given_mask in (mask, mask[:, ::-1][:, ::-1], torch.from_numpy(mask)):
            result = call(masks, function, given_mask)
            assert result == expected if function == "bounding_box" else same_bits(result, expected)
        result = call(on_device, function, torch.from_numpy(mask))
        assert (
            result == expected if function == "bounding_box" else dtype_name(result) == dtype_name(expected)
        )


@EVERY
@pytest.mark.parametrize(
    ("dtype", "numbers", "words"),
    [
        ("int64", (1, 7), "whole number 7 at"),
        ("int8", (-1, 1), "whole number -1 at"),
        ("uint16", (1, 255), "whole number 255 at .* and 1 elsewhere"),
        ("int32", (255, 128), "whole number 128 at"),
        ("uint64", (2**64 - 1, 1), "whole number 18446744073709551615 at"),
    ],
)
def test_other_whole_numbers_are_refused(
    function: str, dtype: str, numbers: tuple[int, int], words: str
) -> None:
    mask = np.zeros((4, 9), dtype)
    mask[1, 2], mask[2, 5] = numbers
    for module, given_mask in (
        (masks, mask),
        (masks, torch.from_numpy(mask)),
        (on_device, torch.from_numpy(mask)),
    ):
        with pytest.raises(InvalidValueError, match=words):
            call(module, function, given_mask)


def test_whole_numbers_in_plans() -> None:
    labels = np.zeros((16, 16), np.int64)
    labels[4:9, 4:9] = 1
    grid = Grid(2, 2, cell=16)
    plan, expected = ForkPlan(grid, labels), ForkPlan(grid, labels > 0)
    assert plan == expected
    assert same_bits(plan.noise_masks(), expected.noise_masks())
    assert masks.bounding_box(labels) == Rect(4, 4, 9, 9)


def test_out_is_no_other_whole_number() -> None:
    with pytest.raises(InvalidTypeError, match="out has dtype int64; allowed: bool, uint8"):
        masks.invert(np.zeros((4, 4), np.int64), out=np.zeros((4, 4), np.int64))


@given(
    st.integers(1, 12),
    st.integers(1, 90),
    st.sets(st.integers(0, 255), min_size=1, max_size=3),
    st.integers(0, 9),
)
def test_both_layers_refuse_the_same_bytes(height: int, width: int, values: set[int], seed: int) -> None:
    mask = np.random.default_rng(seed).choice(sorted(values), (height, width)).astype(np.uint8)
    tensor = torch.from_numpy(mask)
    if mask.max() != 1:
        assert same_bits(masks.invert(mask), array_of(on_device.invert(tensor)))
        return
    for module, given_mask in ((masks, mask), (on_device, tensor)):
        with pytest.raises(InvalidValueError, match="largest value is 1"):
            module.invert(given_mask)


@given(
    st.sampled_from(WHOLE),
    st.sets(st.sampled_from([0, 1, 255, 2, -1, 256, 127]), min_size=1, max_size=3),
    st.integers(0, 9),
)
def test_both_layers_refuse_the_same_whole_numbers(dtype: str, values: set[int], seed: int) -> None:
    limits = np.iinfo(dtype)
    fitting = [value for value in sorted(values) if limits.min <= value <= limits.max] or [0]
    mask = np.random.default_rng(seed).choice(fitting, (5, 9)).astype(dtype)
    found = set(mask.ravel().tolist())
    texts = []
    for module, given_mask in ((masks, mask), (on_device, torch.from_numpy(mask))):
        if found <= {0, 1} or found <= {0, 255}:
            assert (np.asarray(module.threshold(given_mask)) == (mask != 0)).all()
            continue
        with pytest.raises(InvalidValueError) as refusal:
            module.threshold(given_mask)
        texts.append(str(refusal.value))
    assert len(set(texts)) <= 1
