"""What is not allowed is a MaskGridError that says what, its value, and what is allowed; in both layers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskgrid import ForkPlan, Grid, MaskGridError, Rect, Size, canvas, masks
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.on_device import canvas as on_device_canvas
from maskgrid.geometry.on_device import latent_coverage as on_device_coverage
from maskgrid.geometry.on_device import pixel_masks as on_device_masks

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = Grid(2, 3, cell=(4, 6), stride=2)
MASK = np.zeros((4, 6), np.float32)


def refused(error: type[MaskGridError], call: Callable[[], Any], *words: str) -> None:
    """The call raises exactly this error, and its text has all these words."""
    with pytest.raises(MaskGridError) as refusal:
        call()
    assert type(refusal.value) is error
    for word in words:
        assert re.search(word, str(refusal.value)), f"{word!r} is not in {refusal.value}"


GRIDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no rows": ({"rows": 0}, ("rows is 0", "1 to 4096")),
    "no columns": ({"columns": 0}, ("columns is 0", "1 to 4096")),
    "negative rows": ({"rows": -3}, ("-3",)),
    "negative gap": ({"gap": -1}, ("gap", "-1", "0 to")),
    "negative margin": ({"margin": (0, -2)}, ("margin", "-2", "0 to")),
    "no stride": ({"stride": 0}, ("stride is 0", "1 to")),
    "no cell": ({"cell": (0, 5)}, ("cell height is 0", "1 to 65536")),
    "10^9 cells": ({"rows": 100_000, "columns": 10_000}, ("1000000000 cells", "4096")),
    "more rows than a word": ({"rows": 2**32}, ("rows", str(2**32), "4096")),
    "sides that overflow": ({"cell": (2**31, 8)}, (str(2**31), "65536")),
    "sides beyond 64 bits": ({"cell": (2**70, 8)}, (str(2**70),)),
    "a canvas beyond the limit": ({"cell": (60_000, 8)}, ("120000 px", "65536")),
    "a gap beyond the limit": ({"gap": 2**32 - 1}, (str(2**32 - 1), "65536")),
    "a cell larger than its canvas": (
        {"cell": (40, 4), "canvas": (64, 64)},
        ("40 px", "at least 80 px", "64 px"),
    ),
    "a canvas without room": ({"cell": None, "canvas": (1, 64)}, ("height of 1 px", "2 cells", "2 px")),
    "nothing to go by": ({"cell": None}, ("cell=", "canvas=")),
    "three numbers for two axes": ({"gap": (1, 2, 3)}, ("gap", "3 numbers", r"\(height, width\)")),
}


@pytest.mark.parametrize("case", GRIDS)
def test_grids(case: str) -> None:
    changed, words = GRIDS[case]
    arguments = {"rows": 2, "columns": 3, "cell": (4, 6)} | changed
    rows, columns = arguments.pop("rows"), arguments.pop("columns")
    refused(InvalidValueError, lambda: Grid(rows, columns, **arguments), *words)


@pytest.mark.parametrize("value", [2.5, "2", None, 1j, True])
def test_rows_are_whole_numbers(value: Any) -> None:
    refused(
        InvalidTypeError, lambda: Grid(value, 3, cell=(4, 6)), "rows", type(value).__name__, "whole number"
    )


@pytest.mark.parametrize("call", [GRID.cell_rect, GRID.latent_rect, GRID.write_rect, GRID.position])
def test_cells_that_do_not_exist(call: Callable[[int], Any]) -> None:
    refused(InvalidValueError, lambda: call(6), "6", "numbered from 0")
    refused(InvalidValueError, lambda: call(-7), "-7", "numbered from 0")
    refused(InvalidValueError, lambda: call(2**80), str(2**80))


def test_rectangles_and_sizes() -> None:
    refused(InvalidValueError, lambda: Rect(5, 0, 3, 4), r"\(5, 0\).*\(3, 4\)", "bottom >= top")
    refused(InvalidValueError, lambda: Rect(-1, 0, 3, 4), "-1")
    refused(InvalidTypeError, lambda: Size(1.5, 2), "float", "whole number")


def on_both_layers(
    error: type[MaskGridError],
    function: str,
    mask: Any,
    *words: str,
    arguments: tuple[Any, ...] = (),
    **options: Any,
) -> None:
    """The public function and, where the mask can be one, the torch operation refuse it alike."""
    refused(error, lambda: getattr(masks, function)(mask, *arguments, **options), *words)
    tensor = torch.from_numpy(mask) if isinstance(mask, np.ndarray) and mask.dtype != object else mask
    refused(error, lambda: getattr(on_device_masks, function)(tensor, *arguments, **options), *words)


MASK_CALLS: dict[str, tuple[Any, ...]] = {
    "threshold": (),
    "invert": (),
    "grow": (1.5,),
    "shrink": (1.5,),
    "feather": (1.5,),
    "fill_holes": (),
    "bounding_box": (),
}


@pytest.mark.parametrize("function", MASK_CALLS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, 1.5, -0.25, np.inf, -np.inf])
def test_mask_values(function: str, dtype: type, value: float) -> None:
    mask = np.zeros((2, 5, 40), dtype)
    mask[1, 3, 37] = value
    words = (r"mask 1, row 3, column 37", "nan|NaN" if np.isnan(value) else str(value), "0 to 1")
    on_both_layers(InvalidValueError, function, mask, *words, arguments=MASK_CALLS[function])


@pytest.mark.parametrize("function", MASK_CALLS)
def test_mask_axes(function: str) -> None:
    for shape in [(4,), (1, 2, 3, 4, 5), (), (2, 3, 4, 0)]:
        words = (re.escape(str(shape)), r"\(H, W\)")
        on_both_layers(
            InvalidValueError, function, np.zeros(shape, np.float32), *words, arguments=MASK_CALLS[function]
        )


@pytest.mark.parametrize("function", MASK_CALLS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_mask_dtypes(function: str, dtype: str) -> None:
    words = (dtype, "allowed: bool", "float16, bfloat16")
    mask = np.zeros((4, 6), dtype)
    on_both_layers(InvalidTypeError, function, mask, *words, arguments=MASK_CALLS[function])


@pytest.mark.parametrize("function", MASK_CALLS)
@pytest.mark.parametrize(
    "value", [np.zeros((4, 6), object), np.zeros((4, 6), "U1"), "mask", 3, None, [[0.0, 1.0]]]
)
def test_what_is_no_mask(function: str, value: Any) -> None:
    call = getattr(masks, function)
    refused(InvalidTypeError, lambda: call(value, *MASK_CALLS[function]))


@pytest.mark.parametrize(
    ("function", "name"), [("grow", "radius"), ("shrink", "radius"), ("feather", "width")]
)
def test_lengths(function: str, name: str) -> None:
    for value in (-1.0, np.nan, np.inf):
        on_both_layers(InvalidValueError, function, MASK, name, "0 or more", arguments=(value,))
    for other in ("3", None, True):
        on_both_layers(
            InvalidTypeError, function, MASK, name, type(other).__name__, "number", arguments=(other,)
        )


@pytest.mark.parametrize("function", [name for name in MASK_CALLS if name != "invert"])
def test_levels(function: str) -> None:
    for value in (-0.1, 1.1, np.nan):
        words = ("level", "0 to 1")
        on_both_layers(InvalidValueError, function, MASK, *words, arguments=MASK_CALLS[function], level=value)


def test_names() -> None:
    words = ("where", "'middle'", "'inside', 'outside', 'centred'")
    on_both_layers(InvalidValueError, "feather", MASK, *words, arguments=(2,), where="middle")
    coverages = ("coverage", "'bilinear'", "'center', 'nearest', 'area', 'max', 'min'")
    refused(InvalidValueError, lambda: ForkPlan(GRID, MASK, coverage="bilinear"), *coverages)
    refused(
        InvalidValueError,
        lambda: on_device_coverage.cover_cells(torch.from_numpy(MASK), GRID, coverage="bilinear"),
        *coverages,
    )


@pytest.mark.parametrize("shape", [(3, 4, 6), (0, 4, 6), (7, 4, 6), (6, 4), (4, 5), (6, 4, 7)])
def test_stencils_that_do_not_fit_the_grid(shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, np.float32)
    refused(InvalidValueError, lambda: ForkPlan(GRID, mask), "mask")
    refused(InvalidValueError, lambda: on_device_coverage.cover_cells(torch.from_numpy(mask), GRID), "mask")
    refused(InvalidValueError, lambda: on_device_coverage.cover_sheet(torch.from_numpy(mask), GRID), "mask")


def test_plans() -> None:
    ones = np.ones((4, 6), bool)
    refused(InvalidValueError, lambda: ForkPlan(GRID, ones, cells=[0, 6]), "6", "numbered from 0")
    refused(InvalidValueError, lambda: ForkPlan(GRID, ones, cells=[1, 1]), "1", "once|twice")
    refused(InvalidValueError, lambda: ForkPlan(GRID, ones, align=0), "align", "0", "1 or more")
    refused(InvalidValueError, lambda: ForkPlan(GRID, ones, align=3), "3", "4", "6")
    refused(InvalidValueError, lambda: ForkPlan(GRID, ones, halo=-1), "halo", "-1")
    plan = ForkPlan(GRID, ones)
    refused(InvalidValueError, lambda: plan.noise_masks(0, 7), "7", "6")
    refused(InvalidValueError, lambda: plan.batches(0), "0", "1 or more")


CANVAS_CALLS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "tile": (lambda ops, as_: ops.tile(as_((4, 7)), GRID), "cell"),
    "join": (lambda ops, as_: ops.join(as_((5, 4, 6)), GRID), "cells"),
    "split": (lambda ops, as_: ops.split(as_((8, 19)), GRID), "sheet"),
    "cell_view": (lambda ops, as_: ops.cell_view(as_((9, 18)), GRID), "sheet"),
    "merge": (lambda ops, as_: ops.merge(as_((2, 8, 17)), GRID, cells=[0, 1]), "forks"),
    "merge with another count": (lambda ops, as_: ops.merge(as_((2, 8, 18)), GRID, cells=[0]), "forks|cells"),
    "merge into no such cell": (lambda ops, as_: ops.merge(as_((1, 8, 18)), GRID, cells=[6]), "cell 6"),
    "merge a cell twice": (lambda ops, as_: ops.merge(as_((2, 8, 18)), GRID, cells=[3, 3]), "3.*once"),
    "merge over another original": (
        lambda ops, as_: ops.merge(as_((1, 8, 18)), GRID, cells=[0], original=as_((8, 17))),
        "original|background",
    ),
    "a background of another size": (
        lambda ops, as_: ops.tile(as_((4, 6)), GRID, background=as_((8, 17))),
        "background",
    ),
    "paste": (lambda ops, as_: ops.paste(as_((8, 18)), as_((5, 4, 6)), GRID), "patches|place"),
    "paste over the edge": (
        lambda ops, as_: ops.paste(as_((8, 18)), as_((1, 4, 6)), [Rect(5, 0, 9, 6)]),
        "place",
    ),
    "paste into another size": (
        lambda ops, as_: ops.paste(as_((8, 18)), as_((1, 4, 6)), [Rect(0, 0, 4, 5)]),
        "place",
    ),
    "paste through another size": (
        lambda ops, as_: ops.paste(as_((8, 18)), as_((1, 4, 6)), [Rect(0, 0, 4, 6)], as_((4, 5))),
        "mask",
    ),
    "paste through bad values": (
        lambda ops, as_: ops.paste(as_((8, 18)), as_((1, 4, 6)), [Rect(0, 0, 4, 6)], as_((4, 6)) + 2),
        "2",
    ),
    "one axis": (lambda ops, as_: ops.tile(as_((24,)), GRID), r"\(24,\)"),
    "five axes": (lambda ops, as_: ops.split(as_((1, 1, 8, 18, 1)), GRID), r"\(1, 1, 8, 18, 1\)"),
    "other words for channels": (lambda ops, as_: ops.tile(as_((4, 6)), GRID, channels="middle"), "'middle'"),
}


@pytest.mark.parametrize("case", CANVAS_CALLS)
def test_sheets(case: str) -> None:
    call, words = CANVAS_CALLS[case]
    refused(InvalidValueError, lambda: call(canvas, lambda shape: np.zeros(shape, np.float32)), words)
    refused(InvalidValueError, lambda: call(on_device_canvas, torch.zeros), words)


def test_sheets_of_other_dtypes() -> None:
    sheet, patches = np.zeros((8, 18), np.float32), np.zeros((6, 4, 6), np.float64)
    refused(InvalidTypeError, lambda: canvas.paste(sheet, patches, GRID), "float64", "float32")
    tensors = torch.from_numpy(sheet), torch.from_numpy(patches)
    refused(InvalidTypeError, lambda: on_device_canvas.paste(*tensors, GRID), "float64", "float32")
    refused(InvalidTypeError, lambda: canvas.tile(np.zeros((4, 6), object), GRID), "object")
    refused(InvalidTypeError, lambda: canvas.paste(sheet.astype(bool), patches.astype(bool), GRID), "bool")


@pytest.mark.parametrize("function", ["threshold", "invert", "fill_holes"])
def test_outputs(function: str) -> None:
    native, torch_function = getattr(masks, function), getattr(on_device_masks, function)
    tensor = torch.zeros(4, 6)
    refused(
        InvalidValueError, lambda: torch_function(tensor, out=torch.zeros(4, 5)), r"\(4, 5\)", r"\(4, 6\)"
    )
    refused(
        InvalidTypeError,
        lambda: torch_function(tensor, out=torch.zeros(4, 6, dtype=torch.int32)),
        "int32",
        "uint8",
    )
    refused(InvalidBufferError, lambda: torch_function(tensor, out=tensor), "overlaps")
    refused(
        InvalidBufferError,
        lambda: torch_function(tensor, out=torch.zeros(1, 6).expand(4, 6)),
        "share|overlap",
    )
    refused(
        InvalidBufferError,
        lambda: torch_function(tensor, out=torch.zeros(4, 6, device="meta")),
        "meta",
        "cpu",
    )
    refused(InvalidTypeError, lambda: torch_function(tensor, out=np.zeros((4, 6))), "ndarray")
    with pytest.raises(MaskGridError, match=r"\(4, 5\)"):
        native(MASK, out=np.zeros((4, 5), np.float32))
    with pytest.raises(MaskGridError, match="int32"):
        native(MASK, out=np.zeros((4, 6), np.int32))
    refused(InvalidBufferError, lambda: native(MASK, out=MASK), "overlap|share")
    read_only = np.zeros((4, 6), np.float32)
    read_only.flags.writeable = False
    refused(InvalidBufferError, lambda: native(MASK, out=read_only), "read-only")
