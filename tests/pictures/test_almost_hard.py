"""Masks out of lossy files and of brushes: black stays black, almost hard ones are told from soft ones."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from maskgrid.geometry import masks
from maskgrid.pictures.almost_hard import is_almost_hard
from maskgrid.pictures.paste_weights import paste_weights
from maskgrid.pictures.read_mask import read_mask

SIDE = 128


def drawn(name, factor=1):
    """A stencil, larger by a factor so that it can be made smaller with a smooth edge."""
    side = SIDE * factor
    picture = Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    at = side / 16
    if name == "disc":
        draw.ellipse((4 * at, 4 * at, 12 * at, 12 * at), fill=255)
    elif name == "square":
        draw.rectangle((3 * at, 5 * at, 12 * at, 11 * at), fill=255)
    elif name == "line":
        draw.line((2 * at, 3 * at, 14 * at, 12 * at), fill=255, width=4 * factor)
    elif name == "star":
        angles = np.linspace(0, 4 * np.pi, 6)[:5] - np.pi / 2
        points = [(8 * at + 6 * at * np.cos(a), 8 * at + 6 * at * np.sin(a)) for a in angles]
        draw.polygon(points, fill=255)
    elif name == "eyes":
        for left in (4, 10):
            draw.ellipse((left * at, 6 * at, (left + 2.5) * at, 8 * at), fill=255)
        draw.rectangle((6 * at, 11 * at, 10 * at, 11.75 * at), fill=255)
    return picture


SHAPES = ("disc", "square", "line", "star", "eyes")


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kind", "quality"), [("JPEG", 30), ("JPEG", 50), ("JPEG", 75), ("JPEG", 95), ("WEBP", 50), ("WEBP", 80)]
)
def test_a_hard_stencil_comes_out_of_a_lossy_file_as_it_was_drawn(shape, kind, quality):
    picture = drawn(shape)
    read = read_mask(saved(picture, kind, quality=quality))
    assert set(np.unique(read.values)) == {0, 255}
    # Half a level is where the edge was, up to a pixel that the compression moved.
    wrong = (read.values > 0) != (np.asarray(picture) > 0)
    assert wrong.mean() < 0.003
    assert "made black and white again" in str(read)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_what_is_black_in_the_drawing_does_not_change(shape, quality):
    picture = drawn(shape)
    away = ~masks.grow(np.asarray(picture) > 0, 1.5)
    for mask in (
        saved(picture, "JPEG", quality=quality),
        Image.open(saved(picture, "JPEG", quality=quality)),
    ):
        assert not paste_weights(read_mask(mask).values, 4)[0][away].any()


@pytest.mark.parametrize("quality", [30, 50, 75])
def test_nor_does_it_where_the_file_was_saved_again_without_loss(quality):
    picture = drawn("disc")
    compressed = Image.open(saved(picture, "JPEG", quality=quality))
    again = read_mask(saved(compressed, "PNG"))
    empty = ~masks.grow(np.asarray(picture) > 0, 9)
    assert not again.values[empty].any()
    with pytest.warns(UserWarning, match=r"almost black and white.*threshold=0.5"):
        weights = paste_weights(again.values, 4)[0]
    assert not weights[~masks.grow(np.asarray(picture) > 0, 1.5)].any()
    assert weights.max() == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_smooth_edges_are_almost_hard(shape):
    smooth = drawn(shape, 4).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    values = np.asarray(smooth, np.float32) / 255
    assert is_almost_hard(values)
    assert not is_almost_hard(np.minimum(values, 0.9))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [2, 4, 8])
def test_blurred_masks_are_soft_and_stay_as_they_are(shape, radius):
    blurred = drawn(shape).filter(ImageFilter.GaussianBlur(radius))
    values = np.asarray(blurred, np.float32) / 255
    assert not is_almost_hard(values)
    assert np.array_equal(read_mask(saved(blurred, "PNG")).values, np.asarray(blurred))


def test_ramps_and_plateaus_are_soft():
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)[None].repeat(SIDE, 0)
    half = np.where(np.asarray(drawn("disc")) > 0, 0.5, 0).astype(np.float32)
    noise = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    for soft in (
        ramp,
        half,
        half * 1.7,
        noise,
        noise * (half > 0),
        np.maximum(half, np.asarray(drawn("eyes")) / np.float32(255)),
    ):
        assert not is_almost_hard(soft)


def test_of_a_soft_mask_in_a_lossy_file_the_black_is_black():
    blurred = drawn("disc").filter(ImageFilter.GaussianBlur(6))
    read = read_mask(saved(blurred, "JPEG", quality=80)).values
    black = np.asarray(blurred) == 0
    assert not read[~masks.grow(~black, 8)].any()
    assert np.abs(read.astype(int) - np.asarray(blurred)).max() < 16


def test_hard_masks_are_left_alone_in_silence():
    read = read_mask(saved(drawn("disc"), "PNG"))
    assert np.array_equal(read.values, np.asarray(drawn("disc")))
    assert not read.notes
