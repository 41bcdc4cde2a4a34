"""Pictures out: the suffix decides the format, and no format but JPEG changes a pixel."""

import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.read_sheet import read_sheet
from maskgrid.pictures.write_image import SUFFIXES, format_of, save_image
from maskgrid.result.picture_file import write_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TEXT = json.dumps({"prompt": "悲しい 😀 Ärger", "steps": 20}, ensure_ascii=False)


def picture(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, channels), dtype=np.uint8)
    pixels[..., 3:] *= pixels[..., 3:] > 128
    image = to_pil(pixels)
    image.info.update(icc_profile=PROFILE, dpi=(300, 150))
    return image


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_comes_back_bit_for_bit_with_profile_and_resolution(suffix, channels, tmp_path):
    path = write_picture(picture(channels), tmp_path / f"out{suffix}")
    with Image.open(path) as image:
        assert image.format == SUFFIXES[suffix.lower()]
    again = read_sheet(path)
    assert np.array_equal(again.pixels, np.asarray(picture(channels)))
    assert again.icc_profile == PROFILE
    assert again.dpi == pytest.approx((300, 150), abs=0.1)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_a_jpeg_is_near_and_keeps_profile_and_resolution(suffix, tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)[..., None].repeat(3, 2)
    image = to_pil(smooth)
    image.info.update(icc_profile=PROFILE, dpi=(300, 300))
    again = read_sheet(write_picture(image, tmp_path / f"out{suffix}"))
    assert np.abs(again.pixels.astype(int) - smooth).max() <= 4
    assert (again.icc_profile, again.dpi) == (PROFILE, (300, 300))


def test_a_jpeg_of_a_picture_with_alpha_is_refused(tmp_path):
    with pytest.raises(InvalidTypeError, match=r"alpha.*allowed: \.png"):
        write_picture(picture(4), tmp_path / "out.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out", "out.gif", "out.psd", "out.png.txt", ".png", "out."])
def test_other_suffixes_are_refused_with_the_allowed_ones(name, tmp_path):
    with pytest.raises(InvalidValueError, match=r"allowed: \.png, \.webp, \.tif, \.tiff, \.jpg, \.jpeg"):
        write_picture(picture(3), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_url_is_no_place_to_write_to():
    with pytest.raises(InvalidValueError, match="is the URL"):
        write_picture(picture(3), "s3://bucket/out.png")


@pytest.mark.parametrize("kind", sorted(set(SUFFIXES.values())))
def test_settings_are_in_the_metadata(kind, tmp_path):
    path = tmp_path / "out"
    save_image(picture(3), path, kind, text=TEXT)
    with Image.open(path) as image:
        told = image.text["maskgrid"] if kind == "PNG" else image.getexif()[270]
    assert json.loads(told) == json.loads(TEXT)


def test_a_jpeg_is_written_without_settings_that_it_can_not_hold(tmp_path):
    save_image(picture(3), tmp_path / "out", "JPEG", text='"' + 70_000 * "x" + '"')
    with Image.open(tmp_path / "out") as image:
        assert 270 not in image.getexif()


def test_the_format_is_that_of_the_last_suffix():
    assert format_of("a.b/c.d.TIFF") == "TIFF"
