"""Alpha out of a picture before one colour: what was composited comes back, and nothing of the colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import Grid
from maskgrid.pictures.background import background_of, check_background, far_colour
from maskgrid.pictures.flatten_alpha import flatten_alpha
from maskgrid.pictures.key_alpha import key_alpha, measure_ground, uncover
from maskgrid.pictures.mix_alpha import mix_patches, mix_with_alpha

GREEN = (0, 255, 0)


def draw_disc(size: int = 48, colour=(200, 40, 60), outline=(20, 16, 30)) -> np.ndarray:
    """A disc with a dark outline, its edge anti-aliased: (h, w, 4) uint8."""
    y, x = np.mgrid[:size, :size] + 0.5
    radius = np.hypot(y - size / 2, x - size / 2)
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[..., :3] = np.where((radius > size / 3 - 2.5)[..., None], outline, colour)
    pixels[..., 3] = np.rint(255 * (size / 3 + 0.5 - radius).clip(0, 1))
    return pixels


@pytest.mark.parametrize("background", [GREEN, (255, 0, 255), (255, 255, 255)])
@pytest.mark.parametrize("noise", [0, 3])
def test_a_soft_edge_comes_back_from_its_composite(background, noise):
    drawn = draw_disc()
    generator = np.random.default_rng(0)
    seen = flatten_alpha(drawn, background).astype(int) + generator.integers(-noise, noise + 1, (48, 48, 3))
    pixels = seen.clip(0, 255).astype(np.uint8)
    keyed = key_alpha(pixels, measure_ground(pixels, background))
    wrong = np.abs(keyed[..., 3].astype(int) - drawn[..., 3])
    assert wrong.mean() < 2
    assert wrong.max() <= 64


def test_nothing_of_the_background_is_left_in_the_edge():
    drawn = draw_disc()
    pixels = flatten_alpha(drawn, GREEN)
    keyed = key_alpha(pixels, measure_ground(pixels, GREEN))
    edge = (keyed[..., 3] > 0) & (keyed[..., 3] < 255)
    assert edge.any()
    fringe = keyed[edge][:, 1].astype(int) - keyed[edge][:, [0, 2]].max(1)
    assert fringe.max() <= 24


def test_an_autoencoders_own_shade_of_the_background_is_background():
    pixels = flatten_alpha(draw_disc(), (18, 231, 22))
    ground = measure_ground(pixels, GREEN)
    keyed = key_alpha(pixels, ground)
    assert ground.is_found
    assert (keyed[0, :, 3] == 0).all()
    assert (keyed[20:28, 20:28, 3] == 255).all()


def test_a_picture_that_is_all_background_or_has_none_is_clear_or_opaque():
    ground = np.full((9, 9, 3), GREEN, np.uint8)
    other = np.zeros_like(ground)
    assert (key_alpha(ground, measure_ground(ground, GREEN))[..., 3] == 0).all()
    assert not measure_ground(other, GREEN).is_found
    assert (key_alpha(other, measure_ground(other, GREEN))[..., 3] == 255).all()


def test_pixels_that_are_known_to_be_background_tell_what_became_of_it():
    drawn = draw_disc()
    pixels = flatten_alpha(drawn, (80, 140, 180))
    ground = measure_ground(pixels, GREEN, drawn[..., 3] == 0)
    assert ground.colour == (80, 140, 180)
    assert not ground.is_found
    assert np.abs(key_alpha(pixels, ground)[..., 3].astype(int) - drawn[..., 3]).mean() < 2


def test_with_a_known_alpha_the_colours_come_back():
    drawn = draw_disc()
    pixels = flatten_alpha(drawn, GREEN)
    found = uncover(pixels, drawn[..., 3], measure_ground(pixels, GREEN))
    seen = drawn[..., 3] >= 64
    assert np.array_equal(found[..., 3], drawn[..., 3])
    assert np.abs(found[seen].astype(int) - drawn[seen]).max() <= 4


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_mixing_is_exact_at_both_ends_and_never_takes_a_hidden_colour(seed, height, width):
    generator = np.random.default_rng(seed)
    below, above = generator.integers(0, 256, (2, height, width, 4), dtype=np.uint8)
    weight = generator.choice([0, 0.25, 0.5, 1], (height, width)).astype(np.float32)
    below[..., 3] *= generator.random((height, width)) < 0.5
    mixed = mix_with_alpha(below, above, weight)
    assert np.array_equal(mixed[weight == 0], below[weight == 0])
    assert np.array_equal(mixed[weight == 1], above[weight == 1])
    hidden = (below[..., 3] == 0) & (above[..., 3] > 0) & (weight > 0)
    assert np.array_equal(mixed[hidden][:, :3], above[hidden][:, :3])


def test_mixed_cells_are_pasted_as_they_are_and_the_rest_is_the_sheet():
    grid = Grid(1, 2, canvas=(8, 16), stride=1)
    sheet = np.random.default_rng(0).integers(0, 256, (8, 16, 4), dtype=np.uint8)
    patches = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 4), dtype=np.uint8)
    weight = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    mixed, shown = mix_patches(sheet, patches, [1], grid, weight)
    assert set(np.unique(shown)) == {0, 1}
    assert np.array_equal(mixed[0, 0, 0], sheet[0, 8])
    assert np.array_equal(mixed[0, 7, 7], patches[0, 7, 7])


@pytest.mark.parametrize(
    ("given_as", "meant"),
    [("#0f0", GREEN), ("#00FF00", GREEN), ([0, 255, 0], GREEN), (np.array(GREEN), GREEN), ("auto", "auto")],
)
def test_a_colour_is_read_as_people_write_it(given_as, meant):
    assert check_background(given_as) == meant


@pytest.mark.parametrize(
    ("given_as", "error"),
    [
        ("green", InvalidValueError),
        ("#12345", InvalidValueError),
        ((0, 256, 0), InvalidValueError),
        ((0, True, 0), InvalidValueError),
        ((0, 0.5, 0), InvalidValueError),
        ((0, 1), InvalidValueError),
        (7, InvalidTypeError),
        (b"abc", InvalidTypeError),
    ],
)
def test_what_is_no_colour_is_refused(given_as, error):
    with pytest.raises(error, match="allowed: 'auto', '#00ff00'"):
        check_background(given_as)


def test_auto_is_far_from_what_is_seen_and_does_not_mind_what_is_hidden_or_a_speck():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = (0, 250, 10)
    pixels[8:56, 8:56] = (30, 200, 40, 255)
    assert far_colour(pixels) == (255, 0, 255)
    pixels[30, 30] = (255, 0, 255, 255)
    assert far_colour(pixels) == (255, 0, 255)
    assert far_colour(np.zeros((4, 4, 4), np.uint8)) == GREEN
    assert background_of("auto", pixels[..., :3]) is None
