"""What holds for every grid, mask and sheet, whatever computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from maskgrid import ForkPlan, Grid, Rect, canvas
from maskgrid import masks as ops
from maskgrid.geometry.mask_axes import read_mask_axes, stack_masks
from strategies import (
    COVERAGES,
    FLOAT_DTYPES,
    LENGTHS,
    LEVELS,
    array_of,
    cell_stencils,
    dtype_name,
    even_grids,
    grids,
    images,
    mask_shapes,
    masks,
    same_bits,
)

BOOLS = masks(dtypes=["bool"])
FLAT = mask_shapes().filter(lambda shape: len(shape) < 4)


# Plans


@given(st.data(), grids(), st.integers(0, 4), st.sampled_from([1, 1, 2, 3, 8]))
def test_windows_hold_their_cells_and_halos_in_one_aligned_shape(
    data: st.DataObject, grid: Grid, halo: int, align: int
) -> None:
    assume(all(side % align == 0 for side in grid.latent_size))
    plan = ForkPlan(grid, data.draw(cell_stencils(grid)), halo=halo, align=align)
    height, width = grid.latent_size
    for fork in plan:
        wanted = Rect(
            max(fork.place.top - halo, 0),
            max(fork.place.left - halo, 0),
            min(fork.place.bottom + halo, height),
            min(fork.place.right + halo, width),
        )
        assert fork.window.contains(wanted)
        assert Rect(0, 0, height, width).contains(fork.window)
        assert fork.window.size == plan.window_size
        assert all(edge % align == 0 for edge in fork.window)


@given(grids())
def test_writes_are_disjoint_and_lie_in_their_places(grid: Grid) -> None:
    owners = np.zeros(tuple(grid.latent_size), int)
    for fork in ForkPlan(grid, np.ones(tuple(grid.cell), bool)):
        assert fork.place.contains(fork.write)
        owners[fork.write.slices] += 1
    assert owners.max(initial=0) <= 1


@given(grids())
def test_pixels_to_latents_and_back_contains(grid: Grid) -> None:
    for index, rect in enumerate(grid.cell_rects):
        latent = grid.latent_rect(index)
        assert Rect(*(edge * grid.stride for edge in latent)).contains(rect)
        assert Rect(0, 0, *grid.latent_size).contains(latent)


@given(grids(), st.sampled_from(COVERAGES), st.booleans())
def test_the_empty_mask_gives_an_empty_plan(grid: Grid, coverage: str, each: bool) -> None:
    shape = (len(grid), 1, *grid.cell) if each else tuple(grid.cell)
    plan = ForkPlan(grid, np.zeros(shape, np.float32), coverage=coverage)
    assert len(plan) == 0
    assert list(plan) == []
    assert plan.noise_masks().shape == (0, 1, *grid.latent_size)
    assert not plan.sheet_mask().any()


@given(st.data(), grids(), st.sampled_from(COVERAGES))
def test_a_plan_forks_the_cells_whose_stencil_has_pixels(
    data: st.DataObject, grid: Grid, coverage: str
) -> None:
    stencils = data.draw(cell_stencils(grid))
    values = array_of(stencils)
    values = stack_masks(values, size=grid.cell)
    alive = [bool((values[cell if len(values) > 1 else 0] > 0).any()) for cell in range(len(grid))]
    plan = ForkPlan(grid, stencils, coverage=coverage)
    assert plan.cells == tuple(cell for cell in range(len(grid)) if alive[cell])


@given(st.data(), grids(), st.sampled_from(["center", "nearest", "area", "max"]))
def test_the_coverage_of_all_cells_is_the_tiled_masks(data: st.DataObject, grid: Grid, coverage: str) -> None:
    stencils = data.draw(cell_stencils(grid))
    forks = array_of(ForkPlan(grid, stencils, coverage=coverage).noise_masks())[:, 0]
    together = forks.max(axis=0, initial=0.0) if coverage == "max" else forks.sum(axis=0)
    whole = tiled(grid, stencils)
    sheet = ForkPlan(Grid(1, 1, cell=grid.canvas, stride=grid.stride), whole, coverage=coverage)
    expected = sheet.sheet_mask()[0, 0]
    np.testing.assert_allclose(together, expected, rtol=0, atol=0 if coverage in ("nearest", "max") else 1e-6)


@given(st.data(), st.one_of(grids(), even_grids()), st.sampled_from(COVERAGES))
def test_the_plans_sheet_mask_is_the_tiled_masks(data: st.DataObject, grid: Grid, coverage: str) -> None:
    stencils = data.draw(cell_stencils(grid))
    whole = ForkPlan(
        Grid(1, 1, cell=grid.canvas, stride=grid.stride), tiled(grid, stencils), coverage=coverage
    )
    found = array_of(ForkPlan(grid, stencils, coverage=coverage).sheet_mask())
    np.testing.assert_allclose(found, whole.sheet_mask(), rtol=0, atol=1e-6)


def tiled(grid: Grid, stencils: Any) -> np.ndarray:
    """The stencils in their cells, at the sheet's full size, float32."""
    values = array_of(stencils)
    values = stack_masks(values, size=grid.cell)
    values = values.astype(np.float32) / (255.0 if values.dtype == np.uint8 else 1.0)
    values = np.broadcast_to(values, (len(grid), *grid.cell))
    sheet = np.zeros(tuple(grid.canvas), np.float32)
    for rect, value in zip(grid.cell_rects, values, strict=True):
        sheet[rect.slices] = value
    return sheet


@given(st.data(), grids(), st.integers(0, 3), st.integers(1, 5))
def test_windows_and_batches_show_the_dense_masks(
    data: st.DataObject, grid: Grid, halo: int, size: int
) -> None:
    plan = ForkPlan(grid, data.draw(cell_stencils(grid)), halo=halo)
    dense, windows = array_of(plan.noise_masks()), array_of(plan.window_masks())
    for fork in plan:
        assert same_bits(windows[fork.index, 0], dense[fork.index, 0][fork.window.slices])
        assert same_bits(array_of(fork.noise_mask), dense[fork.index, 0][fork.place.slices])
    batches = list(plan.batches(size))
    assert [fork for batch in batches for fork in batch] == list(range(len(plan)))
    assert all(1 <= len(batch) <= size for batch in batches)


# Masks


@given(BOOLS, LENGTHS)
def test_shrinking_is_growing_what_is_outside(mask: Any, radius: float) -> None:
    assert same_bits(ops.shrink(mask, radius), ops.invert(ops.grow(ops.invert(mask), radius)))


@given(BOOLS, st.floats(0.0, 12.0), st.floats(0.0, 12.0))
def test_growing_is_monotonous_in_the_radius(mask: Any, first: float, second: float) -> None:
    small, large = sorted((first, second))
    inside = ops.threshold(mask)
    assert (inside <= ops.grow(mask, small)).all()
    assert (ops.grow(mask, small) <= ops.grow(mask, large)).all()
    assert (ops.shrink(mask, large) <= ops.shrink(mask, small)).all()
    assert (ops.shrink(mask, small) <= inside).all()


@given(st.data(), masks(FLAT, dtypes=["bool"]), LENGTHS)
def test_growing_is_monotonous_in_the_mask(data: st.DataObject, mask: Any, radius: float) -> None:
    more = mask | data.draw(masks(st.just(mask.shape), dtypes=["bool"]))
    assert (ops.grow(mask, radius) <= ops.grow(more, radius)).all()
    assert (ops.shrink(mask, radius) <= ops.shrink(more, radius)).all()
    assert (ops.fill_holes(mask) <= ops.fill_holes(more)).all()


@given(BOOLS, st.floats(0.0, 9.0), st.floats(0.0, 9.0))
def test_growing_twice_stays_inside_growing_by_both(mask: Any, first: float, second: float) -> None:
    twice = ops.grow(ops.grow(mask, first), second)
    assert (twice <= ops.grow(mask, first + second + 1e-9)).all()


@given(masks(), LEVELS)
def test_radius_and_width_zero_are_the_threshold(mask: Any, level: float) -> None:
    expected = ops.threshold(mask, level)
    assert same_bits(ops.grow(mask, 0, level=level), expected)
    assert same_bits(ops.shrink(mask, 0, level=level), expected)
    for where in ("inside", "outside", "centred"):
        np.testing.assert_array_equal(
            array_of(ops.feather(mask, 0, where=where, level=level)), array_of(expected)
        )


@given(masks(dtypes=["float32", "float64", "bool"]), st.floats(0.1, 40.0), LEVELS)
def test_a_ramp_lies_on_its_side_of_the_edge(mask: Any, width: float, level: float) -> None:
    inside = array_of(ops.threshold(mask, level)) > 0
    within, centred, beyond = (
        ops.feather(mask, width, where=where, level=level) for where in ("inside", "centred", "outside")
    )
    assert (within[~inside] == 0).all()
    assert (within[inside] > 0).all()
    assert (beyond[inside] == 1).all()
    assert (beyond[~inside] < 1).all()
    np.testing.assert_array_equal(centred > 0.5, inside)
    np.testing.assert_array_equal(centred < 0.5, ~inside)
    assert (within <= centred).all()
    assert (centred <= beyond).all()


@given(BOOLS, st.floats(0.1, 20.0))
def test_a_ramp_ends_where_growing_and_shrinking_by_its_width_do(mask: Any, width: float) -> None:
    # The edge lies half a pixel beside the pixel centres that distances are counted from.
    beyond, within = ops.feather(mask, width, where="outside"), ops.feather(mask, width, where="inside")
    assert ((beyond > 0) <= ops.grow(mask, width + 0.5)).all()
    assert ((beyond > 0) >= ops.grow(mask, width + 0.499)).all()
    assert ((within >= 1) >= ops.shrink(mask, width + 0.501)).all()
    assert ((within >= 1) <= ops.shrink(mask, width + 0.499)).all()


@given(masks(), LEVELS)
def test_filled_stays_filled(mask: Any, level: float) -> None:
    filled = ops.fill_holes(mask, level=level)
    assert (array_of(filled) >= array_of(ops.threshold(mask, level))).all()
    # Zero is inside at level 0, for the filled mask too.
    assert same_bits(ops.fill_holes(filled, level=max(level, 0.1)), filled)


@given(masks(FLAT), LEVELS)
def test_the_bounding_box_is_tight(mask: Any, level: float) -> None:
    inside = stack_masks(array_of(ops.threshold(mask, level))) > 0
    boxes = ops.bounding_box(mask, level=level)
    boxes = [boxes] if read_mask_axes(mask.shape).masks is None else boxes
    for box, image in zip(boxes, inside, strict=True):
        rows, columns = box.slices
        assert image.sum() == image[rows, columns].sum()
        if box:
            edges = image[box.top], image[box.bottom - 1], image[:, box.left], image[:, box.right - 1]
            assert all(edge.any() for edge in edges)
        else:
            assert not image.any()


@given(masks(), LEVELS)
def test_invert_and_threshold_are_their_own_inverse_and_limit(mask: Any, level: float) -> None:
    twice = ops.invert(ops.invert(mask))
    values, back = stack_masks(array_of(mask)), stack_masks(array_of(twice))
    # 1 - value is exact where the value is a multiple of the dtype's step at 1.
    step = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-24, "float64": 2**-53}.get(
        dtype_name(mask), 0
    )
    np.testing.assert_allclose(back.astype(float), values.astype(float), rtol=0, atol=step)
    once = ops.threshold(mask, level)
    assert same_bits(ops.threshold(once), once)


# Sheets


def shape_of(size: Any, channels: str) -> tuple[int, ...]:
    """Three channels, first or last."""
    return (3, *size) if channels == "first" else (*size, 3)


CHANNELS = st.sampled_from(["first", "last"])


@given(st.data(), grids(), CHANNELS)
def test_split_and_join_are_inverses(data: st.DataObject, grid: Grid, channels: str) -> None:
    sheet = data.draw(images(shape_of(grid.canvas, channels)))
    cells = canvas.split(sheet, grid, channels=channels)
    assert same_bits(canvas.join(cells, grid, background=sheet, channels=channels), sheet)
    blank = canvas.join(cells, grid, channels=channels)
    assert same_bits(canvas.split(blank, grid, channels=channels), cells)


@given(st.data(), grids(), CHANNELS)
def test_merging_takes_what_splitting_gives(data: st.DataObject, grid: Grid, channels: str) -> None:
    forks = data.draw(images((len(grid), *shape_of(grid.canvas, channels))))
    merged = canvas.merge(forks, grid, channels=channels)
    found = canvas.split(merged, grid, channels=channels)
    for index in range(len(grid)):
        assert same_bits(found[index], canvas.split(forks[index], grid, channels=channels)[index])
    blank = canvas.join(found, grid, background=forks[0], channels=channels)
    assert same_bits(blank, merged)


@given(st.data(), grids(), CHANNELS)
def test_tiling_is_joining_one_cell(data: st.DataObject, grid: Grid, channels: str) -> None:
    cell = data.draw(images(shape_of(grid.cell, channels)))
    repeated = (
        np.broadcast_to(array_of(cell), (len(grid), *cell.shape))
        if not isinstance(cell, torch.Tensor)
        else (cell.expand(len(grid), *cell.shape))
    )
    tile = canvas.tile(cell, grid, background=1, channels=channels)
    assert same_bits(tile, canvas.join(repeated, grid, background=1, channels=channels))


@given(st.data(), grids(), CHANNELS, st.booleans())
def test_pasting_keeps_every_bit_outside(
    data: st.DataObject, grid: Grid, channels: str, together: bool
) -> None:
    original = data.draw(images(shape_of(grid.canvas, channels), ["uint8", *FLOAT_DTYPES]))
    patches = data.draw(images((len(grid), *shape_of(grid.cell, channels)), [dtype_name(original)]))
    mask = data.draw(masks(st.just((len(grid), 1, *grid.cell))))
    found = canvas.paste(original, patches, grid, mask, together=together, channels=channels)
    spread = tiled(grid, mask)
    for index, sheet in enumerate([found] if together else found):
        kept = spread == 0
        if not together:
            kept = kept.copy()
            rect = grid.cell_rect(index)
            kept[...] = True
            kept[rect.slices] = spread[rect.slices] == 0
        axes = kept[None] if channels == "first" else kept[..., None]
        where = np.broadcast_to(axes, sheet.shape)
        assert same_bits(bits(sheet)[where], bits(original)[where])


def bits(values: Any) -> np.ndarray:
    """The memory as numpy; bfloat16 as whole numbers."""
    if isinstance(values, torch.Tensor):
        return values.view(torch.int16).numpy() if values.dtype == torch.bfloat16 else values.numpy()
    return np.asarray(values)


@given(st.data(), grids(), CHANNELS)
def test_pasting_split_cells_back_changes_nothing(data: st.DataObject, grid: Grid, channels: str) -> None:
    sheet = data.draw(images(shape_of(grid.canvas, channels), ["uint8", "float32", "float64"]))
    cells = canvas.split(sheet, grid, channels=channels)
    mask = data.draw(masks(st.just(tuple(grid.cell))))
    assert same_bits(canvas.paste(sheet, cells, grid, mask, together=True, channels=channels), sheet)
