"""What canvas operations refuse, and that each refusal names the argument, its value and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskgrid import Grid, Rect, canvas
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError

PLAIN = Grid(2, 3, cell=(4, 5))


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (np.empty((8, 14), np.uint8), InvalidValueError, r"\(8, 14\).*\(8, 15\)"),
        (np.empty((1, 8, 15), np.uint8), InvalidValueError, r"\(1, 8, 15\)"),
        (np.empty((8, 15), np.int8), InvalidTypeError, "int8.*uint8"),
        (np.empty((8, 15), np.float32), InvalidTypeError, "float32.*uint8"),
        (
            np.broadcast_to(np.zeros((8, 1), np.uint8), (8, 15)),
            InvalidBufferError,
            "read-only|overlaps|written",
        ),
        (torch.zeros(1, 15, dtype=torch.uint8).expand(8, 15), InvalidBufferError, "overlaps itself"),
        (torch.zeros(8, 15, dtype=torch.uint8, device="meta"), InvalidBufferError, "meta"),
        ([[0] * 15] * 8, InvalidTypeError, "list"),
        (b"0" * 120, InvalidBufferError, "written|read-only"),
    ],
)
def test_outputs_that_do_not_fit(out: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        canvas.tile(values(4, 5), PLAIN, out=out)


def test_outputs_apart_from_all_inputs() -> None:
    memory = values(7, 8, 15)
    calls: list[Any] = [
        lambda: canvas.tile(memory[0, :4, :5], PLAIN, out=memory[0]),
        lambda: canvas.tile(values(4, 5), PLAIN, background=memory[0], out=memory[0]),
        lambda: canvas.join(memory[0, :, :15].reshape(6, 4, 5), PLAIN, out=memory[0]),
        lambda: canvas.split(memory[0], PLAIN, out=memory[0].reshape(6, 4, 5)),
        lambda: canvas.merge(memory[:6], PLAIN, out=memory[3]),
        lambda: canvas.merge(memory[:6], PLAIN, original=memory[6], out=memory[6]),
        lambda: canvas.paste(memory[0], values(6, 4, 5), PLAIN, together=True, out=memory[0]),
        lambda: canvas.paste(memory[0], memory[1].reshape(6, 4, 5), PLAIN, together=True, out=memory[1]),
        lambda: canvas.paste(
            memory[0], values(6, 4, 5), PLAIN, memory[1, :4, :5], together=True, out=memory[1]
        ),
    ]
    before = memory.copy()
    for call in calls:
        with pytest.raises(InvalidBufferError, match="overlap"):
            call()
    assert np.array_equal(memory, before)


@pytest.mark.parametrize("background", ["7", None, [[0] * 15] * 8, object()])
def test_backgrounds_that_are_none(background: Any) -> None:
    with pytest.raises(InvalidTypeError, match="background"):
        canvas.tile(values(4, 5), PLAIN, background=background)


SHEET, CELLS = values(8, 15, 3), values(6, 4, 5, 3)
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "no grid": (lambda: canvas.tile(CELLS[0], (2, 3)), InvalidTypeError, "grid is a tuple"),
    "no array": (lambda: canvas.tile([[1]], PLAIN), InvalidTypeError, "cell"),
    "objects": (lambda: canvas.tile(np.zeros((4, 5), object), PLAIN), InvalidTypeError, "object"),
    "complex": (lambda: canvas.split(np.zeros((8, 15), complex), PLAIN), InvalidTypeError, "complex"),
    "axes": (lambda: canvas.split(CELLS, PLAIN), InvalidValueError, r"\(6, 4, 5, 3\).*\(H, W, C\)"),
    "axes, channels first": (
        lambda: canvas.join(SHEET[0], PLAIN, channels="first"),
        InvalidValueError,
        r"\(15, 3\).*\(N, C, H, W\)",
    ),
    "channels": (
        lambda: canvas.split(SHEET, PLAIN, channels="none"),
        InvalidValueError,
        "'none'.*'last', 'first'",
    ),
    "cell": (lambda: canvas.tile(SHEET, PLAIN), InvalidValueError, r"\(8, 15, 3\).*4 x 5"),
    "cells": (lambda: canvas.join(CELLS[:5], PLAIN), InvalidValueError, "allowed: 6 images"),
    "sheet": (lambda: canvas.split(SHEET[:7], PLAIN), InvalidValueError, r"\(7, 15, 3\).*8 x 15"),
    "background": (
        lambda: canvas.tile(CELLS[0], PLAIN, background=SHEET[..., :2]),
        InvalidValueError,
        r"background.*\(8, 15, 2\).*\(8, 15, 3\)",
    ),
    "background's dtype": (
        lambda: canvas.tile(CELLS[0], PLAIN, background=SHEET.astype("f4")),
        InvalidTypeError,
        "background has dtype float32; allowed: uint8",
    ),
    "forks": (lambda: canvas.merge(SHEET[None, :, 1:], PLAIN), InvalidValueError, "forks"),
    "a cell too many": (lambda: canvas.merge(SHEET[None], PLAIN, cells=[6]), InvalidValueError, "cell 6"),
    "a negative cell": (lambda: canvas.merge(SHEET[None], PLAIN, cells=[-1]), InvalidValueError, "cell -1"),
    "half a cell": (lambda: canvas.merge(SHEET[None], PLAIN, cells=[0.5]), InvalidTypeError, "float"),
    "a cell twice": (
        lambda: canvas.merge(np.stack([SHEET] * 2), PLAIN, cells=[1, 1]),
        InvalidValueError,
        "cell 1 .*once",
    ),
    "a fork too few": (lambda: canvas.merge(SHEET[None], PLAIN, cells=[0, 1]), InvalidValueError, "2 images"),
    "no forks": (lambda: canvas.merge(SHEET[None][:0], PLAIN), InvalidValueError, "at least one fork"),
    "original": (
        lambda: canvas.merge(SHEET[None], PLAIN, original=SHEET[1:]),
        InvalidValueError,
        r"original.*\(7, 15, 3\)",
    ),
    "patches' dtype": (
        lambda: canvas.paste(SHEET, CELLS.astype("f2"), PLAIN),
        InvalidTypeError,
        "patches has dtype float16; allowed: uint8",
    ),
    "paste of int64": (
        lambda: canvas.paste(SHEET.astype("i8"), CELLS.astype("i8"), PLAIN),
        InvalidTypeError,
        "int64; allowed: uint8",
    ),
    "places": (
        lambda: canvas.paste(SHEET, CELLS, [Rect(0, 0, 4, 5)]),
        InvalidValueError,
        "6 patches and 1 places",
    ),
    "no places": (lambda: canvas.paste(SHEET, CELLS, 3), InvalidTypeError, "int"),
    "tuples": (lambda: canvas.paste(SHEET, CELLS[:1], [(0, 0, 4, 5)]), InvalidTypeError, "tuple"),
    "outside": (lambda: canvas.paste(SHEET, CELLS[:1], [Rect(5, 0, 9, 5)]), InvalidValueError, "5:9.*8 x 15"),
    "a grid of another canvas": (lambda: canvas.paste(SHEET[:7], CELLS, PLAIN), InvalidValueError, "8 x 15"),
    "channels of patches": (lambda: canvas.paste(SHEET, CELLS[..., :1], PLAIN), InvalidValueError, "patches"),
    "mask": (
        lambda: canvas.paste(SHEET, CELLS, PLAIN, np.ones((2, 4, 5))),
        InvalidValueError,
        r"mask.*\(2, 4, 5\).*\(1, 4, 5\) or \(6, 4, 5\)",
    ),
    "NaN in the mask": (
        lambda: canvas.paste(SHEET, CELLS, PLAIN, np.full((4, 5), np.nan)),
        InvalidValueError,
        "NaN at .mask 0, row 0, column 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    call, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        call()
