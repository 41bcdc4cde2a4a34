"""Mask operations on masks small enough to write down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskgrid import Grid, MaskGridError, Rect, masks
from maskgrid.errors import InvalidTypeError, InvalidValueError

DTYPES = ["bool", "uint8", "float16", "float32", "float64"]


def picture(text: str) -> np.ndarray:
    """A bool mask from lines of "#" and "."."""
    return np.array([[c == "#" for c in line] for line in text.split()])


def drawn(mask: Any) -> str:
    """The picture of a mask of 0 and 1."""
    return " ".join("".join("#" if v else "." for v in row) for row in np.asarray(mask).tolist())


DOT = picture("..... ..... ..#.. ..... .....")


@pytest.mark.parametrize(
    ("radius", "expected"),
    [
        (0, "..... ..... ..#.. ..... ....."),
        (0.99, "..... ..... ..#.. ..... ....."),
        (1, "..... ..#.. .###. ..#.. ....."),
        (1.5, "..... .###. .###. .###. ....."),
        (2, "..#.. .###. ##### .###. ..#.."),
        (5**0.5, ".###. ##### ##### ##### .###."),
        (np.float32(100), "##### ##### ##### ##### #####"),
    ],
)
def test_grow_takes_all_pixels_within_the_radius(radius: float, expected: str) -> None:
    assert drawn(masks.grow(DOT, radius)) == expected
    assert drawn(~masks.shrink(~DOT, radius)) == expected


def test_the_border_neither_grows_nor_eats() -> None:
    full, none = np.ones((3, 4), bool), np.zeros((3, 4), bool)
    assert masks.shrink(full, 5).all()
    assert not masks.grow(none, 5).any()
    assert drawn(masks.shrink(picture("##.. ##.. ...."), 1)) == "#... .... ...."


def test_shrinking_and_growing_are_complements() -> None:
    mask = np.random.default_rng(0).random((40, 70)) < 0.3
    for radius in (1, 2.5, 7):
        np.testing.assert_array_equal(masks.shrink(mask, radius), ~masks.grow(~mask, radius))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("inside", [0, 0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]),
        ("centred", [0, 0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1]),
        ("outside", [0.375, 0.625, 0.875, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_feather_is_a_ramp_across_the_edge(where: str, expected: list[float]) -> None:
    edge = picture("...######")
    result = masks.feather(edge, 4, where=where)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [expected], atol=1e-6)
    np.testing.assert_allclose(masks.feather(edge[:, ::-1], 4, where=where), [expected[::-1]], atol=1e-6)


def test_feather_is_euclidean() -> None:
    result = masks.feather(DOT, 4, where="outside")
    rows, columns = np.mgrid[-2:3, -2:3]
    expected = np.where(DOT, 1, np.clip(1 - (np.hypot(rows, columns) - 0.5) / 4, 0, 1))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_feather_without_an_edge_or_a_width_is_hard() -> None:
    for where in ("inside", "outside", "centred"):
        assert masks.feather(np.ones((3, 4), bool), 2, where=where).all()
        assert not masks.feather(np.zeros((3, 4), bool), 2, where=where).any()
        np.testing.assert_array_equal(masks.feather(DOT, 0, where=where), DOT)


def test_holes_are_what_has_no_way_to_the_border() -> None:
    ring = picture("###.. #.#.. ###.# ..#.# ..###")
    assert drawn(masks.fill_holes(ring)) == "###.. ###.. ###.# ..#.# ..###"
    assert drawn(masks.fill_holes(picture(".#.. #.#. .#.."))) == ".#.. ###. .#.."


def test_bounding_boxes() -> None:
    mask = picture("..... ..#.. .##.. .....")
    assert masks.bounding_box(mask) == Rect(1, 1, 3, 3)
    assert masks.bounding_box(np.zeros((3, 4))) == Rect(0, 0, 0, 0)
    stack = np.stack([mask, mask[::-1, ::-1]])
    assert masks.bounding_box(stack) == [Rect(1, 1, 3, 3), Rect(1, 2, 3, 4)]
    assert masks.bounding_box(stack[..., None]) == masks.bounding_box(stack)
    assert masks.bounding_box(torch.from_numpy(mask)) == Rect(1, 1, 3, 3)
    assert masks.bounding_box(memoryview(mask.view(np.uint8) * 255)) == Rect(1, 1, 3, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_have_the_dtype_of_the_mask(dtype: str) -> None:
    mask = DOT.astype(dtype) * np.dtype(dtype).type(255 if dtype == "uint8" else 1)
    one = 255 if dtype == "uint8" else 1
    for call in (masks.threshold, masks.invert, masks.fill_holes, lambda m: masks.grow(m, 1)):
        result = call(mask)
        assert result.dtype == mask.dtype
        assert result.shape == mask.shape
        assert set(np.unique(result).tolist()) == {0, one}
    feathered = masks.feather(mask, 2, where="outside")
    assert feathered.dtype == (np.float32 if dtype == "bool" else mask.dtype)
    assert feathered[2, 2] == one
    assert isinstance(masks.feather(torch.from_numpy(mask), 2), torch.Tensor)
    assert masks.feather(torch.from_numpy(DOT), 2).dtype == torch.float32
    assert masks.feather(memoryview(DOT), 2).dtype == np.float32


def test_levels() -> None:
    mask = np.array([[0.0, 0.25, 0.5, 0.75, 1.0]])
    assert masks.threshold(mask).tolist() == [[0, 0, 1, 1, 1]]
    assert masks.threshold(mask, 0.75).tolist() == [[0, 0, 0, 1, 1]]
    assert masks.threshold(mask, 0).all()
    assert masks.threshold(mask, 1).tolist() == [[0, 0, 0, 0, 1]]
    # The level is rounded to the mask's dtype first.
    assert masks.threshold(np.array([[0.7]], np.float16), 0.7).all()
    assert masks.threshold(np.array([[127, 128]], np.uint8)).tolist() == [[0, 255]]
    assert masks.bounding_box(mask, level=0.9) == Rect(0, 4, 1, 5)
    assert masks.grow(mask, 1, level=0.9).tolist() == [[0, 0, 0, 1, 1]]


def test_channel_0_counts() -> None:
    mask = np.zeros((2, 4, 5, 3), np.float32)
    mask[..., 0] = 0.75
    mask[..., 1] = np.nan
    result = masks.invert(mask)
    assert result.shape == (2, 4, 5, 3)
    assert (result == 0.25).all()
    assert masks.invert(torch.from_numpy(mask)).shape == (2, 4, 5, 3)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (0, 3, 5), (2, 0, 5), (1, 1), (1, 7), (7, 1)])
def test_degenerate_sizes(shape: tuple[int, ...]) -> None:
    mask = np.ones(shape, np.float32)
    for call in (
        masks.threshold,
        lambda m: masks.grow(m, 2),
        lambda m: masks.shrink(m, 2),
        lambda m: masks.feather(m, 2),
        masks.fill_holes,
    ):
        np.testing.assert_array_equal(call(mask), mask)
    assert masks.invert(mask).shape == shape
    boxes = masks.bounding_box(mask)
    assert (boxes if len(shape) == 2 else len(boxes)) == (
        Rect(0, 0, *(shape if mask.size else (0, 0))) if len(shape) == 2 else shape[0]
    )


def test_very_many_empty_masks() -> None:
    for call in (masks.threshold, masks.invert, lambda m: masks.grow(m, 1), lambda m: masks.feather(m, 1)):
        assert call(np.empty((2**40, 0, 5))).shape == (2**40, 0, 5)


def test_to_latent() -> None:
    grid = Grid(2, 2, cell=16)
    mask = np.zeros((16, 16), np.float32)
    mask[3:5, 3:5] = 1
    assert masks.to_latent(mask, grid).tolist() == [[[1, 0], [0, 0]]]
    assert masks.to_latent(mask, grid, coverage="area").tolist() == [[[4 / 64, 0], [0, 0]]]
    assert masks.to_latent(mask, grid, coverage="max").tolist() == [[[1, 0], [0, 0]]]
    assert masks.to_latent(mask, grid, coverage="nearest").sum() == 0
    assert masks.to_latent(np.stack([mask] * 4), grid).shape == (4, 2, 2)
    for wrong, words in (
        (mask[:8], r"the mask has shape \(1, 8, 16\); allowed:"),
        (np.stack([mask] * 3), "the number of masks is 3; allowed: 1 or the number of cells, 4"),
        (mask[0], "allowed:"),
        (mask[None, None, None], "allowed:"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            masks.to_latent(wrong, grid)
    with pytest.raises(InvalidValueError, match="coverage is 'middle'; allowed: 'center', 'nearest', 'area'"):
        masks.to_latent(mask, grid, coverage="middle")


BAD: list[tuple[Any, str]] = [
    (lambda m: masks.threshold(m, 1.5), "level is 1.5; allowed: 0 to 1"),
    (lambda m: masks.threshold(m, float("nan")), "level is NaN|level is nan"),
    (lambda m: masks.grow(m, -0.5), "radius is -0.5; allowed:"),
    (lambda m: masks.shrink(m, float("inf")), "radius is inf; allowed:"),
    (lambda m: masks.feather(m, -1), "width is -1; allowed:"),
    (
        lambda m: masks.feather(m, 1, where="within"),
        "where is 'within'; allowed: 'inside', 'outside', 'centred'",
    ),
    (lambda m: masks.grow(m * 1.5, 1), "the mask has the value 1.5 at"),
    (lambda m: masks.invert(m * np.float32("nan")), r"NaN|nan"),
    (lambda m: masks.bounding_box(m - 2), "the mask has the value -1 at"),
]


@pytest.mark.parametrize("tensor", [False, True], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_values_are_refused(case: int, tensor: bool) -> None:
    call, words = BAD[case]
    mask = np.ones((3, 4), np.float32)
    with pytest.raises(InvalidValueError, match=words):
        call(torch.from_numpy(mask) if tensor else mask)


def test_the_place_of_a_bad_value_is_named() -> None:
    mask = np.zeros((3, 4, 5), np.float32)
    mask[2, 1, 3] = 7
    with pytest.raises(InvalidValueError, match=r"value 7 at \(mask 2, row 1, column 3\)"):
        masks.threshold(mask)


@pytest.mark.parametrize("number", ["1", None, True, [1], 1j])
def test_what_is_no_number_is_refused(number: Any) -> None:
    mask = np.ones((3, 4), np.float32)
    for name, call in {
        "radius": lambda: masks.grow(mask, number),
        "width": lambda: masks.feather(mask, number),
        "level": lambda: masks.threshold(mask, number),
    }.items():
        with pytest.raises(InvalidTypeError, match=f"{name} is a {type(number).__name__}; allowed: a number"):
            call()
    with pytest.raises(MaskGridError):
        masks.feather(mask, 1, where=number)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_tensors_on_a_gpu_stay_there() -> None:
    mask = torch.from_numpy(np.random.default_rng(0).random((2, 30, 40), np.float32))
    grown = masks.grow(mask.cuda(), 3)
    assert grown.is_cuda
    assert torch.equal(grown.cpu(), masks.grow(mask, 3))
    with pytest.raises(MaskGridError, match="cuda"):
        masks.grow(mask, 3, out=mask.cuda())
    pinned = torch.empty(2, 30, 40).pin_memory()
    assert masks.grow(mask, 3, out=pinned) is pinned
    assert torch.equal(pinned, masks.grow(mask, 3))
    assert torch.equal(masks.grow(mask.pin_memory(), 3), pinned)


def test_tensors_elsewhere_go_to_their_device() -> None:
    # The meta device has shapes and no numbers: nothing could be read from it, by Rust least of all.
    assert masks.invert(torch.zeros(3, 4, dtype=torch.bool, device="meta")).device.type == "meta"
