"""What nobody sees reaches no model: two pictures that look the same are the same to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.pictures.fill_hidden import fill_hidden
from maskgrid.pictures.flatten_alpha import flatten_alpha


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.sampled_from([0.02, 0.3, 0.9, 1.0])
)
def test_hidden_colours_make_no_difference_and_visible_ones_stay(seed, height, width, share):
    generator = np.random.default_rng(seed)
    one, other = generator.integers(0, 256, (2, height, width, 4), dtype=np.uint8)
    one[..., 3] *= generator.random((height, width)) < share
    visible = one[..., 3] > 0
    other[..., 3] = one[..., 3]
    other[visible] = one[visible]
    filled = fill_hidden(one)
    assert np.array_equal(filled, fill_hidden(other))
    assert np.array_equal(filled[visible], one[visible][:, :3])
    assert filled.shape == (height, width, 3)


def test_around_what_is_visible_its_colours_go_on():
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[8:24, 8:16] = (200, 10, 20, 255)
    pixels[8:24, 16:24] = (10, 180, 40, 255)
    filled = fill_hidden(pixels)
    assert np.abs(filled[:, :10].astype(int) - (200, 10, 20)).max() < 64
    assert np.abs(filled[12, 7].astype(int) - (200, 10, 20)).max() <= 4
    assert np.abs(filled[12, 24].astype(int) - (10, 180, 40)).max() <= 4
    assert (filled[..., 0] >= 10).all()


def test_of_a_picture_with_nothing_visible_nothing_is_taken():
    assert len(np.unique(fill_hidden(np.zeros((5, 4, 4), np.uint8)))) == 1


def test_without_alpha_or_with_nothing_hidden_nothing_is_copied(sheet):
    assert fill_hidden(sheet).base is sheet
    opaque = np.dstack([sheet, np.ones_like(sheet[..., 0])])
    assert np.shares_memory(fill_hidden(opaque), opaque)


@pytest.mark.parametrize("ground", [0, 255])
def test_what_only_a_model_sees_is_laid_over_a_ground(ground):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), dtype=np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 0, 255
    flat = flatten_alpha(pixels, ground)
    share = pixels[..., 3:] / 255
    assert np.abs(flat - (pixels[..., :3] * share + ground * (1 - share))).max() <= 0.5
    assert (flat[0] == ground).all()
    assert np.array_equal(flat[1], pixels[1, :, :3])
    assert flatten_alpha(pixels[..., :3], ground).base is not None
