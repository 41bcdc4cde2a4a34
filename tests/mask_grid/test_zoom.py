"""Zoom: cells enlarged for the model, each a canvas of its own; the sheet enlarged as a whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import Grid
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.run_inputs import read_inputs
from maskgrid.run_plan import plan_run
from maskgrid.zoom_windows import Zoom, enlarge_grid, place_windows


@pytest.fixture
def job(job) -> dict:
    return {**job, "steps": 2, "seed": 3}


@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    cell=st.integers(1, 20),
    gap=st.integers(0, 5),
    context=st.one_of(st.integers(0, 30), st.floats(0, 3)),
)
def test_windows_hold_their_cell_lie_inside_and_have_one_shape(rows, columns, cell, gap, context):
    sides = [cell * count + gap * (count - 1) for count in (rows, columns)]
    grid = Grid(rows, columns, canvas=sides, cell=cell, gap=gap, stride=1)
    windows = place_windows(grid, range(len(grid)), context)
    more = context if isinstance(context, int) else round(context * cell)
    expected = tuple(min(cell + 2 * more, side) for side in sides)
    for number, window in enumerate(windows):
        assert tuple(window.size) == expected
        assert window.contains(grid.cell_rect(number))
        assert grid.cell_rect(number).top - window.top == more or window.top == 0 or window.bottom == sides[0]
        assert window.top >= 0
        assert window.left >= 0
        assert window.bottom <= sides[0]
        assert window.right <= sides[1]


@pytest.mark.parametrize(
    "options", [{"zoom": 2}, {"zoom": 2.5, "context": 5}, {"zoom": "auto", "context": 1.0}]
)
def test_outside_the_stencil_nothing_changes(maker, job, sheet, stencil, options):
    forks = maker(**job, **options)
    assert len(forks) == 6
    for number, cell in enumerate(forks.cells):
        changed = (forks.array(number) != sheet).any(axis=2)
        rect = forks.grid.cell_rect(cell)
        assert changed[rect.slices][stencil > 0].any()
        changed[rect.slices] &= stencil == 0
        assert not changed.any()


def test_a_window_is_what_a_run_of_the_enlarged_cutting_gives(maker, job, sheet, stencil):
    """Cell (1, 2), cut out with 4 px around it where there are some, enlarged twice: a sheet of one cell."""
    zoomed = maker(**job, zoom=2, context=4, zoom_filter="nearest", cells=[5], feather=0)
    cutting = sheet[8:32, 24:48].repeat(2, 0).repeat(2, 1)
    mask = np.zeros((24, 24), np.uint8)
    mask[8:, 8:] = stencil
    alone = maker(
        **{**job, "image": cutting, "mask": mask.repeat(2, 0).repeat(2, 1), "rows": 1, "columns": 1},
        mode="fork",
        feather=0,
    )
    assert np.array_equal(zoomed.latents.latents, alone.latents.latents)
    back = alone.array(0).astype(float).reshape(24, 2, 24, 2, 3).mean(axis=(1, 3))[8:, 8:]
    inside = stencil > 0
    assert np.abs(zoomed.array(0)[16:, 32:][inside] - back[inside]).max() <= 1


def test_an_enlarged_sheet_is_sampled_together(maker, job, sheet, stencil):
    forks = maker(**job, zoom=2, mode="sample", zoom_filter="nearest", feather=0)
    larger = maker(
        **{**job, "image": sheet.repeat(2, 0).repeat(2, 1), "mask": stencil.repeat(2, 0).repeat(2, 1)},
        mode="sample",
        feather=0,
    )
    assert np.array_equal(forks.latents.latents, larger.latents.latents)
    changed = (np.asarray(forks.merged()) != sheet).any(axis=2)
    assert changed.any()
    assert not changed[np.tile(stencil == 0, (2, 3))].any()


def test_batches_and_tries_of_windows_are_runs_of_their_own(maker, job):
    whole = maker(**job, zoom=2, variants=2, fork_seeds="increment")
    small = maker(**job, zoom=2, variants=2, fork_seeds="increment", micro_batch=5)
    assert np.abs(whole.patches.astype(int) - small.patches).max() <= 1
    alone = maker(**{**job, "seed": 3 + 9}, zoom=2, cells=[3])
    assert np.abs(whole.patches[9:10].astype(int) - alone.patches).max() <= 1


def test_a_zoomed_run_is_repeated_from_its_folder(maker, job, tmp_path):
    forks = maker(**job, zoom=2, context=0.5, variants=2, cells=[0, 4])
    folder = forks.save(tmp_path / "zoomed")
    again = maker.again(folder)
    assert np.array_equal(again.patches, forks.patches)
    settings = forks.settings
    assert (settings["zoom"], settings["context"], settings["mode"]) == (2, 0.5, "fork")


def test_noise_that_is_left_in_windows_can_be_saved(maker, job, tmp_path):
    from maskgrid.sampling import ForkLatents

    forks = maker(**{**job, "steps": 4}, zoom=2, end_at_step=2, return_with_leftover_noise=True)
    forks.latents.save(tmp_path / "latents.safetensors")
    loaded = ForkLatents.load(tmp_path / "latents.safetensors")
    assert np.array_equal(loaded.latents, forks.latents.latents)
    assert loaded.state.step == 2


def test_large_cells_are_made_smaller(maker, job):
    forks = maker(**job, zoom=0.5)
    assert tuple(forks.latents.image_latents.shape[-2:]) == (4, 4)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"zoom": 0}, InvalidValueError, "zoom is 0; allowed: above 0, up to 64"),
        ({"zoom": 65}, InvalidValueError, "zoom is 65"),
        ({"zoom": float("nan")}, InvalidValueError, "zoom is nan"),
        ({"zoom": "big"}, InvalidTypeError, "zoom is 'big'; allowed: a factor, or 'auto'"),
        ({"zoom": True}, InvalidTypeError, "zoom is True"),
        ({"zoom": 2, "context": -1}, InvalidValueError, "context is -1"),
        ({"zoom": 2, "context": float("inf")}, InvalidValueError, "context is inf"),
        ({"zoom": 2, "context": "4"}, InvalidTypeError, "context is '4'"),
        (
            {"zoom": 2, "zoom_filter": "box"},
            InvalidValueError,
            "zoom_filter is 'box'; allowed: lanczos, nearest",
        ),
        ({"context": 4}, InvalidValueError, "without zoom"),
        ({"zoom_filter": "nearest"}, InvalidValueError, "without zoom"),
        ({"zoom": 2, "mode": "sample", "context": 4}, InvalidValueError, "sampled together"),
        ({"zoom": 2, "sharing": "base"}, InvalidValueError, "a canvas of its own"),
        ({"zoom": 2, "control_image": np.zeros((32, 48), np.uint8)}, InvalidValueError, "control_image"),
    ],
)
def test_a_zoom_that_is_none_is_refused(job, change, error, said):
    with pytest.raises(error, match=said):
        read_inputs({**job, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zoom": 1.5, "zoom_filter": "nearest"}, "whole factors from 1"),
        ({"zoom": 0.5, "zoom_filter": "nearest"}, "whole factors from 1"),
        ({"zoom": 1.1, "mode": "sample"}, r"the cell of 16 px has 17.6 px|the canvas of 32 px has 35.2 px"),
    ],
)
def test_a_factor_that_keeps_no_whole_pixels_is_refused(job, change, said):
    with pytest.raises(InvalidValueError, match=said):
        plan_run(read_inputs({**job, **change}), stride=8)


def test_auto_brings_the_cell_with_its_context_to_the_models_size(job):
    plan = plan_run(read_inputs({**job, "zoom": "auto", "context": 4}), stride=8, side=96)
    assert (plan.factor, tuple(plan.size), plan.latent_size) == (4, (96, 96), (12, 12))
    nearest = plan_run(
        read_inputs({**job, "zoom": "auto", "context": 1, "zoom_filter": "nearest"}), stride=8, side=96
    )
    assert (nearest.factor, tuple(nearest.size), tuple(nearest.canvas)) == (5, (90, 90), (96, 96))
    grid = Grid(2, 3, canvas=(32, 48), stride=1)
    assert enlarge_grid(grid, Zoom("auto"), 100)[1] == 2
    assert enlarge_grid(grid, Zoom("auto"), 10)[1] == 1


@pytest.mark.parametrize(("rim", "around"), [(1, 0), (0, 0.25)])
def test_a_cell_is_its_own_context_where_its_stencil_leaves_a_rim(rim, around):
    stencil = np.zeros((1, 16, 16), np.float32)
    stencil[0, rim : 16 - rim, rim : 16 - rim] = 1
    assert Zoom(2).context_for(stencil, [0]) == around
    assert Zoom(2, 3).context_for(stencil, [0]) == 3


def test_a_stencil_that_a_small_zoom_loses_is_told(job):
    thin = np.zeros((16, 16), np.uint8)
    thin[1] = 255
    with pytest.raises(MaskGridError, match="too thin"):
        plan_run(read_inputs({**job, "mask": thin, "zoom": 1, "context": 0}), stride=8)
    assert plan_run(read_inputs({**job, "mask": thin, "zoom": 4}), stride=8).lost == ()


def test_a_preview_is_the_first_window(maker, job):
    sizes = []
    maker(**job, zoom=2, context=4, callback=lambda progress: sizes.append(maker.preview(progress).size))
    assert sizes[0] == (48, 48)
