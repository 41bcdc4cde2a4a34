"""Masks in pictures: which channel counts, by what can be seen, in every mode that a picture may have."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.pictures.mask_channel import choose_channel, luminance
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.read_mask import read_mask


def painted(stencil, brush, hidden):
    """Strokes of a brush on a transparent layer, with colours that nobody sees."""
    rgba = np.empty((*stencil.shape, 4), np.uint8)
    rgba[..., :3] = np.where(stencil[..., None] > 0, brush, hidden)
    rgba[..., 3] = stencil
    return to_pil(rgba)


@pytest.mark.parametrize(
    ("mode", "black", "white"),
    [
        ("1", 0, 1),
        ("L", 0, 255),
        ("LA", (0, 255), (255, 255)),
        ("RGB", (0, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 255), (255, 255, 255, 255)),
        ("RGBX", (0, 0, 0, 0), (255, 255, 255, 0)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0, 0)),
        ("YCbCr", (0, 128, 128), (255, 128, 128)),
        ("LAB", (0, 128, 128), (255, 90, 200)),
        ("HSV", (7, 0, 0), (90, 0, 255)),
        ("I;16", 0, 65535),
        ("I", 0, 255),
        ("I", 0, 1),
        ("F", 0.0, 1.0),
    ],
)
def test_black_is_kept_and_white_may_change_in_every_mode(mode, black, white):
    picture = Image.new(mode, (6, 4), black)
    assert not read_mask(picture).values.any()
    picture.putpixel((2, 1), white)
    values = np.asarray(read_mask(picture).values, np.float32)
    assert values[1, 2] == values.max() > 0
    assert np.count_nonzero(values) == 1
    assert values.max() == (255 if read_mask(picture).values.dtype == np.uint8 else 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_an_opaque_grey_is_that_grey_whatever_alpha_it_has(mode):
    for alpha in (1, 100, 255):
        picture = Image.new("LA", (8, 8), (128, alpha)).convert(mode)
        read = read_mask(picture)
        assert (read.values == 128).all(), alpha
        assert read.taken == "its brightness is the mask, for alpha is the same everywhere"


@pytest.mark.parametrize("hidden", [0, 90, 255])
@pytest.mark.parametrize("brush", [(0, 0, 0), (255, 255, 255), (255, 0, 0)])
def test_strokes_on_a_transparent_layer_are_their_alpha(stencil, brush, hidden):
    read = read_mask(painted(stencil, brush, hidden))
    assert np.array_equal(read.values, stencil)
    assert read.taken == "its alpha is the mask, for all that is visible has the same brightness"


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["one colour", "one alpha", "both"]))
def test_hidden_colours_never_decide(seed, kind):
    generator = np.random.default_rng(seed)
    rgba = generator.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    rgba[..., 3] = generator.choice([0, 255] if kind != "both" else [0, 100, 255], (6, 7))
    if kind == "one colour":
        rgba[..., :3] = rgba[0, 0, :3]
    elif kind == "one alpha":
        rgba[..., 3] = 0 if seed % 2 else 255
    other = rgba.copy()
    hidden = rgba[..., 3] == 0
    other[hidden, :3] = generator.integers(0, 256, (hidden.sum(), 3))
    for channel in (None, "alpha", "luminance", "red"):
        both = []
        for pixels in (rgba, other):
            try:
                read = read_mask(pixels if seed % 3 else to_pil(pixels), channel=channel)
                both.append((read.values.tolist(), str(read)))
            except InvalidValueError as error:
                both.append(str(error))
        assert both[0] == both[1], channel


def test_where_both_vary_it_has_to_be_said(stencil):
    grey = np.random.default_rng(0).integers(0, 256, (*stencil.shape, 3), dtype=np.uint8)
    photo = np.dstack([grey, stencil])
    with pytest.raises(InvalidValueError, match=r"--mask-channel.*'alpha'.*'luminance'.*'red'"):
        read_mask(to_pil(photo))
    assert np.array_equal(read_mask(to_pil(photo), channel="alpha").values, stencil)
    bright, red = luminance(grey) * (stencil > 0), grey[..., 0] * (stencil > 0)
    for channel, wanted in (("luminance", bright), ("red", red)):
        read = read_mask(to_pil(photo), channel=channel)
        assert np.array_equal(read.values, wanted)
        assert read.taken == f"its {channel} is the mask, as asked for"


def test_a_stray_transparent_corner_is_enough(stencil):
    rgba = np.dstack([stencil, stencil, stencil, np.full_like(stencil, 255)])
    assert np.array_equal(read_mask(to_pil(rgba)).values, stencil)
    rgba[0, 0, 3] = 0
    with pytest.raises(InvalidValueError, match="--mask-channel"):
        read_mask(to_pil(rgba))


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(InvalidValueError, match=r"no alpha.*allowed"):
        read_mask(Image.new("L", (4, 4)), channel="alpha")
    with pytest.raises(InvalidValueError, match=r"no alpha.*allowed"):
        read_mask(np.zeros((4, 4)), channel="alpha")
    with pytest.raises(InvalidValueError, match="'green'; allowed: 'alpha', 'luminance', 'red'"):
        read_mask(Image.new("L", (4, 4)), channel="green")


def test_alpha_of_an_indexed_png_is_seen(stencil):
    """One colour, two entries of the palette, one of them transparent."""
    picture = Image.fromarray((stencil > 0).astype(np.uint8), "L").convert("P")
    picture.putpalette([200, 30, 30, 200, 30, 30])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes([0, 255]))
    with Image.open(buffer) as again:
        assert again.mode == "P"
    assert np.array_equal(read_mask(buffer).values, stencil)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_transparent_colour_of_a_png_is_seen(stencil, mode):
    key = {"L": 0, "RGB": (0, 0, 0), "I;16": 0}[mode]
    deep = stencil.astype(np.uint16) * 257 if mode == "I;16" else None
    picture = Image.fromarray(deep) if deep is not None else to_pil(stencil).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=key)
    read = read_mask(buffer)
    assert "alpha" in read.taken
    assert np.array_equal(read.values > 0, stencil > 0)


def test_a_picture_of_which_nothing_is_visible_is_black():
    read = read_mask(Image.new("RGBA", (4, 4), (255, 255, 255, 0)))
    assert not read.values.any()
    assert "nothing in it is visible" in read.taken


def test_arrays_with_colours_follow_the_same_rule(stencil):
    large = np.kron(stencil, np.ones((1, 1), np.uint8))
    for kind in (np.asarray, torch.from_numpy):
        opaque = np.dstack([large, large, large, np.full_like(large, 255)])
        assert np.array_equal(read_mask(kind(opaque)).values, large)
        assert np.array_equal(read_mask(kind(opaque[..., :3].copy())).values, large)
        alpha = np.dstack([np.zeros((16, 16, 3), np.uint8), large])
        assert np.array_equal(read_mask(kind(alpha)).values, large)
        floats = np.stack([alpha, alpha]).astype(np.float32) / 255
        assert np.array_equal(read_mask(kind(floats)).values, np.stack([large, large]) / np.float32(255))


def test_arrays_without_colours_stay_as_they_are(stencil, tmp_path):
    for mask in (stencil, stencil / 300, stencil > 0, np.stack([stencil] * 6), torch.from_numpy(stencil)):
        assert read_mask(mask).values is mask
        assert not str(read_mask(mask))
    np.save(tmp_path / "stencil.npy", stencil / 300)
    assert np.array_equal(read_mask(tmp_path / "stencil.npy").values, stencil / 300)
    assert np.array_equal(read_mask(str(tmp_path / "stencil.npy")).values, stencil / 300)


def test_a_numpy_file_runs_no_code_and_unpacks_no_archive(stencil, tmp_path):
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(Exception, match="no array that numpy can read"):
        read_mask(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", stencil)
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(Exception, match="no array that numpy can read"):
        read_mask(tmp_path / "b.npy")


def test_sixteen_bits_and_floats_keep_their_depth(tmp_path):
    values = np.linspace(0, 1, 256).reshape(16, 16)
    for deep in (np.rint(values * 65535).astype("<u2"), values.astype("<f4")):
        Image.fromarray(deep).save(tmp_path / "deep.tiff")
        for mask in (tmp_path / "deep.tiff", Image.fromarray(deep)):
            read = read_mask(mask).values
            assert read.dtype == np.float32
            assert np.abs(read - values).max() < 1e-5


def test_integers_of_32_bits_that_are_no_mask_are_named():
    picture = Image.new("I", (4, 4))
    picture.putpixel((0, 0), 70000)
    with pytest.raises(InvalidTypeError, match="32 bits, from 0 to 70000"):
        read_mask(picture)


def test_a_tag_that_turns_a_picture_is_followed(sheet, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise
    Image.fromarray(sheet[..., 0]).save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "mask.png").values, np.rot90(sheet[..., 0], -1))


def test_luminance_is_pillows():
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(luminance(colours), np.asarray(Image.fromarray(colours).convert("L")))


def test_what_was_read_is_read_as_itself(stencil):
    read = read_mask(to_pil(stencil))
    assert read_mask(read) is read


def test_an_empty_picture_has_no_channel_to_choose():
    empty = np.zeros((0, 4), np.uint8)
    assert choose_channel(np.zeros((0, 4, 3), np.uint8), empty)[0].shape == (0, 4)
