"""Crafted buffers, endless sequences and short memory are errors, never crashes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from crafted_buffers import crafted
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from maskgrid import ForkPlan, Grid, MaskGridError, Rect, masks
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.geometry.on_device import canvas as on_device_canvas

MEMORY = np.zeros(4096, np.float32)
# Lies that would be followed: how items lie, how far apart, and what the message says.
LIES = {
    "aligned": (b"f", 4, 0),
    "misaligned": (b"f", 4, 1),
    "big-endian": (b">f", 4, 0),
    "big-endian, misaligned": (b">f", 4, 3),
}
FAR = (2**62, 2**63 - 4, -(2**62), -(2**63))


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("stride", FAR)
def test_strides_that_overflow_are_refused_before_they_are_followed(lie: str, stride: int) -> None:
    letter, itemsize, offset = LIES[lie]
    mask = crafted(MEMORY, letter, itemsize, (16, 16), (stride, 4), offset=offset)
    with pytest.raises(InvalidBufferError, match="sizes and strides that overflow"):
        masks.threshold(mask)


@pytest.mark.parametrize("shape", [(2**62, 2**62), (2**61, 1), (-3, 4)])
@pytest.mark.parametrize("lie", LIES)
def test_sizes_that_overflow_are_refused(lie: str, shape: tuple[int, int]) -> None:
    letter, itemsize, offset = LIES[lie]
    mask = crafted(MEMORY, letter, itemsize, shape, (0, 0), offset=offset)
    with pytest.raises((MaskGridError, MemoryError)):
        masks.threshold(mask, out=np.empty((4, 4), np.float32))


@pytest.mark.parametrize(
    ("letter", "itemsize"), [(b"!f", 8), (b"f", 8), (b"d", 4), (b"<l", 8), (None, 2), (b"?", 2), (b"e", 1)]
)
def test_a_format_says_the_size_of_an_item(letter: bytes | None, itemsize: int) -> None:
    for offset in (0, 1):
        mask = crafted(MEMORY, letter, itemsize, (4, 4), (4 * itemsize, itemsize), offset=offset)
        with pytest.raises(InvalidBufferError, match=f"items of {itemsize} bytes and the format"):
            masks.threshold(mask)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-20, 20)), min_size=2, max_size=2),
    st.sampled_from([(b"f", 4), (b">f", 4), (b"<f", 4), (b"d", 8), (b">d", 8), (b"e", 2), (b">e", 2)]),
    st.integers(0, 300),
)
def test_odd_buffers_give_the_numbers_that_lie_there(
    axes: list[tuple[int, int]], kind: tuple[bytes, int], offset: int
) -> None:
    letter, itemsize = kind
    dtype = np.dtype(letter.decode() if len(letter) > 1 else f"={letter.decode()}")
    shape, strides = [size for size, _ in axes], [stride for _, stride in axes]
    reach = [(size - 1) * stride for size, stride in axes if size]
    low, high = offset + sum(min(r, 0) for r in reach), offset + sum(max(r, 0) for r in reach) + itemsize
    memory = np.random.default_rng(0).integers(0, 256, 400, np.uint8)
    assume(low >= 0 and high <= 400)
    places = offset + np.add.outer(np.arange(shape[0]) * strides[0], np.arange(shape[1]) * strides[1])
    expected = np.array(
        [np.frombuffer(memory[place : place + itemsize].tobytes(), dtype)[0] for place in places.ravel()],
        dtype.newbyteorder("="),
    ).reshape(shape)
    expected_bad = bool((~((expected >= 0) & (expected <= 1))).any())
    view = crafted(memory, letter, itemsize, shape, strides, offset=offset)
    out = np.empty(shape, expected.dtype)
    if expected_bad:
        with pytest.raises(InvalidValueError, match="the mask has the value"):
            masks.invert(view, out=out)
    else:
        masks.invert(view, out=out)
        np.testing.assert_array_equal(out, 1 - expected)


class Brain:
    """Says that it is bfloat16; its view as whole numbers is whatever it is told."""

    class dtype:  # noqa: N801 - the name that arrays have
        name = "bfloat16"

    def __init__(self, view: Any = None) -> None:
        self.seen_as = self if view is None else view

    def view(self, dtype: str) -> Any:
        assert dtype == "uint16"
        return self.seen_as


@pytest.mark.parametrize(
    "view",
    [None, np.zeros((4, 4), np.float64), np.zeros((4, 4), np.uint32), "text", 3, np.zeros((4, 4), object)],
)
def test_what_only_says_that_it_is_bfloat16_is_refused(view: Any) -> None:
    for function in (masks.threshold, lambda mask: masks.invert(np.zeros((4, 4)), out=mask)):
        with pytest.raises((InvalidBufferError, InvalidTypeError)):
            function(Brain(view))


def endless() -> Any:
    return itertools.count()


GRID = Grid(2, 2, cell=4)
FORKS = np.zeros((4, 8, 8), np.uint8)
ENDLESS: dict[str, Any] = {
    "merge": lambda: canvas.merge(FORKS, GRID, cells=endless()),
    "merge, on a device": lambda: on_device_canvas.merge(torch.from_numpy(FORKS), GRID, cells=endless()),
    "merge, one number for ever": lambda: canvas.merge(FORKS, GRID, cells=itertools.repeat(0)),
    "merge on a device, one number for ever": lambda: on_device_canvas.merge(
        torch.from_numpy(FORKS), GRID, cells=itertools.repeat(0)
    ),
    "a plan's cells": lambda: ForkPlan(GRID, np.ones((4, 4)), cells=endless()),
    "places": lambda: canvas.paste(FORKS[0], FORKS[:, :4, :4], itertools.repeat(Rect(0, 0, 4, 4))),
    "places, on a device": lambda: on_device_canvas.paste(
        torch.from_numpy(FORKS[0]), torch.from_numpy(FORKS[:, :4, :4]), itertools.repeat(Rect(0, 0, 4, 4))
    ),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_sequences_without_an_end_are_refused(case: str) -> None:
    with pytest.raises(InvalidValueError):
        ENDLESS[case]()


@pytest.mark.parametrize("count", [5, 2**32 - 1, 2**32 + 2, 2**40])
def test_more_forks_than_cells_are_refused_before_anything_is_made_for_them(count: int) -> None:
    forks = np.broadcast_to(np.zeros((8, 8), np.uint8), (count, 8, 8))
    with pytest.raises(InvalidValueError, match="allowed: at most 4 images, one for each cell"):
        canvas.merge(forks, GRID)


linux = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
SHORT = """
import os, resource, sys
import numpy as np
import maskgrid
from maskgrid import Grid, masks
from maskgrid.geometry import canvas
side = 3000
check = (np.indices((side, side)).sum(0) % 2).astype(np.uint8) * 255
out, half = np.empty_like(check), np.empty((side, side), np.float16)
columns = check[:, ::2]
calls = {
    "fill_holes": lambda: masks.fill_holes(check, out=out),
    "feather": lambda: masks.feather(check, 600, out=out),
    "grow": lambda: masks.grow(check, 600, out=out),
    "grow a little": lambda: masks.grow(check, 30, out=out),
    "a new result": lambda: masks.grow(check, 3),
    "paste": lambda: canvas.paste(check, check[None], Grid(1, 1, cell=side), check, together=True, out=out),
    "box": lambda: masks.bounding_box(check),
    "another dtype": lambda: masks.invert(check, out=half),
    "strides": lambda: masks.invert(columns, out=out[:, ::2]),
    "whole numbers": lambda: masks.threshold(check.view(np.int8)[:1000] * 0, out=out[:1000]),
}
used = lambda: int(open("/proc/self/statm").read().split()[0]) * 4096
for name, call in calls.items():
    for threads in (1, 2):
        for extra in (0, 1, 3, 6, 12, 25, 50):
            child = os.fork()
            if child == 0:
                maskgrid.set_num_threads(threads)
                masks.grow(np.eye(1500) > 0, 3)
                resource.setrlimit(resource.RLIMIT_AS, (used() + (extra << 20),) * 2)
                try:
                    call()
                except MemoryError:
                    os._exit(2)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(name, status, sep=":")
"""


@linux
def test_short_memory_is_a_memory_error_and_nothing_is_aborted() -> None:
    flags = ["-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *flags, "-c", SHORT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = [line.split(":") for line in done.stdout.splitlines()]
    assert {status for _, status in outcomes} == {"0", "2"}, (outcomes, done.stderr)
    assert any(name == "fill_holes" and status == "2" for name, status in outcomes)
