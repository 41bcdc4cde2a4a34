"""How much of a new cell shows: nothing where the stencil is black, all on the centre line of every part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.errors import InvalidValueError, MaskGridWarning
from maskgrid.geometry import masks
from maskgrid.pictures.paste_weights import paste_weights, soften_edge


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 20])
@pytest.mark.parametrize("thickness", [1, 2, 3, 4, 5, 8, 12, 16, 17, 40])
def test_a_bar_of_any_thickness_shows_in_full_along_its_middle(thickness, width):
    stencil = np.zeros((64, 96), np.uint8)
    stencil[10 : 10 + thickness, 8:88] = 255
    weights = paste_weights(stencil, width)[0]
    middle = weights[10 : 10 + thickness, 48]
    assert middle.max() == 1
    assert np.array_equal(middle, middle[::-1])
    assert (np.diff(middle[: (thickness + 1) // 2]) >= 0).all()
    assert not weights[stencil == 0].any()
    plain = masks.feather((stencil > 0).astype(np.float32), width, where="inside")
    assert (weights >= plain - 1e-6).all()


def test_thick_and_thin_parts_of_one_stencil_each_have_their_own_ramp():
    stencil = np.zeros((96, 96), np.float32)
    stencil[4:60, 4:60] = 1
    stencil[80:84, 4:90] = 1
    weights = soften_edge(stencil, 8)
    plain = masks.feather(stencil, 8, where="inside")
    assert np.allclose(weights[:70], plain[:70], atol=1e-6)
    assert weights[80:84, 40].max() == 1
    assert plain[80:84, 40].max() < 0.2


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 12, allow_nan=False),
    st.sampled_from(["hard", "almost", "soft"]),
)
def test_weights_lie_between_0_and_the_stencil_and_outside_is_exact(seed, feather, kind):
    generator = np.random.default_rng(seed)
    values = np.kron(generator.random((4, 5)) < 0.5, np.ones((5, 5))).astype(np.float32)
    if kind == "soft":
        values = values * generator.random(values.shape, dtype=np.float32) * np.float32(0.9)
    weights = paste_weights_quietly(values, feather)
    assert weights.shape == (1, *values.shape)
    assert weights.dtype == np.float32
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert not weights[0][values == 0].any()
    if kind == "soft":
        assert (weights[0] <= values).all()


def paste_weights_quietly(values, feather):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MaskGridWarning)
        return paste_weights(values, feather)


def test_one_grey_pixel_does_not_switch_the_feather_off(stencil):
    grey = stencil.copy()
    grey[8, 8] = 128
    with pytest.warns(MaskGridWarning, match=r"1 of 256 pixels are grey.*threshold=0.5"):
        weights = paste_weights(grey, 3)
    assert np.array_equal(weights, paste_weights(stencil, 3))
    # Not asked for, it is the run's own, and so it is without a warning where there is none.
    assert paste_weights(grey, 0)[0][8, 8] == np.float32(128 / 255)


def test_a_soft_stencil_is_its_own_ramp_and_may_have_another():
    soft = np.zeros((32, 32), np.float32)
    soft[4:28, 4:28] = np.linspace(0.1, 1, 24, dtype=np.float32)
    assert np.array_equal(paste_weights(soft, default=8)[0], soft)
    assert np.array_equal(paste_weights(soft, 0)[0], soft)
    feathered = paste_weights(soft, 4)[0]
    assert (feathered <= soft).all()
    assert (feathered[4, 6:28] < soft[4, 6:28]).all()
    assert np.array_equal(feathered[10:22, 10:22], soft[10:22, 10:22])


def test_default_is_used_where_no_feather_is_asked_for(stencil):
    assert np.array_equal(paste_weights(stencil, default=3), paste_weights(stencil, 3))
    assert np.array_equal(paste_weights(stencil, 0, default=3)[0], (stencil > 0).astype(np.float32))


def test_a_stencil_of_which_little_shows_is_said():
    faint = np.zeros((32, 32), np.float32)
    faint[8:24, 8:24] = 0.2
    with pytest.warns(MaskGridWarning, match=r"brightest pixel of the stencil has 20%.*threshold"):
        paste_weights(faint, 0)
    assert not paste_weights(np.zeros((8, 8), np.uint8), 2).any()


def test_shapes_with_cells_and_channels(stencil):
    cells = np.stack([np.roll(stencil, i) for i in range(6)])
    assert paste_weights(cells, 2).shape == (6, 16, 16)
    assert np.array_equal(paste_weights(cells[..., None], 2), paste_weights(cells, 2))
    assert np.array_equal(paste_weights(cells, 2)[3], paste_weights(cells[3], 2)[0])


@pytest.mark.parametrize("feather", [-1, np.inf, np.nan])
def test_a_feather_that_is_none_is_named(stencil, feather):
    for mask in (stencil, stencil.astype(np.float32) / 300):
        with pytest.raises(InvalidValueError):
            paste_weights(mask, feather)
