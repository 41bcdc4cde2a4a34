"""The masked blend and where it runs: the formula on whole sheets, patches, and the masks of forks."""

import pytest
import torch
from forking import SD, cell_masks, grids, relative, sheet
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling import Controls, ForkMasks, prepare_forks
from maskgrid.sampling.forking.fork_masks import BLENDS, as_fork_masks
from maskgrid.sampling.forking.patches import Patches, arrange_cells
from maskgrid.sampling.forking.region import Region
from maskgrid.sampling.noise_levels.schedules import SigmaRange
from maskgrid.sampling.original_node import change_masks

SIGMA = torch.tensor(1.7)


def dense(masks: ForkMasks, axes: int) -> Tensor:
    """(N, 1, 1, ..., h, w)."""
    mask = masks.batch()
    return mask.reshape(len(mask), *(1,) * (axes - 2), *mask.shape[-2:])


def region_of(masks: ForkMasks, latents: Tensor) -> Region:
    """The region of all forks of a sheet."""
    return prepare_forks(latents, masks, Controls(), table=SD).run.fork_region(range(len(masks)))


@given(masks=grids(), frames=st.sampled_from([None, 2]), batch=st.integers(1, 2))
def test_it_is_the_formula_on_whole_sheets(masks: ForkMasks, frames: int | None, batch: int) -> None:
    shape = (batch, 3, *([frames] if frames else []), *masks.size)
    image, noise = sheet(*shape), sheet(*shape, seed=1)
    x = sheet(len(masks), *shape, seed=2)
    m, region = dense(masks, image.ndim), region_of(masks, image)
    around = SD.noised(image, noise, SIGMA)[None]

    shown = region.lerp(around, region.cut(x), region.mask, dtype=torch.float32)
    torch.testing.assert_close(shown, x * m + around * (1 - m))
    kept = torch.lerp(region.cut(image[None]), region.cut(x), region.mask)
    torch.testing.assert_close(region.paste(kept, image[None]), x * m + image * (1 - m))


def test_at_0_and_1_it_is_bitwise_one_or_the_other() -> None:
    masks = cell_masks(2, 2, (8, 8), kind="hard")
    around, x = sheet(1, 1, 4, 8, 8), sheet(4, 1, 4, 8, 8, seed=2)
    region = region_of(masks, around[0])
    shown = region.lerp(around, region.cut(x), region.mask, dtype=torch.float32)
    assert torch.equal(shown, torch.where(dense(masks, 4) == 1, x, around))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_sheet_becomes_the_batch_of_forks(dtype: torch.dtype) -> None:
    around, x = sheet(1, 1, 4, 8, 8), sheet(1, 1, 4, 8, 8, seed=2)
    region = region_of(cell_masks(2, 2, (8, 8)), around[0])
    shared, repeated = region.cut(x), region.cut(x.repeat(4, 1, 1, 1, 1))
    assert torch.equal(
        region.lerp(around, shared, region.mask, dtype=dtype),
        region.lerp(around, repeated, region.mask, dtype=dtype),
    )


def test_what_is_shown_is_nobody_elses_memory() -> None:
    around, x = sheet(1, 1, 4, 8, 8), sheet(4, 1, 4, 8, 8, seed=2)
    region = region_of(cell_masks(2, 2, (8, 8)), around[0])
    before = around.clone()
    region.lerp(around, region.cut(x), region.mask, dtype=torch.float32).zero_()
    assert torch.equal(around, before)


@given(value=st.integers(0, 20), steps=st.integers(1, 20))
def test_differential_samples_a_pixel_of_value_m_in_the_last_m_of_the_steps(value: int, steps: int) -> None:
    mask = torch.tensor([value / 20])
    sampled = [bool(BLENDS["differential"](mask, i / steps)) for i in range(steps)]
    assert sampled == sorted(sampled), "a pixel that has joined stays"
    # It joins at the first step i with 1 - m <= i / steps.
    assert sum(sampled) == (value * steps) // 20


def test_differential_never_samples_black_and_always_samples_white() -> None:
    black_and_white = torch.tensor([0.0, 1.0])
    for i in range(50):
        assert BLENDS["differential"](black_and_white, i / 50).tolist() == [0, 1]


@given(data=st.data(), sheet_size=st.tuples(st.integers(1, 9), st.integers(1, 9)), batch=st.integers(1, 2))
def test_patches_are_slices_wherever_they_lie(
    data: st.DataObject, sheet_size: tuple[int, int], batch: int
) -> None:
    size = tuple(data.draw(st.integers(0, extent)) for extent in sheet_size)
    corner = st.tuples(*(st.integers(0, s - p) for s, p in zip(sheet_size, size, strict=True)))
    places = tuple(data.draw(st.lists(corner, min_size=1, max_size=6)))
    patches = Patches(places, (size[0], size[1]), sheet_size)
    sheets = sheet(len(places), batch, 2, *sheet_size)

    expected = torch.stack(
        [s[..., y : y + size[0], x : x + size[1]] for s, (y, x) in zip(sheets, places, strict=True)]
    )
    cut = patches.cut(sheets)
    assert torch.equal(cut, expected)
    assert torch.equal(patches.cut(sheets[:1]).expand_as(expected)[0], expected[0])

    target = torch.zeros_like(sheets)
    patches.paste(cut, target)
    for i, (y, x) in enumerate(places):
        inside = torch.zeros(sheet_size, dtype=torch.bool)
        inside[y : y + size[0], x : x + size[1]] = True
        assert torch.equal(target[i], torch.where(inside, sheets[i], 0))


def test_patches_of_a_grid_lie_on_a_lattice_also_when_its_cells_are_uneven() -> None:
    for rows, columns, size in [(3, 3, (128, 128)), (2, 5, (25, 64)), (16, 16, (128, 128)), (1, 1, (5, 5))]:
        patches = cell_masks(rows, columns, size, kind="full").patches
        assert patches._lattice is not None
        assert patches.size[0] * rows <= size[0] * 1.3
        assert patches.size[1] * columns <= size[1] * 1.3


def test_a_lattice_is_not_bought_with_much_larger_patches() -> None:
    assert cell_masks(12, 12, (128, 128), kind="full").patches.size == (11, 11)


@given(masks=grids())
def test_masks_come_back_as_they_were_given(masks: ForkMasks) -> None:
    dense_masks = masks.batch()
    again = ForkMasks.from_tensor(dense_masks, rows=masks.rows, columns=masks.columns)
    assert torch.equal(again.batch(), dense_masks)
    assert torch.equal(again.sheet(), dense_masks.sum(0, keepdim=True).clamp(max=1))
    assert torch.equal(again.batch(1, 3), dense_masks[1:3])


def test_masks_anywhere_are_covered() -> None:
    masks = torch.zeros(4, 1, 9, 7)
    masks[0, 0, 8, 6] = 0.5
    masks[3, 0, 0, 0] = 1
    forks = ForkMasks.from_tensor(masks, rows=2, columns=2)
    assert torch.equal(forks.batch(), masks)


def test_each_cell_comes_from_its_own_sheet() -> None:
    masks = cell_masks(2, 3, (7, 8))
    sheets = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 7, 8)
    onto = torch.full((1, 1, 7, 8), -1.0)
    arrange_cells(sheets, masks.writes, onto)
    for i, (top, left, bottom, right) in enumerate(masks.writes.tolist()):
        assert (onto[0, :, top:bottom, left:right] == i).all()
    assert (onto >= 0).all()


def test_the_originals_cells_are_rounded_down() -> None:
    masks = cell_masks(1, 4, (5, 10))
    walked = SigmaRange(torch.tensor([1.0, 0.0]), 1, 0, 1)
    original = change_masks(masks, walked, "euler")
    assert original.writes.tolist() == [[0, 2 * i, 5, 2 * i + 2] for i in range(4)]
    assert torch.equal(original.batch(), masks.batch())
    even = cell_masks(2, 2, (8, 8))
    assert change_masks(even, walked, "euler") is even


@pytest.mark.parametrize(
    ("masks", "options", "error", "words"),
    [
        (
            torch.zeros(4, 1, 8, 8),
            {"rows": 2, "columns": 3},
            InvalidValueError,
            r"\(4, 1, 8, 8\).*\(6, 1, h, w\)",
        ),
        (torch.zeros(4, 8, 8), {"rows": 2, "columns": 2}, InvalidValueError, r"\(4, 8, 8\)"),
        (torch.full((1, 1, 4, 4), 1.5), {"rows": 1, "columns": 1}, InvalidValueError, "1.5.*0 to 1"),
        (torch.full((1, 1, 4, 4), torch.nan), {"rows": 1, "columns": 1}, InvalidValueError, "nan.*0 to 1"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), {"rows": 1, "columns": 1}, InvalidTypeError, "uint8"),
        (torch.zeros(0, 1, 4, 4), {"rows": 0, "columns": 1}, InvalidValueError, "0 x 1"),
        (torch.zeros(1, 1, 4, 4), {"rows": None, "columns": 1}, InvalidTypeError, "rows None"),
        ([[0.0]], {"rows": 1, "columns": 1}, InvalidTypeError, "list"),
    ],
)
def test_bad_masks_are_refused(
    masks: object, options: dict[str, int], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        as_fork_masks(masks, options["rows"], options["columns"])  # type: ignore[arg-type]


@pytest.mark.parametrize("writes", [[[0, 0, 5, 4]], [[2, 0, 1, 4]], [[-1, 0, 2, 4]], [[0, 0, 4]]])
def test_bad_cells_are_refused(writes: list[list[int]]) -> None:
    with pytest.raises(InvalidValueError, match="writes"):
        ForkMasks.from_tensor(torch.zeros(1, 1, 4, 4), rows=1, columns=1, writes=torch.tensor(writes))


def test_bool_and_half_masks_are_masks() -> None:
    hard = cell_masks(1, 2, (4, 6), kind="hard")
    for dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float64):
        forks = ForkMasks.from_tensor(hard.batch().to(dtype), rows=1, columns=2)
        assert relative(forks.batch(), hard.batch()) == 0
