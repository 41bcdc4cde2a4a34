"""Broken and hostile DLPack capsules are errors, never crashes; and the deleter runs exactly once."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from capsules import Producer, Tensor, name_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from maskgrid import MaskGridError, Rect, masks
from maskgrid.errors import InvalidBufferError, InvalidTypeError

HUGE = 2**62
# Of a mask's sides.
LONGEST = 65_536
BOTH = pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])


def mask() -> np.ndarray:
    return np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(3, 4)


# What differs from a right capsule of (3, 4) float32, and what the message says.
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "null data": ({"data": None}, "data pointer is null"),
    "null shape": ({"shape": None}, "no shape"),
    "negative size": ({"shape": (3, -4)}, "negative size -4"),
    "most negative size": ({"shape": (-(2**63), 4)}, "negative size"),
    "negative ndim": ({"ndim": -1}, "has -1 axes"),
    "one axis too many": ({"ndim": 9}, "has 9 axes; allowed: 0 to 8"),
    "huge ndim": ({"ndim": 2**31 - 1}, "2147483647 axes"),
    "size overflows": ({"shape": (HUGE, HUGE), "strides": (0, 0)}, "overflow"),
    "size overflows beside 0": ({"shape": (HUGE, HUGE, 0), "ndim": 3, "strides": None}, "overflow"),
    "bytes overflow": ({"shape": (1, HUGE), "strides": (0, 0)}, "overflow"),
    "stride overflows": ({"strides": (HUGE, HUGE)}, "overflow"),
    "negative stride overflows": ({"strides": (-HUGE, -HUGE)}, "overflow"),
    "most negative stride": ({"strides": (-(2**63), 1)}, "overflow"),
    "reach overflows bytes": ({"strides": (2**60, 1)}, "overflow"),
    "address overflows": ({"data": 2**64 - 4096, "strides": (4096, 1)}, "overflow"),
    "address below zero": ({"data": 4096, "strides": (-4096, 1)}, "overflow"),
    "byte offset overflows": ({"byte_offset": 2**64 - 1}, "byte offset"),
    "byte offset misaligns": ({"byte_offset": 2}, "not aligned"),
    "lanes 2": ({"lanes": 2}, "2 lanes"),
    "lanes 0": ({"lanes": 0}, "0 lanes"),
    "1 bit": ({"bits": 1}, "1 bits"),
    "7 bits": ({"bits": 7}, "7 bits"),
    "0 bits": ({"bits": 0}, "0 bits"),
    "33 bits": ({"bits": 33}, "33 bits"),
    "on a GPU": ({"device_type": 2}, "device type 2"),
    "on no device": ({"device_type": -7}, "device type -7"),
}
VERSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "version 0": ({"major": 0}, "version 0.0; allowed: 1"),
    "version 2": ({"major": 2, "minor": 3}, "version 2.3; allowed: 1"),
    "no version": ({"major": 2**32 - 1}, "version 4294967295"),
}


@BOTH
@pytest.mark.parametrize("case", BROKEN)
def test_broken_capsules_are_refused_and_freed_once(case: str, versioned: bool) -> None:
    changed, words = BROKEN[case]
    tensor = Tensor(mask(), versioned, changed)
    capsule = tensor.capsule()
    with pytest.raises(InvalidBufferError, match=words):
        masks.threshold(capsule, out=np.empty((3, 4), np.float32))
    assert tensor.deleted == 1
    assert name_of(capsule).startswith(b"used_")
    del capsule
    assert tensor.deleted == 1


@pytest.mark.parametrize("case", VERSIONS)
def test_other_versions_are_refused_and_freed_once(case: str) -> None:
    changed, words = VERSIONS[case]
    # Of another version nothing but the head may be read: all else is nonsense here.
    tensor = Tensor(mask(), True, changed | {"ndim": 2**31 - 1, "shape": None, "data": None})
    with pytest.raises(InvalidBufferError, match=words):
        masks.invert(tensor.capsule(), out=np.empty((3, 4), np.float32))
    assert tensor.deleted == 1


@BOTH
@pytest.mark.parametrize("case", BROKEN)
def test_broken_outputs_are_refused_and_freed_once(case: str, versioned: bool) -> None:
    changed, words = BROKEN[case]
    tensor = Tensor(mask(), versioned, changed)
    with pytest.raises(InvalidBufferError, match=words):
        masks.threshold(mask(), out=tensor.capsule())
    assert tensor.deleted == 1


@BOTH
@pytest.mark.parametrize(("code", "bits"), [(5, 64), (3, 64), (2, 128), (200, 8)])
def test_dtypes_of_no_mask_are_type_errors(code: int, bits: int, versioned: bool) -> None:
    tensor = Tensor(np.zeros((3, 32)), versioned, {"code": code, "bits": bits, "shape": (3, 4)})
    with pytest.raises(InvalidTypeError, match="allowed:"):
        masks.threshold(tensor.capsule(), out=np.empty((3, 4), np.float32))
    assert tensor.deleted == 1


@BOTH
def test_a_capsule_is_used_once(versioned: bool) -> None:
    tensor = Tensor(mask(), versioned)
    capsule = tensor.capsule()
    masks.threshold(capsule)
    assert tensor.deleted == 1
    with pytest.raises(InvalidBufferError, match="used before"):
        masks.threshold(capsule)
    assert tensor.deleted == 1


def test_a_capsule_as_mask_and_as_out_is_used_once() -> None:
    tensor = Tensor(mask())
    capsule = tensor.capsule()
    with pytest.raises(InvalidBufferError, match="used before"):
        masks.threshold(capsule, out=capsule)
    assert tensor.deleted == 1


@pytest.mark.parametrize("name", [b"other", b"used_dltensor", b"used_dltensor_versioned"])
def test_capsules_of_another_name_are_left_alone(name: bytes) -> None:
    tensor = Tensor(mask(), True, {"name": name})
    capsule = tensor.capsule()
    with pytest.raises(InvalidBufferError, match="allowed: unused ones"):
        masks.threshold(capsule)
    assert tensor.deleted == 0
    assert name_of(capsule) == name


@BOTH
def test_without_a_deleter_nothing_is_called(versioned: bool) -> None:
    tensor = Tensor(mask(), versioned, {"deleter": False})
    assert (masks.threshold(tensor.capsule()) == (mask() >= 0.5)).all()


@BOTH
def test_finding_out_the_axes_leaves_a_capsule_usable(versioned: bool) -> None:
    tensor = Tensor(mask(), versioned)
    assert masks.bounding_box(tensor.capsule()) == Rect(1, 0, 3, 4)
    assert tensor.deleted == 1


@BOTH
def test_a_refused_output_frees_the_input(versioned: bool) -> None:
    tensor = Tensor(mask(), versioned)
    with pytest.raises(InvalidBufferError, match="out"):
        masks.threshold(tensor.capsule(), out=np.broadcast_to(np.float32(0), (3, 4)))
    assert tensor.deleted == 1


@BOTH
def test_a_capsule_may_be_used_on_another_thread(versioned: bool) -> None:
    tensor = Tensor(mask(), versioned)
    capsules = [tensor.capsule()]
    results: list[Any] = []

    def use() -> None:
        results.append(masks.threshold(capsules.pop()))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert tensor.deleted == 1
    assert (results[0] == (mask() >= 0.5)).all()


def test_of_many_threads_one_gets_a_capsule() -> None:
    for _ in range(20):
        tensor = Tensor(mask())
        capsule = tensor.capsule()
        barrier = threading.Barrier(4)
        outcomes: list[bool] = []

        def use(capsule: Any = capsule, barrier: Any = barrier, outcomes: Any = outcomes) -> None:
            barrier.wait()
            try:
                masks.threshold(capsule, out=np.empty((3, 4), np.float32))
            except InvalidBufferError:
                outcomes.append(False)
            else:
                outcomes.append(True)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, False, False, True]
        assert tensor.deleted == 1


class Odd:
    """A producer that does not keep to the protocol."""

    def __init__(self, export: Any, device: Any = (1, 0)) -> None:
        self.export = export
        self.device = device

    def __dlpack__(self, **_: Any) -> Any:
        if isinstance(self.export, BaseException):
            raise self.export
        return self.export

    def __dlpack_device__(self) -> Any:
        if isinstance(self.device, BaseException):
            raise self.device
        return self.device


OUT = np.empty((3, 4), np.float32)


@pytest.mark.parametrize("export", [None, 3, b"dltensor", object()])
def test_what_is_no_capsule_is_refused(export: Any) -> None:
    with pytest.raises(InvalidBufferError, match="returns no capsule"):
        masks.threshold(Odd(export), out=OUT)


@pytest.mark.parametrize(
    "error", [BufferError("busy"), RuntimeError("gone"), TypeError("never"), KeyError("x")]
)
def test_errors_of_a_producer_are_the_cause(error: Exception) -> None:
    with pytest.raises(InvalidBufferError, match="can't be exported") as refusal:
        masks.threshold(Odd(error), out=OUT)
    assert refusal.value.__cause__ is error


def test_an_interruption_of_a_producer_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        masks.threshold(Odd(KeyboardInterrupt()), out=OUT)


@pytest.mark.parametrize("device", [None, (1,), ("cpu", 0), 1, (2**40, 0), ValueError("none")])
def test_odd_devices_are_refused(device: Any) -> None:
    with pytest.raises(InvalidBufferError, match="can't be exported"):
        masks.threshold(Odd(None, device), out=OUT)


def test_a_device_is_refused_before_anything_is_exported() -> None:
    producer = Producer(Tensor(mask()), device=(2, 0))
    with pytest.raises(InvalidBufferError, match="device type 2"):
        masks.threshold(producer)
    assert producer.asked == []


SIZES = st.one_of(st.integers(0, 5), st.sampled_from([-1, 2**31, 2**61, 2**62, 2**63 - 1, -(2**63)]))
STRIDES = st.one_of(st.integers(-9, 9), st.sampled_from([2**40, 2**60, 2**62, 2**63 - 1, -(2**62), -(2**63)]))


@settings(max_examples=400)
@given(
    st.lists(st.tuples(SIZES, STRIDES), min_size=2, max_size=3),
    st.one_of(st.integers(0, 80), st.sampled_from([2**40, 2**63, 2**64 - 4])),
    st.booleans(),
    st.booleans(),
)
def test_a_capsule_gives_its_numbers_or_an_error(
    axes: list[tuple[int, int]], offset: int, dense: bool, versioned: bool
) -> None:
    memory = np.arange(40, dtype=np.float32) / 40
    # Three axes could be read in two ways.
    axes = [axes[0], (1, 7), *axes[1:]] if len(axes) == 3 else axes
    shape, strides = [size for size, _ in axes], None if dense else [stride for _, stride in axes]
    tensor = Tensor(
        memory,
        versioned,
        {"ndim": len(shape), "shape": shape, "strides": strides, "byte_offset": offset},
    )
    expected = numbers(memory, shape, strides, offset)
    if expected is None:
        with pytest.raises(MaskGridError):
            masks.invert(tensor.capsule(), out=np.empty((0, 0), np.float32))
    else:
        out = np.empty(shape, np.float32)
        masks.invert(tensor.capsule(), out=out)
        np.testing.assert_array_equal(out, 1 - expected)
    assert tensor.deleted == 1
    gc.collect(0)


def numbers(
    memory: np.ndarray, shape: list[int], strides: list[int] | None, offset: int
) -> np.ndarray | None:
    """The items that a tensor stands for; None where it must be refused. What neither tells is not tried."""
    if strides is None:
        strides = [int(np.prod(shape[axis + 1 :], dtype=object)) for axis in range(len(shape))]
    if max(shape[-2:]) > LONGEST:
        return None
    sizes = [size for size in shape if size > 0]
    if min(shape) < 0 or 4 * int(np.prod([1, *sizes], dtype=object)) >= 2**63:
        return None
    if memory.ctypes.data + offset >= 2**64:
        return None
    if 0 in shape:
        return np.empty(shape, np.float32)
    if offset % 4:
        return None
    reach = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    low, high = offset // 4 + sum(min(r, 0) for r in reach), offset // 4 + sum(max(r, 0) for r in reach)
    address = memory.ctypes.data
    if address + 4 * low < 0 or address + 4 * high >= 2**64 or 4 * (high - low) >= 2**63:
        return None
    # Memory of somebody else: nobody can know.
    assume(low >= 0 and high < len(memory))
    places = np.full((), offset // 4)
    for size, stride in zip(shape, strides, strict=True):
        # What the stride of a single item is does not matter.
        places = places[..., None] + np.arange(size) * (stride if size > 1 else 0)
    return memory[places]
