"""What properties are checked on: grids, masks and images of every dtype, layout and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hypothesis import strategies as st

from maskgrid import Grid
from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
MASK_DTYPES = ("bool", "uint8", *FLOAT_DTYPES)
PASTE_DTYPES = ("uint8", *FLOAT_DTYPES)
# One of each item size, and what people store images and indices in.
IMAGE_DTYPES = (*MASK_DTYPES, "int8", "uint16", "int32", "int64")
# How far a number in [0, 1] may lie from the exact one: what a dtype can hold, after float32 arithmetic.
RESOLUTION = {
    "bool": 0.5,
    "uint8": 0.502 / 255,
    "float16": 3e-4,
    "bfloat16": 2.1e-3,
    "float32": 1e-6,
    "float64": 1e-6,
}
# What masks hold: pixels that are in or out, eighths, any numbers.
KINDS = ("speckles", "dense", "sparse", "levels", "smooth", "zeros", "ones")
SOFT_KINDS = ("levels", "smooth", "speckles")
COVERAGES = ("center", "nearest", "area", "max", "min")

# Most failures show at small sizes; some only where a row is longer than a machine word of pixels.
SIDES = st.one_of(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.integers(10, 150))
LEVELS = st.one_of(st.sampled_from([0.5, 0.5, 0.0, 0.25, 0.7, 1.0, 128 / 255]), st.floats(0.0, 1.0))
# Whole, fractional and irrational ones; some larger than any mask here.
LENGTHS = st.one_of(
    st.integers(0, 12).map(float),
    st.integers(0, 60).map(lambda squared: squared**0.5),
    st.floats(0.0, 20.0),
    st.sampled_from([1e-9, 150.5, 1e6, 1e200]),
)


def strides(most: int = 9) -> SearchStrategy[int]:
    """Pixels per latent cell."""
    return st.one_of(st.integers(1, most), st.sampled_from([8, 16, 32]))


@st.composite
def grids(draw: DrawFn, *, most: int = 4, cell: int = 12, space: int = 4) -> Grid:
    """Grids of up to `most` x `most` cells of up to `cell` pixels; gaps, margins and a rest up to `space`."""
    pair = st.tuples(st.integers(0, space), st.integers(0, space))
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    size = draw(st.tuples(st.integers(1, cell), st.integers(1, cell)))
    options: dict[str, Any] = {"gap": draw(pair), "margin": draw(pair), "stride": draw(strides())}
    grid = Grid(rows, columns, cell=size, **options)
    rest = draw(st.one_of(st.just((0, 0)), pair))
    canvas = (grid.canvas.height + rest[0], grid.canvas.width + rest[1])
    return Grid(rows, columns, cell=size, canvas=canvas, **options)


@st.composite
def even_grids(draw: DrawFn) -> Grid:
    """Grids whose cells, gaps and margins the stride divides."""
    stride = draw(st.sampled_from([1, 2, 3, 4, 8]))
    count, side, space = st.integers(1, 4), st.integers(1, 4), st.integers(0, 2)
    cell, gap, margin = ((draw(numbers) * stride, draw(numbers) * stride) for numbers in (side, space, space))
    return Grid(draw(count), draw(count), cell=cell, gap=gap, margin=margin, stride=stride)


def mask_shapes() -> SearchStrategy[tuple[int, ...]]:
    """All shapes of a mask, with sides of 0 and 1 too where they can be read in one way."""
    count, channels = st.integers(0, 3), st.sampled_from([1, 3, 4])
    large = SIDES.filter(lambda side: side == 0 or side > 4)
    rows = SIDES.filter(lambda side: side != 1)
    return st.one_of(
        st.tuples(SIDES, SIDES),
        st.tuples(count, SIDES, large),
        st.tuples(count, st.just(1), SIDES, SIDES),
        st.tuples(st.integers(5, 40), st.integers(5, 90), channels),
        st.tuples(count, rows, SIDES, channels),
    )


@st.composite
def masks(
    draw: DrawFn,
    shapes: SearchStrategy[tuple[int, ...]] | None = None,
    dtypes: Sequence[str] = MASK_DTYPES,
    kinds: Sequence[str] = KINDS,
) -> Any:
    """A mask of any dtype in any layout: numpy, and torch for bfloat16, which numpy does not have."""
    shape = draw(mask_shapes() if shapes is None else shapes)
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(kinds))
    values = as_dtype(_units(rng, kind, shape), dtype)
    if dtype == "uint8":
        # A mask of 0 and 1 alone is refused, and any part of this one may become a mask.
        values[values == 1] = 2
    return laid_out(draw, values)


def soft_masks(shapes: SearchStrategy[tuple[int, ...]]) -> SearchStrategy[Any]:
    """Masks to paste through, mostly with values between 0 and 1; now and then none."""
    soft = masks(shapes, kinds=SOFT_KINDS)
    return st.one_of(soft, soft, soft, masks(shapes), st.none())


def _units(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    chances = {"speckles": 0.5, "dense": 0.93, "sparse": 0.04, "zeros": -1.0, "ones": 2.0}
    if kind in chances:
        return (rng.random(shape) < chances[kind]).astype(np.float64)
    # Eighths hold exact ties; what lies close to a byte's edge shows roundings.
    return rng.integers(0, 9, shape) / 8 if kind == "levels" else rng.random(shape)


@st.composite
def cell_stencils(draw: DrawFn, grid: Grid, dtypes: Sequence[str] = MASK_DTYPES) -> Any:
    """A mask for all cells of a grid, or one for each."""
    return draw(masks(st.sampled_from(stencil_shapes(grid)), dtypes))


def stencil_shapes(grid: Grid) -> list[tuple[int, ...]]:
    """The shapes of masks as large as a grid's cells, for all cells or one for each."""
    size, count = (grid.cell.height, grid.cell.width), len(grid)
    shapes = [size, (1, *size), (1, 1, *size), (*size, 4), (count, 1, *size), (count, *size, 3)]
    # Three equal sides of 3 or 4 are a picture as well as a stack.
    return shapes if (count, *size) in ((3, 3, 3), (4, 4, 4)) else [*shapes, (count, *size)]


@st.composite
def images(draw: DrawFn, shape: tuple[int, ...], dtypes: Sequence[str] = IMAGE_DTYPES) -> Any:
    """An array of any bits that a picture may have, in any layout."""
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if dtype in FLOAT_DTYPES:
        return laid_out(draw, as_dtype(rng.normal(0.0, 2.0, shape), dtype))
    return laid_out(draw, as_dtype(rng.integers(0, 2 if dtype == "bool" else 128, shape), dtype))


def as_dtype(values: np.ndarray, dtype: str) -> Any:
    """Values in a dtype; numbers in [0, 1] become 0 to 255 as bytes."""
    if dtype == "bfloat16":
        return torch.from_numpy(values).to(torch.bfloat16)
    if dtype == "uint8" and values.dtype.kind == "f":
        return np.rint(values * 255.0).astype(np.uint8)
    return values.astype(dtype)


def laid_out(draw: DrawFn, values: Any) -> Any:
    """The same values in another layout of memory."""
    tensor = isinstance(values, torch.Tensor)
    kinds = ["dense", "sliced", "transposed", "offset", "broadcast"]
    kind = draw(st.sampled_from(kinds if tensor else [*kinds, "negative", "read-only"]))
    if kind == "sliced":
        room = [2 * side + 1 for side in values.shape]
        large = values.new_zeros(room) if tensor else np.zeros(room, values.dtype)
        view = large[tuple(slice(1, None, 2) for _ in room)]
        view[...] = values
        return view
    if kind == "transposed":
        order = draw(st.permutations(range(values.ndim)))
        back = tuple(int(axis) for axis in np.argsort(order))
        if tensor:
            return values.permute(*order).contiguous().permute(*back)
        return np.ascontiguousarray(values.transpose(order)).transpose(back)
    if kind == "offset":
        flat = values.new_zeros(values.numel() + 1) if tensor else np.zeros(values.size + 1, values.dtype)
        view = flat[1:].reshape(values.shape)
        view[...] = values
        return view
    if kind == "broadcast":
        axis = draw(st.integers(0, values.ndim - 1))
        first = values[(slice(None),) * axis + (slice(0, 1),)]
        if values.shape[axis] == 0:
            return values
        return first.expand(values.shape) if tensor else np.broadcast_to(first, values.shape)
    if kind == "negative":
        axes = tuple(slice(None, None, draw(st.sampled_from([1, -1]))) for _ in values.shape)
        return values[axes].copy()[axes]
    if kind == "read-only":
        values.flags.writeable = False
    return values


def tensor_of(values: Any) -> torch.Tensor:
    """The same values as a torch tensor of its own; a tensor keeps its layout."""
    if isinstance(values, torch.Tensor):
        return values
    return torch.from_numpy(np.array(values, order="C"))


def array_of(values: Any) -> np.ndarray:
    """The values as numpy, bfloat16 as float32."""
    if isinstance(values, torch.Tensor):
        return values.to(torch.float32).numpy() if values.dtype == torch.bfloat16 else values.numpy()
    return np.asarray(values)


def dtype_name(values: Any) -> str:
    """ "float32" for numpy's and for torch's."""
    return str(values.dtype).removeprefix("torch.")


def same_bits(first: Any, second: Any) -> bool:
    """Whether two results have one dtype, one shape and the same bits."""
    if dtype_name(first) != dtype_name(second) or tuple(first.shape) != tuple(second.shape):
        return False
    return _bytes(first) == _bytes(second)


def _bytes(values: Any) -> bytes:
    if isinstance(values, torch.Tensor):
        values = values.contiguous().reshape(-1).view(torch.uint8).numpy()
    return np.ascontiguousarray(values).tobytes()


def refused(make: Any) -> bool:
    """Whether a call is refused as not allowed."""
    try:
        make()
    except InvalidValueError:
        return True
    return False
