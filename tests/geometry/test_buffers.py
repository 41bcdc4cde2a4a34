"""What memory may be read and written, and that it is given back."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import sys
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from capsules import Producer, Tensor
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import Grid, MaskGridError, masks
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError
from maskgrid.geometry import latent_coverage as coverage

DTYPES = ["bool", "uint8", "float16", "bfloat16", "float32", "float64"]
PLAIN = [dtype for dtype in DTYPES if dtype != "bfloat16"]


def values(dtype: Any = "float32", shape: tuple[int, ...] = (3, 5, 7)) -> np.ndarray:
    """Numbers in [0, 1], no two rows alike."""
    ramp = np.random.default_rng(0).random(shape)
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return ramp >= 0.5
    return np.rint(255 * ramp).astype(dtype) if dtype == np.uint8 else ramp.astype(dtype)


def inverse(mask: Any) -> np.ndarray:
    """What `masks.invert` is to give, by numpy alone."""
    mask = np.asarray(mask)
    if mask.dtype == np.bool_:
        return ~mask
    return (255 if mask.dtype == np.uint8 else 1) - mask


LAYOUTS: dict[str, Any] = {
    "dense": lambda a: a,
    "Fortran order": np.asfortranarray,
    "flipped rows": lambda a: a[:, ::-1],
    "flipped columns": lambda a: a[:, :, ::-1],
    "all flipped": lambda a: a[::-1, ::-1, ::-1],
    "every other column": lambda a: a[..., ::2],
    "every third pixel, backward": lambda a: a[:, ::-3, ::-3],
    "transposed": lambda a: a.transpose(2, 0, 1),
    "offset": lambda a: a[1:, 2:, 3:],
    "one row again and again": lambda a: np.broadcast_to(a[0, 0], a.shape),
    "one pixel again and again": lambda a: np.broadcast_to(a[:1, :1, :1], a.shape),
    "one pixel": lambda a: a[0, :1, :1],
    "no rows": lambda a: a[:, :0],
    "no masks": lambda a: a[:0],
    "a plane of RGBA": lambda a: np.stack([a, a, a], axis=-1)[..., 1],
}


@pytest.mark.parametrize("dtype", PLAIN)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_in_any_layout(layout: str, dtype: str) -> None:
    mask = LAYOUTS[layout](values(dtype, (3, 17, 19)))
    result = masks.invert(mask)
    assert result.dtype == mask.dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, inverse(mask))
    mask = mask.view()
    mask.flags.writeable = False
    np.testing.assert_array_equal(masks.invert(mask), inverse(mask))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "flip" not in name and "back" not in name])
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_in_any_layout(layout: str, dtype: str) -> None:
    mask = (
        torch.from_numpy(LAYOUTS[layout](values(shape=(3, 17, 19))).copy()) if "again" not in layout else None
    )
    if mask is None:
        mask = torch.from_numpy(values())[:1, :1, :1].expand(3, 17, 19)
    elif layout == "transposed":
        mask = torch.from_numpy(values()).permute(2, 0, 1)
    mask = (mask >= 0.5) if dtype == "bool" else (255 * mask if dtype == "uint8" else mask)
    mask = mask.to(getattr(torch, dtype))
    result = masks.invert(mask)
    assert result.dtype == mask.dtype
    assert result.is_contiguous()
    expected = ~mask if dtype in ("bool", "uint8") else 1 - mask
    assert torch.equal(result, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_numpy_in_any_byte_order(dtype: str, order: str) -> None:
    mask = values(order + dtype)
    result = masks.invert(mask)
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(result, inverse(values(dtype)))


def test_numpy_that_is_misaligned() -> None:
    memory = np.zeros(4 * 105 + 1, np.uint8)
    mask = memory[1:].view(np.float32).reshape(3, 5, 7)
    mask[...] = values()
    assert not mask.flags.aligned
    np.testing.assert_array_equal(masks.invert(mask), inverse(mask))


def test_a_field_of_records_whose_stride_is_odd() -> None:
    records = np.zeros((5, 7), np.dtype([("flag", "u1"), ("alpha", "f4")]))
    records["alpha"] = values(shape=(5, 7))
    np.testing.assert_array_equal(masks.invert(records["alpha"]), inverse(records["alpha"]))
    np.testing.assert_array_equal(masks.invert(records["flag"]), inverse(records["flag"]))


def test_bytes_other_than_0_and_1_in_a_bool_mask_are_true() -> None:
    mask = np.array([[0, 1, 2, 255]], np.uint8).view(np.bool_)
    assert masks.threshold(mask).view(np.uint8).tolist() == [[0, 1, 1, 1]]


def test_bfloat16_of_numpy() -> None:
    mask = values().astype(ml_dtypes.bfloat16)
    result = masks.invert(mask)
    assert result.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(result, 1 - mask)
    out = np.empty(mask.shape, ml_dtypes.bfloat16)
    assert masks.invert(values(), out=out) is out
    np.testing.assert_allclose(out.astype(np.float32), inverse(values()), atol=2**-9)


def buffers() -> dict[str, tuple[Any, np.ndarray]]:
    """Objects with the buffer protocol that are no numpy arrays, and what is in them."""
    flat = [0.0, 0.25, 0.5, 1.0, 0.75, 0.125]
    numbers = np.array(flat, np.float32).reshape(2, 3)
    pages = mmap.mmap(-1, 24)
    pages[:] = numbers.tobytes()
    return {
        "memoryview": (memoryview(numbers), numbers),
        "memoryview backward": (memoryview(numbers)[::-1], numbers[::-1]),
        "array.array": (memoryview(array.array("d", flat)).cast("B").cast("d", (2, 3)), numbers.astype("f8")),
        "ctypes": ((ctypes.c_float * 3 * 2)(*map(tuple, numbers.tolist())), numbers),
        "bytes": (
            memoryview(bytes([0, 128, 255, 3])).cast("B", (2, 2)),
            np.array([[0, 128], [255, 3]], "u1"),
        ),
        "bytearray": (memoryview(bytearray(b"\x00\x01")).cast("?", (1, 2)), np.array([[False, True]])),
        "mmap": (memoryview(pages).cast("f", (2, 3)), numbers),
        "numpy subclass": (numbers.view(type("Sub", (np.ndarray,), {})), numbers),
        "producer": (Producer(Tensor(numbers)), numbers),
        "producer of old": (Producer(Tensor(numbers, versioned=False)), numbers),
        "capsule": (Tensor(numbers).capsule, numbers),
        "capsule of old": (Tensor(numbers, versioned=False).capsule, numbers),
        "dense capsule": (Tensor(numbers, fields={"strides": None}).capsule, numbers),
        "byte offset": (
            Tensor(numbers[1:], fields={"data": numbers.ctypes.data, "byte_offset": 12}).capsule,
            numbers[1:],
        ),
        "pinned": (Producer(Tensor(numbers, fields={"device_type": 3}), (3, 0)), numbers),
    }


@pytest.mark.parametrize("kind", buffers())
def test_other_exporters(kind: str) -> None:
    mask, expected = buffers()[kind]
    given = mask() if callable(mask) else mask
    result = masks.invert(given)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, inverse(expected))


def test_version_1_is_asked_for_first() -> None:
    modern, old = Producer(Tensor(values())), Producer(Tensor(values(), versioned=False))
    for producer in (modern, old):
        masks.invert(producer, out=np.empty((3, 5, 7), np.float32))
    assert modern.asked == [{"max_version": (1, 0)}]
    assert old.asked == [{"stream": None}]


def test_tensors_that_require_grad_are_read() -> None:
    mask = torch.from_numpy(values()).requires_grad_()
    result = masks.invert(mask)
    assert not result.requires_grad
    assert torch.equal(result, 1 - mask.detach())
    assert torch.equal(masks.invert(torch.nn.Parameter(mask.detach())), result)


def test_lazily_negated_tensors_are_read() -> None:
    mask = torch.complex(torch.zeros(2, 3), torch.full((2, 3), -0.25)).conj().imag
    assert mask.is_neg()
    assert masks.invert(mask).tolist() == [[0.75] * 3] * 2


def test_tensors_without_strides_are_refused() -> None:
    with pytest.raises(InvalidBufferError, match=r"layout torch\.sparse_coo"):
        masks.invert(torch.zeros(2, 3).to_sparse())


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1), (2, 3, 4, 0)])
def test_other_numbers_of_axes_are_refused(shape: tuple[int, ...]) -> None:
    for mask in (np.zeros(shape), torch.zeros(shape), Producer(Tensor(np.zeros(shape)))):
        with pytest.raises(InvalidValueError, match=r"the mask has shape .*allowed: \(H, W\), \(N, H, W\), "):
            masks.invert(mask)


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((2, 2), np.complex64),
        # Extended precision; where there is none this is float64, which is allowed.
        *([np.zeros((2, 2), np.longdouble)] if np.dtype(np.longdouble).itemsize > 8 else []),
        np.zeros((2, 2), object),
        np.zeros((2, 2), "U3"),
        np.zeros((2, 2), "M8[s]"),
        np.zeros((2, 2), "f4,f4"),
        np.zeros((2, 2), ml_dtypes.float8_e4m3fn),
        torch.zeros((2, 2), dtype=torch.complex64),
        torch.zeros((2, 2), dtype=torch.float8_e5m2),
    ],
    ids=lambda mask: str(mask.dtype),
)
def test_other_dtypes_are_refused(mask: Any) -> None:
    for call in (lambda: masks.invert(mask), lambda: masks.invert(mask, out=np.empty((2, 2), np.float32))):
        with pytest.raises(InvalidTypeError, match=r"the mask has (dtype|items of).*; allowed: bool"):
            call()


@pytest.mark.parametrize("mask", [None, 3, 0.5, "mask", [[0, 1]], object(), lambda: 0], ids=repr)
def test_what_is_no_array_is_refused(mask: Any) -> None:
    with pytest.raises(InvalidTypeError, match=f"the mask is a {type(mask).__name__}; allowed: arrays"):
        masks.invert(mask)


OUTPUTS: dict[str, Any] = {
    "dense": lambda: np.empty((3, 5, 7), np.float32),
    "every other column": lambda: np.empty((3, 5, 14), np.float32)[..., ::2],
    "backward": lambda: np.empty((3, 5, 7), np.float32)[::-1, ::-1, ::-1],
    "transposed": lambda: np.empty((7, 5, 3), np.float32).transpose(2, 1, 0),
    "window": lambda: np.empty((4, 9, 9), np.float32)[1:, 2:7, 1:8],
    "memoryview": lambda: memoryview(np.empty((3, 5, 7), np.float32)),
    "torch": lambda: torch.empty(3, 5, 7),
    "torch window": lambda: torch.empty(3, 9, 9)[:, 2:7, 1:8],
    "torch transposed": lambda: torch.empty(7, 5, 3).permute(2, 1, 0),
    "torch bfloat16": lambda: torch.empty(3, 5, 7, dtype=torch.bfloat16),
    "float64": lambda: np.empty((3, 5, 7)),
    "float16": lambda: np.empty((3, 5, 7), np.float16),
    "pinned": lambda: Producer(Tensor(np.empty((3, 5, 7), np.float32), fields={"device_type": 3}), (3, 0)),
}


def read(out: Any) -> np.ndarray:
    """What is in an output."""
    if isinstance(out, Producer):
        return out.tensor.array
    return out.to(torch.float32).numpy() if isinstance(out, torch.Tensor) else np.asarray(out)


@pytest.mark.parametrize("tensor", [False, True], ids=["numpy", "torch"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_results_go_where_they_are_wanted(kind: str, tensor: bool) -> None:
    out = OUTPUTS[kind]()
    mask = torch.from_numpy(values()) if tensor else values()
    assert masks.invert(mask, out=out) is out
    tolerance = {"torch bfloat16": 2**-9, "float16": 2**-12}.get(kind, 1e-7)
    np.testing.assert_allclose(read(out), inverse(values()), rtol=0, atol=tolerance)


def test_only_the_items_of_an_output_are_written() -> None:
    memory = np.full((3, 9, 20), 7.0, np.float32)
    masks.invert(values(), out=memory[:, 2:7, 1:15:2])
    np.testing.assert_array_equal(memory[:, 2:7, 1:15:2], inverse(values()))
    memory[:, 2:7, 1:15:2] = 7.0
    assert (memory == 7.0).all()


def test_halves_of_one_canvas_may_be_input_and_output() -> None:
    canvas = np.zeros((5, 14), np.float32)
    canvas[:, :7] = values(shape=(5, 7))
    masks.invert(canvas[:, :7], out=canvas[:, 7:])
    np.testing.assert_array_equal(canvas[:, 7:], 1 - canvas[:, :7])
    columns = np.zeros((5, 14), np.float32)
    masks.invert(columns[:, ::2], out=columns[:, 1::2])
    assert (columns == [0, 1] * 7).all()


def memory() -> np.ndarray:
    return np.zeros((10, 14), np.float32)


def read_only() -> np.ndarray:
    out = np.empty((5, 7), np.float32)
    out.flags.writeable = False
    return out


REFUSED: dict[str, tuple[Any, type[MaskGridError], str]] = {
    "read-only": (read_only, InvalidBufferError, "out can't be written: .*read-only"),
    "read-only memoryview": (
        lambda: memoryview(bytes(140)).cast("f", (5, 7)),
        InvalidBufferError,
        "out can't be written",
    ),
    "read-only capsule": (
        lambda: Tensor(np.empty((5, 7), np.float32), fields={"flags": 1}).capsule(),
        InvalidBufferError,
        "out is read-only",
    ),
    "a copy": (
        lambda: Tensor(np.empty((5, 7), np.float32), fields={"flags": 2}).capsule(),
        InvalidBufferError,
        "out is read-only",
    ),
    "one row": (
        lambda: np.lib.stride_tricks.as_strided(memory(), (5, 7), (0, 4)),
        InvalidBufferError,
        "overlaps itself",
    ),
    "overlapping rows": (
        lambda: np.lib.stride_tricks.as_strided(memory(), (5, 7), (24, 4)),
        InvalidBufferError,
        "overlaps itself",
    ),
    "expanded tensor": (lambda: torch.zeros(5, 1).expand(5, 7), InvalidBufferError, "overlaps itself"),
    "transposed": (
        lambda: np.empty((7, 5), np.float32),
        InvalidValueError,
        r"out has shape \(7, 5\); allowed:",
    ),
    "too large": (lambda: np.empty((5, 8), np.float32), InvalidValueError, r"allowed: \(5, 7\)"),
    "another axis": (lambda: np.empty((1, 5, 7), np.float32), InvalidValueError, r"\(1, 5, 7\)"),
    "flat": (lambda: np.empty(35, np.float32), InvalidValueError, r"out has shape \(35,\)"),
    "int64": (lambda: np.empty((5, 7), np.int64), InvalidTypeError, "out has dtype int64; allowed:"),
    "complex": (lambda: np.empty((5, 7), complex), InvalidTypeError, "out has dtype complex128"),
    "big endian": (lambda: np.empty((5, 7), ">f4"), InvalidBufferError, "byte order"),
    "misaligned": (
        lambda: np.zeros(141, np.uint8)[1:].view(np.float32).reshape(5, 7),
        InvalidBufferError,
        "misaligned",
    ),
    "requires grad": (
        lambda: torch.zeros(5, 7, requires_grad=True),
        InvalidBufferError,
        "requires grad.*detach",
    ),
    "negated": (
        lambda: torch.complex(torch.zeros(5, 7), torch.zeros(5, 7)).conj().imag,
        InvalidBufferError,
        "negated",
    ),
    "meta": (lambda: torch.empty(5, 7, device="meta"), InvalidBufferError, "out lies on meta"),
    "on a GPU": (
        lambda: Producer(Tensor(np.empty((5, 7), np.float32)), (2, 0)),
        InvalidBufferError,
        "out lies on a device",
    ),
    "no array": (lambda: [[0.0] * 7] * 5, InvalidTypeError, "out is a list"),
}


@pytest.mark.parametrize("tensor", [False, True], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_outputs_that_can_not_be_written_are_refused(case: str, tensor: bool) -> None:
    make, error, words = REFUSED[case]
    mask = values(shape=(5, 7))
    with pytest.raises(error, match=words):
        masks.invert(torch.from_numpy(mask) if tensor else mask, out=make())


OVERLAPS: dict[str, Any] = {
    "the same": lambda a: (a, a),
    "another view": lambda a: (a[::-1], a),
    "one row further": lambda a: (a[:-1], a[1:]),
    "one pixel": lambda a: (a[:3, :4], a[2:5, 3:7]),
    "one column": lambda a: (a[:, :6], a[:, 5:11]),
    "interleaved": lambda a: (a[:, :6:2], a[:, 4::3][:, :3]),
    "within the gaps": lambda a: (a[::2], a[1:6]),
    "torch over numpy": lambda a: (a, torch.from_numpy(a)),
    "numpy over torch": lambda a: (torch.from_numpy(a), a),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_an_output_that_overlaps_the_mask_is_refused(case: str) -> None:
    mask, out = OVERLAPS[case](memory())
    with pytest.raises(InvalidBufferError, match="out overlaps the mask"):
        masks.invert(mask, out=out)


def slices(length: int) -> st.SearchStrategy[slice]:
    number = st.one_of(st.none(), st.integers(-length - 1, length + 1))
    return st.builds(slice, number, number, st.sampled_from([None, 1, 2, 3, -1, -2]))


@given(st.data())
def test_overlap_is_what_numpy_says(data: st.DataObject) -> None:
    whole = np.zeros((6, 8), np.float32)
    mask = whole[data.draw(slices(6)), data.draw(slices(8))]
    out = whole[data.draw(slices(6)), data.draw(slices(8))]
    rows, columns = min(mask.shape[0], out.shape[0]), min(mask.shape[1], out.shape[1])
    mask, out = mask[:rows, :columns], out[:rows, :columns]
    if np.shares_memory(mask, out):
        with pytest.raises(InvalidBufferError, match="overlaps"):
            masks.invert(mask, out=out)
        return
    try:
        masks.invert(mask, out=out)
    except InvalidBufferError:
        # A dense output inside the gaps of the mask: refused to be safe.
        assert out.flags.c_contiguous
        assert np.may_share_memory(mask, out)
    else:
        assert (out == 1).all()


def test_a_refused_output_is_not_touched() -> None:
    out = np.full((4, 4), 7.0, np.float32)
    with pytest.raises(InvalidValueError):
        masks.threshold(np.zeros((4, 5)), out=out)
    assert (out == 7).all()


def test_memory_is_given_back() -> None:
    mask, out = values(), np.empty((3, 5, 7), np.float32)
    counts = sys.getrefcount(mask), sys.getrefcount(out)
    for _ in range(10):
        masks.invert(mask, out=out)
        with pytest.raises(InvalidValueError):
            masks.grow(mask, -1.0, out=out)
    assert (sys.getrefcount(mask), sys.getrefcount(out)) == counts
    # Neither is exported any more: otherwise both would refuse.
    mask.resize((1, 2), refcheck=False)
    growing = bytearray(4)
    with pytest.raises(MaskGridError):
        masks.invert(np.zeros((2, 3)), out=memoryview(growing).cast("B", (2, 2)))
    masks.invert(memoryview(growing).cast("B", (2, 2)))
    growing.extend(b"more")


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])
def test_memory_of_capsules_is_given_back(versioned: bool) -> None:
    tensor = Tensor(values(), versioned)
    freed = weakref.ref(tensor)
    masks.invert(tensor.capsule(), out=np.empty((3, 5, 7), np.float32))
    masks.invert(Producer(tensor), out=np.empty((3, 5, 7), np.float32))
    assert tensor.deleted == 2
    # To make an output the shape has to be known first, which takes a capsule more.
    masks.invert(Producer(tensor))
    assert tensor.deleted == 4
    del tensor
    gc.collect()
    assert freed() is None


def test_tensors_stay_free_to_grow() -> None:
    mask = torch.zeros(2, 3)
    masks.invert(mask)
    mask.resize_(20, 30).zero_()
    assert masks.invert(mask[:1]).shape == (1, 30)


def test_coverage_and_scatter_write_where_they_are_told() -> None:
    grid = Grid(2, 3, cell=16)
    mask = values(shape=(16, 16))
    expected, distinct, occupied = coverage.cover_cells(mask, grid)
    assert occupied == [True]
    out = torch.empty(1, 2, 2)
    assert masks.to_latent(mask, grid, out=out) is out
    np.testing.assert_array_equal(out.numpy(), expected)
    assert isinstance(masks.to_latent(torch.from_numpy(mask), grid), torch.Tensor)
    dense = np.empty((2, 1, 4, 6), np.float16)[:, :, ::-1]
    assert coverage.lay_noise_masks(expected, distinct, grid, [5, 0], out=dense) is dense
    np.testing.assert_allclose(dense[0, 0, 2:, 4:], expected[0], atol=1e-3)
    assert dense[0].astype(bool).sum() == 4
    for wrong in (np.empty((1, 2, 2)), np.empty((2, 2), np.float32)):
        with pytest.raises(MaskGridError, match="out has"):
            masks.to_latent(mask, grid, out=wrong)
    with pytest.raises(InvalidBufferError, match="out overlaps the latent coverages"):
        coverage.lay_noise_masks(expected, distinct, Grid(1, 1, cell=16), [0], out=expected[None])
    with pytest.raises(InvalidValueError, match=r"out has shape \(1, 4, 6\); allowed: \(1, 1, 4, 6\)"):
        coverage.lay_noise_masks(expected, distinct, grid, [0], out=np.empty((1, 4, 6), np.float32))
    with pytest.raises(InvalidValueError, match="cell 6 does not exist; there are 6"):
        coverage.lay_noise_masks(expected, distinct, grid, [0, 6])
    with pytest.raises(InvalidBufferError, match="the latent coverages have strides"):
        coverage.lay_noise_masks(np.zeros((1, 2, 4), np.float32)[:, :, ::2], distinct, grid, [0])
