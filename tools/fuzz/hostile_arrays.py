"""Calls the native module with generated arrays: right ones, broken ones, and right ones in odd memory.

Memory of which a capsule or a buffer tells the truth ends where its block of malloc ends, so that
AddressSanitizer sees every item that is read or written beside it. What no consumer can know (a pointer to
nowhere) is not tried. A call ends with a result, a `MaskGridError` or a `MemoryError`; anything else ends the
run, with the seed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from typing import Any

import numpy as np
from capsules import Producer, Tensor
from crafted_buffers import crafted

from maskgrid import ForkPlan, Grid, MaskGridError, masks
from maskgrid.geometry import canvas

DTYPES = {
    "?": "?",
    "B": "u1",
    "b": "i1",
    "H": "u2",
    "h": "i2",
    "i": "i4",
    "q": "i8",
    "Q": "u8",
    "e": "f2",
    "f": "f4",
    "d": "f8",
}
HUGE = (2**31, 2**32 - 1, 2**61, 2**62, 2**63 - 1, -1, -(2**31), -(2**63))
FIELDS = ("shape", "strides", "ndim", "byte_offset", "bits", "lanes", "code", "device_type", "major", "data")


class Attack:
    """Arrays and calls drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        # A capsule does not hold what it points at.
        self.tensors: list[Tensor] = []

    def one_of(self, choices: Any) -> Any:
        """One of several, each as likely."""
        return choices[int(self.rng.integers(len(choices)))]

    def shape(self) -> tuple[int, ...]:
        """A shape of 0 to 6 axes; mostly those of masks and pictures, some long and narrow."""
        if self.rng.random() < 0.1:
            return self.one_of([(3000, 1), (1, 3000), (2, 1, 900, 3), (9000, 7, 1)])
        sides = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 63, 64, 65, 130)
        shape = [int(self.one_of(sides)) for _ in range(int(self.one_of([2, 2, 2, 3, 3, 4, 4, 0, 1, 5, 6])))]
        while np.prod(shape) > 100_000:
            shape[int(np.argmax(shape))] //= 2
        return tuple(shape)

    def memory(self, shape: tuple[int, ...], letter: str) -> np.ndarray:
        """Memory of its own block, seen through strides of all kinds."""
        dtype = np.dtype(DTYPES[letter])
        room = [side * int(self.one_of([1, 1, 1, 2, 3])) for side in shape]
        order = self.rng.permutation(len(room))
        block = np.zeros([room[axis] for axis in order], dtype)
        if self.rng.random() < 0.7:
            high = 2 if dtype.kind in "fb" or self.rng.random() < 0.3 else 256
            block[...] = self.rng.integers(0, high, block.shape).astype(dtype)
        if self.rng.random() < 0.2:
            block[...] = 0
        if not shape:
            return block
        view = block.transpose(np.argsort(order))
        view = view[
            tuple(slice(None, None, max(r // max(s, 1), 1)) for r, s in zip(room, shape, strict=True))
        ]
        view = view[tuple(slice(0, side) for side in shape)]
        flip = tuple(slice(None, None, self.one_of([1, 1, -1])) for _ in shape)
        view = view[flip]
        if self.rng.random() < 0.1:
            view = np.broadcast_to(view[:1], shape) if shape[0] else view
        return view

    def array(self, shape: tuple[int, ...] | None = None, letter: str | None = None) -> Any:
        """An array by one of the ways that there are, told truly or not."""
        shape = self.shape() if shape is None else shape
        letter = self.one_of(list(DTYPES)) if letter is None else letter
        array = self.memory(shape, letter)
        way = self.rng.random()
        if way < 0.3:
            return array
        if way < 0.45:
            return self.odd_buffer(array, letter)
        tensor = Tensor(array, bool(self.rng.random() < 0.5))
        self.tensors.append(tensor)
        if self.rng.random() < 0.6:
            tensor.fields = self.broken(array)
        return Producer(tensor) if self.rng.random() < 0.5 else tensor.capsule()

    def broken(self, array: np.ndarray) -> dict[str, Any]:
        """Fields that no consumer may believe: they overflow, or are nothing at all."""
        field = self.one_of(FIELDS)
        # Two items that far apart could be true.
        if field == "strides" and (array.ndim > 6 or min(array.shape, default=0) < 4):
            field = "data"
        wrong: dict[str, Any] = {
            "shape": tuple(int(self.one_of([side, self.one_of(HUGE)])) for side in array.shape) or None,
            "strides": (2**62, -(2**62), 2**63 - 1, -(2**63), 2**61, 2**62)[: array.ndim],
            "ndim": self.one_of([-1, 9, 2**31 - 1, -(2**31)]),
            "byte_offset": self.one_of([2**64 - 1, 2**64 - 8]),
            "bits": self.one_of([0, 1, 7, 255, 128]),
            "lanes": self.one_of([0, 2, 65535]),
            "code": self.one_of([3, 5, 7, 255]),
            "device_type": self.one_of([0, 2, -1, 2**31 - 1]),
            "major": self.one_of([0, 2, 2**32 - 1]),
            "data": None,
        }[field]
        fields = {field: wrong}
        if field == "shape":
            # Of a shape that fits into the address space by chance nobody could tell.
            fields["strides"] = (0,) * array.ndim if self.rng.random() < 0.5 else (2**62,) * array.ndim
            if wrong is None or min(wrong) >= 0:
                fields |= {"data": None}
        return fields

    def odd_buffer(self, array: np.ndarray, letter: str) -> Any:
        """A buffer that lies misaligned, in foreign order, or that overflows."""
        itemsize, shift = array.itemsize, int(self.rng.integers(0, 8))
        block = np.zeros(array.size * itemsize + shift, np.uint8)
        strides = np.zeros(array.shape, array.dtype).strides
        order = self.one_of(["", "<", ">", "!", "="])
        sign = {"": itemsize}.get(
            order, {"?": 1, "B": 1, "b": 1, "H": 2, "h": 2, "i": 4, "e": 2, "f": 4}.get(letter, 8)
        )
        shape: tuple[int, ...] = array.shape
        if self.rng.random() < 0.3:
            strides = tuple(self.one_of([stride, 2**62, -(2**62), 2**63 - 1, -(2**63)]) for stride in strides)
            if all(abs(stride) < 2**60 for stride in strides):
                strides = (2**63 - 1,) * array.ndim
        if self.rng.random() < 0.1:
            sign = int(self.one_of([0, 1, 2, 3, 16]))
        # One axis of length 1 hides its stride; memory that is short of what is left would be a lie.
        if any(abs(stride) >= 2**60 for stride in strides):
            shape = tuple(max(side, 4) for side in shape)
        return crafted(block, (order + letter).encode(), sign, shape, strides, offset=shift)

    def grid(self) -> Grid:
        """A small grid."""
        rows, columns, height, width, gap, stride = (int(n) for n in self.rng.integers(1, [4, 4, 9, 9, 3, 5]))
        return Grid(rows, columns, cell=(height, width), gap=gap - 1, stride=stride)

    def call(self) -> str:
        """One call; its name."""
        kind = self.one_of(["mask", "mask", "mask", "canvas", "plan"])
        return {"mask": self.call_mask, "canvas": self.call_canvas, "plan": self.call_plan}[kind]()

    def call_mask(self) -> str:
        """One mask operation."""
        name = self.one_of(["threshold", "invert", "grow", "shrink", "feather", "fill_holes", "bounding_box"])
        shape = self.shape()
        numbers = {"grow": 1, "shrink": 1, "feather": 1}.get(name, 0)
        length = self.one_of([0, 1, 1.5, 7, 300, 1e300, -1, float("nan")])
        options: dict[str, Any] = {}
        if name != "bounding_box" and self.rng.random() < 0.6:
            options["out"] = self.array(shape if self.rng.random() < 0.9 else None)
        getattr(masks, name)(self.array(shape), *[length] * numbers, **options)
        return name

    def call_canvas(self) -> str:
        """One canvas operation."""
        grid = self.grid()
        name = self.one_of(["tile", "join", "split", "merge", "paste"])
        letter = self.one_of(["B", "f", "d", "e", "?", "q"])
        cell, sheet, count = tuple(grid.cell), tuple(grid.canvas), len(grid)
        colours = self.one_of([(), (1,), (3,)])
        cells = self.one_of([None, [0], range(count), itertools.repeat(0), itertools.count()])
        out = self.array((*sheet, *colours), letter) if self.rng.random() < 0.4 else None
        if name == "tile":
            canvas.tile(
                self.array((*cell, *colours), letter),
                grid,
                background=self.one_of([0, 1, self.array((*sheet, *colours), letter)]),
                out=out,
            )
        elif name == "join":
            canvas.join(self.array((count, *cell, *colours), letter), grid, out=out)
        elif name == "split":
            canvas.split(
                self.array((*sheet, *colours), letter),
                grid,
                out=self.array((count, *cell, *colours), letter) if out is not None else None,
            )
        elif name == "merge":
            canvas.merge(self.array((count, *sheet, *colours), letter), grid, cells=cells, out=out)
        else:
            mask = self.one_of([None, self.array(cell), self.array((count, 1, *cell))])
            canvas.paste(
                self.array((*sheet, *colours), letter),
                self.array((count, *cell, *colours), letter),
                grid,
                mask,
                together=True,
                out=out,
            )
        return name

    def call_plan(self) -> str:
        """One plan and its masks."""
        grid = self.grid()
        shape = self.one_of([tuple(grid.cell), (len(grid), 1, *grid.cell), (*grid.cell, 3), self.shape()])
        cells = self.one_of([None, [0], itertools.count(), [2**63], [-1]])
        plan = ForkPlan(grid, self.array(shape), coverage=self.one_of(["center", "area", "min"]), cells=cells)
        out = self.array((len(plan), 1, *grid.latent_size)) if self.rng.random() < 0.5 else None
        plan.noise_masks(out=out)
        plan.sheet_mask()
        return "plan"


def main() -> None:
    """Attacks for as long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    outcomes: Counter[str] = Counter()
    for seed in itertools.count(arguments.seed):
        if time.monotonic() > end:
            break
        if sys.stdout.isatty():
            print(seed, end="\r", flush=True)
        try:
            outcomes[Attack(seed).call()] += 1
        except (MaskGridError, MemoryError) as error:
            outcomes[type(error).__name__] += 1
        except BaseException:
            print(f"seed {seed}")
            raise
    print(f"{sum(outcomes.values())} calls, nothing found: {dict(outcomes.most_common())}")


if __name__ == "__main__":
    main()
