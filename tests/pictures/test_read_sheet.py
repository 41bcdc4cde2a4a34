"""Sheets in: everything people hold a picture in becomes the same pixels, or says why it can't."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, MaskGridWarning
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.read_sheet import read_image, read_sheet

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def file_of(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer


def test_all_ways_to_hold_an_image_give_its_pixels(sheet, tmp_path, monkeypatch):
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    data = (tmp_path / "sheet.png").read_bytes()
    with (tmp_path / "sheet.png").open("rb") as file:
        for image in (
            sheet,
            sheet[None],
            np.moveaxis(sheet, 2, 0),
            sheet.astype(np.float64) / 255,
            torch.from_numpy(sheet),
            torch.from_numpy(sheet).permute(2, 0, 1)[None].float() / 255,
            Image.fromarray(sheet),
            Image.open(io.BytesIO(data)),
            tmp_path / "sheet.png",
            str(tmp_path / "sheet.png"),
            "~/sheet.png",
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
        ):
            assert np.array_equal(read_sheet(image).pixels, sheet), image
            assert np.array_equal(read_image(image), sheet), image


def test_an_open_file_is_left_where_it_stood_and_read_again_from_its_start(sheet):
    file = file_of(Image.fromarray(sheet))
    end = file.tell()
    assert np.array_equal(read_sheet(file).pixels, sheet)
    assert file.tell() == end
    assert np.array_equal(read_sheet(file).pixels, sheet)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "AVIF", "JPEG"])
def test_formats_are_known_by_their_content(sheet, kind, tmp_path):
    if kind == "AVIF" and "AVIF" not in Image.OPEN:
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / "sheet.png"
    Image.fromarray(sheet).save(path, kind)
    with Image.open(path) as file:
        assert np.array_equal(read_sheet(path).pixels, np.asarray(file))


def exact(mode):
    """Random colours of a mode."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    return image.convert("RGB").quantize(7) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA"])
def test_modes_with_an_equal_in_rgb_stay_exact(mode):
    image = exact(mode)
    read = read_sheet(image)
    wanted = "RGBA" if "A" in mode else "RGB"
    assert np.array_equal(read.pixels, np.asarray(image.convert(wanted)))
    assert read.mode == mode
    assert bool(read.notes) is (mode not in ("RGB", "RGBA"))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_becomes_an_alpha_of_0(mode):
    image = exact(mode)
    pixel = image.getpixel((0, 0))
    file = file_of(image, transparency=pixel)
    read = read_sheet(file)
    assert read.pixels.shape[2] == 4
    assert read.pixels[0, 0, 3] == 0
    assert read.pixels[..., 3].max() == 255
    assert np.array_equal(read.pixels[..., :3], np.asarray(image.convert("RGB")))
    assert read.notes


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV"])
def test_colours_without_an_exact_rgb_are_refused_with_the_remedy(mode):
    image = Image.new(mode, (4, 4))
    with pytest.raises(InvalidTypeError, match=rf"{mode}.*convert\('RGB'\)"):
        read_sheet(image)
    assert read_image(image).shape == (4, 4, 3)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f4"])
@pytest.mark.parametrize("kind", ["file", "image"])
def test_more_than_eight_bits_are_refused_in_a_sheet_and_rounded_where_a_model_only_looks(
    dtype, kind, tmp_path
):
    values = np.linspace(0, 1, 256).reshape(16, 16)
    deep = values.astype(dtype) if dtype == "<f4" else np.rint(values * 65535).astype(dtype)
    Image.fromarray(deep).save(tmp_path / "deep.tiff")
    image = tmp_path / "deep.tiff" if kind == "file" else Image.fromarray(deep)
    with pytest.raises(InvalidTypeError, match=r"would not stay exact.*allowed: 8 bits"):
        read_sheet(image)
    assert np.array_equal(read_image(image)[..., 0].ravel(), np.arange(256))


def test_sixteen_bits_of_colour_are_seen_though_pillow_reads_eight(tmp_path):
    """A PNG of 16 bits a channel; Pillow has no mode for it, so it is written by hand."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with Image.open(path) as opened:
        assert opened.mode == "RGB"
        for image in (path, opened):
            with pytest.raises(InvalidTypeError, match="16 bits"):
                read_sheet(image)


def test_a_16_bit_grey_png_is_read_as_one(tmp_path):
    Image.fromarray(np.full((3, 4), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert (read_image(tmp_path / "deep.png") == 100).all()
    with pytest.raises(InvalidTypeError, match="16 bits"):
        read_sheet(tmp_path / "deep.png")


def test_floats_between_steps_of_eight_bits_are_said_to_be_rounded(sheet):
    assert not read_sheet(sheet.astype(np.float32) / 255).notes
    assert not read_sheet(sheet.astype(np.float16) / 255).notes
    assert "rounded" in read_sheet(np.full((4, 4), 0.3)).notes[0]


def test_a_tag_that_turns_a_picture_is_followed(sheet, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise
    Image.fromarray(sheet).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_sheet(tmp_path / "turned.png").pixels, np.rot90(sheet, -1))


def test_profile_and_resolution_are_kept(sheet):
    file = file_of(Image.fromarray(sheet), icc_profile=PROFILE, dpi=(300, 150))
    read = read_sheet(file)
    assert read.icc_profile == PROFILE
    assert read.dpi == pytest.approx((300, 150), abs=0.1)
    assert set(read.save_options) == {"icc_profile", "dpi"}
    assert not read_sheet(sheet).save_options


def test_a_profile_of_other_colours_than_rgb_is_not_kept_and_that_is_said(sheet):
    grey = bytearray(PROFILE)
    grey[16:20] = b"GRAY"
    file = file_of(Image.fromarray(sheet[..., 0]), icc_profile=bytes(grey))
    with pytest.warns(MaskGridWarning, match="'GRAY', not of RGB"):
        assert read_sheet(file).icc_profile is None


def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(sheet):
    frames = [Image.fromarray(sheet), Image.fromarray(255 - sheet)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        file = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        with pytest.warns(MaskGridWarning, match="2 frames or pages"):
            read = read_sheet(file)
        with Image.open(file) as first:
            assert np.array_equal(read.pixels, np.asarray(first.convert("RGB"))), kind


def test_bool_is_black_and_white():
    assert np.array_equal(read_image(np.eye(4, dtype=bool))[..., 1], np.eye(4, dtype=np.uint8) * 255)


def test_grey_becomes_three_channels():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(read_image(grey), np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(read_image(to_pil(grey)), np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize(
    ("image", "error", "match"),
    [
        (Image.new("I", (4, 4)), InvalidTypeError, "32 bits"),
        (Image.fromarray(np.full((2, 2), 2, np.float32)), InvalidValueError, "floats from 2"),
        (np.zeros((5, 4, 5), np.uint8), InvalidValueError, r"shape \(5, 4, 5\)"),
        (np.zeros((3, 4), np.int64), InvalidTypeError, "int64"),
        (np.zeros((3, 4), np.uint16), InvalidTypeError, "257"),
        (np.full((3, 4), 1.5), InvalidValueError, r"1\.5"),
        (np.full((3, 4), np.nan), InvalidValueError, "nan"),
        (torch.empty(4, 4, device="meta"), InvalidTypeError, "can't be read"),
        (torch.ones(4, 4).to_sparse(), InvalidTypeError, "can't be read"),
        ([[1, 2]], InvalidTypeError, "list"),
        ("nowhere.png", MaskGridError, "no file nowhere.png"),
    ],
)
def test_what_is_no_image_is_named(image, error, match):
    with pytest.raises(error, match=match):
        read_image(image)
