"""ForkPlan: which cells become forks, and the masks they get."""

import copy
import pickle

import numpy as np
import pytest
import torch

from maskgrid import ForkPlan, Grid, MaskGridError
from maskgrid.errors import InvalidBufferError, InvalidTypeError, InvalidValueError

COVERAGES = ("center", "nearest", "area", "max", "min")


def soft_mask(height: int, width: int, count: int | None = None) -> np.ndarray:
    shape = (height, width) if count is None else (count, height, width)
    return np.random.default_rng(7).random(shape, dtype=np.float32)


def blocks(grid: Grid, mask: np.ndarray) -> np.ndarray:
    """(cells, h, stride, w, stride): the full-size mask of each fork on the padded canvas, in blocks."""
    stack = mask if mask.ndim == 3 else np.broadcast_to(mask, (len(grid), *mask.shape))
    full = np.zeros((len(grid), *grid.padded_canvas), np.float32)
    for cell in range(len(grid)):
        full[cell][grid.cell_rect(cell).slices] = stack[cell]
    height, width = grid.latent_size
    return full.reshape(len(grid), height, grid.stride, width, grid.stride)


def reduced(grid: Grid, full: np.ndarray, coverage: str) -> np.ndarray:
    """The definition of each coverage, on whole blocks."""
    half = grid.stride // 2
    central = slice(half - 1, half + 1) if grid.stride % 2 == 0 else slice(half, half + 1)
    return {
        "center": lambda: full[:, :, central][..., central].mean((2, 4)),
        "nearest": lambda: full[:, :, 0, :, 0],
        "area": lambda: full.mean((2, 4)),
        "max": lambda: full.max((2, 4)),
        "min": lambda: full.min((2, 4)),
    }[coverage]()


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("per_cell", [False, True])
@pytest.mark.parametrize(
    ("cell", "stride", "gap"), [((16, 24), 8, 0), ((13, 10), 8, 3), ((5, 7), 3, 0), ((3, 2), 8, 1)]
)
def test_masks_are_those_of_the_full_size_mask(
    coverage: str, per_cell: bool, cell: tuple[int, int], stride: int, gap: int
) -> None:
    grid = Grid(2, 3, cell=cell, stride=stride, gap=gap)
    mask = soft_mask(*cell, count=6 if per_cell else None)
    plan = ForkPlan(grid, mask, coverage=coverage)
    full = blocks(grid, mask)
    np.testing.assert_allclose(plan.noise_masks()[:, 0], reduced(grid, full, coverage), atol=1e-6)
    tiled = full.sum(0, keepdims=True)
    np.testing.assert_allclose(plan.sheet_mask()[0], reduced(grid, tiled, coverage), atol=1e-6)


def test_the_fork_says_where_everything_lies() -> None:
    plan = ForkPlan(Grid(2, 3, cell=(16, 24), stride=8), np.ones((16, 24), bool), halo=1)
    fork = plan[-1]
    assert (fork.index, fork.cell, fork.row, fork.column) == (5, 5, 1, 2)
    assert tuple(fork.rect) == (16, 48, 32, 72)
    assert tuple(fork.place) == tuple(fork.write) == (2, 6, 4, 9)
    assert tuple(fork.window) == (1, 4, 4, 9)
    assert fork.noise_mask.shape == (2, 3)
    assert [other.cell for other in plan[1:3]] == [1, 2]
    assert "6 forks of 2 x 3 cells" in repr(plan)
    with pytest.raises(IndexError, match="fork 6 does not exist"):
        plan[6]


def test_empty_stencils_make_no_forks() -> None:
    grid = Grid(2, 2, cell=8)
    assert len(ForkPlan(grid, np.zeros((8, 8), bool))) == 0
    assert ForkPlan(grid, np.zeros((8, 8), bool)).noise_masks().shape == (0, 1, 2, 2)
    stencils = np.zeros((4, 8, 8), np.uint8)
    stencils[2] = 255
    plan = ForkPlan(grid, stencils)
    assert plan.cells == (2,)
    assert plan.noise_masks()[0, 0].tolist() == [[0, 0], [1, 0]]


def test_what_the_coverage_loses_is_said() -> None:
    line = np.zeros((16, 16), np.float32)
    line[0] = 1
    grid = Grid(1, 2, cell=16)
    assert ForkPlan(grid, line).lost == (0, 1)
    assert ForkPlan(grid, line, coverage="max").lost == ()


def test_chosen_cells_alone_become_forks() -> None:
    plan = ForkPlan(Grid(2, 2, cell=8), np.ones((8, 8)), cells=[3, 0])
    assert plan.cells == (3, 0)
    assert plan.sheet_mask()[0, 0].tolist() == [[1, 0], [0, 1]]


def test_batches_cover_all_forks_once() -> None:
    plan = ForkPlan(Grid(3, 3, cell=8), np.ones((8, 8)))
    assert [list(batch) for batch in plan.batches(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    with pytest.raises(InvalidValueError, match="size is 0"):
        plan.batches(0)


def test_parts_of_the_dense_masks_are_parts_of_all() -> None:
    plan = ForkPlan(Grid(3, 3, cell=12, stride=8), soft_mask(12, 12))
    whole = plan.noise_masks()
    out = np.full((3, 1, *plan.grid.latent_size), 9, np.float16)
    assert plan.noise_masks(2, 5, out=out) is out
    np.testing.assert_array_equal(out, whole[2:5].astype(np.float16))
    with pytest.raises(InvalidValueError, match="forks 5 to 10 do not exist"):
        plan.noise_masks(5, 10)
    with pytest.raises(MaskGridError, match="shape"):
        plan.noise_masks(out=out)
    with pytest.raises(InvalidBufferError, match="read-only"):
        plan.noise_masks(0, 1, out=np.broadcast_to(np.float32(0), (1, 1, *plan.grid.latent_size)))


def test_window_masks_are_cut_from_the_dense_ones() -> None:
    plan = ForkPlan(Grid(3, 4, cell=20, stride=8, margin=4), soft_mask(20, 20), halo=2, align=1)
    dense = plan.noise_masks()
    for fork, cut in zip(plan, plan.window_masks(), strict=True):
        np.testing.assert_array_equal(cut[0], dense[fork.index, 0][fork.window.slices])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_in_tensors_out(dtype: torch.dtype) -> None:
    mask = torch.zeros(16, 16, dtype=dtype)
    mask[4:12] = 255 if dtype == torch.uint8 else 1
    plan = ForkPlan(Grid(1, 2, cell=16), mask)
    dense = plan.noise_masks()
    assert isinstance(dense, torch.Tensor)
    assert dense.dtype == torch.float32
    numpy = ForkPlan(Grid(1, 2, cell=16), mask.float().numpy() / (255 if dtype == torch.uint8 else 1))
    np.testing.assert_array_equal(dense.numpy(), numpy.noise_masks())
    assert isinstance(plan.window_masks(), torch.Tensor)
    assert torch.equal(plan.sheet_mask(), dense.sum(0, keepdim=True))


def test_plans_compare_by_value_and_travel() -> None:
    grid, mask = Grid(2, 3, cell=20), soft_mask(20, 20)
    plan = ForkPlan(grid, mask, coverage="min", halo=1)
    for other in (
        pickle.loads(pickle.dumps(plan)),
        copy.deepcopy(plan),
        ForkPlan(grid, mask, coverage="min", halo=1),
    ):
        assert other == plan
        assert hash(other) == hash(plan)
        np.testing.assert_array_equal(other.sheet_mask(), plan.sheet_mask())
    assert plan != ForkPlan(grid, mask, halo=1)
    assert plan != ForkPlan(grid, 1 - mask, coverage="min", halo=1)
    assert plan != ForkPlan(grid, mask, coverage="min")
    assert plan != "plan"


def test_plans_do_not_change() -> None:
    mask = soft_mask(16, 16)
    plan = ForkPlan(Grid(1, 1, cell=16), mask)
    before = plan.noise_masks().copy()
    mask[:] = 0
    np.testing.assert_array_equal(plan.noise_masks(), before)
    with pytest.raises(ValueError, match="read-only"):
        plan[0].noise_mask[:] = 0
    with pytest.raises(AttributeError, match="halo"):
        plan.halo = 3
    with pytest.raises(AttributeError, match="_coverages"):
        del plan._coverages


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": [1, 1]}, "named twice"),
        ({"cells": [9]}, "cell 9 does not exist"),
        ({"coverage": "middle"}, "'center', 'nearest', 'area', 'max', 'min'"),
        ({"halo": -1}, "halo is -1"),
        ({"align": 0}, "align is 0"),
        ({"align": 3}, "nearest that work are 3 and 6"),
        ({"mask": np.ones((7, 8))}, r"shape \(1, 7, 8\)"),
        ({"mask": np.ones((3, 8, 8))}, "the number of masks is 3; allowed: 1 or the number of cells, 4"),
        ({"mask": np.full((8, 8), 1.5)}, "1.5"),
        ({"mask": np.full((8, 8), np.nan)}, "NaN"),
        ({"mask": np.ones((1, 1, 1, 8, 8))}, "allowed:"),
    ],
)
def test_what_can_not_be_planned_is_refused(options: dict[str, object], message: str) -> None:
    arguments = {"mask": np.ones((8, 8)), **options}
    with pytest.raises(InvalidValueError, match=message):
        ForkPlan(Grid(2, 2, cell=8, stride=4), **arguments)


@pytest.mark.parametrize("mask", [np.ones((8, 8), complex), np.ones((8, 8), object), "mask", None])
def test_what_is_no_mask_is_refused(mask: object) -> None:
    with pytest.raises(InvalidTypeError, match="the mask"):
        ForkPlan(Grid(2, 2, cell=8), mask)
