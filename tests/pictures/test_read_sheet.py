"""Pictures in: everything people hold an image in becomes the same pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from maskgrid import Grid
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.pictures.images import read_image, read_stencil, to_pil
from maskgrid.pictures.stencils import fit_stencil, prepare_stencil, shown, stencil_picture


def test_all_ways_to_hold_an_image_give_its_pixels(sheet, tmp_path):
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    for image in (
        sheet,
        sheet[None],
        np.moveaxis(sheet, 2, 0),
        sheet.astype(np.float64) / 255,
        torch.from_numpy(sheet),
        torch.from_numpy(sheet).permute(2, 0, 1)[None].float() / 255,
        Image.fromarray(sheet),
        tmp_path / "sheet.png",
        str(tmp_path / "sheet.png"),
    ):
        assert np.array_equal(read_image(image), sheet)


def test_grey_becomes_three_channels_and_alpha_stays():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(read_image(grey), np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(read_image(to_pil(grey)), np.repeat(grey[..., None], 3, 2))
    rgba = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    assert np.array_equal(read_image(to_pil(rgba)), rgba)
    palette = Image.fromarray(rgba[..., :3]).quantize(4)
    assert read_image(palette).shape == (3, 4, 3)
    palette.info["transparency"] = 0
    assert read_image(palette).shape == (3, 4, 4)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f4"])
def test_more_than_eight_bits_are_rounded_not_cut_off(dtype, tmp_path):
    values = np.linspace(0, 1, 256).reshape(16, 16)
    deep = values.astype(dtype) if dtype == "<f4" else np.rint(values * 65535).astype(dtype)
    Image.fromarray(deep).save(tmp_path / "deep.tiff")
    for image in (tmp_path / "deep.tiff", Image.fromarray(deep)):
        assert np.array_equal(read_image(image)[..., 0].ravel(), np.arange(256))
        stencil = read_stencil(image)
        assert stencil.dtype == np.float32
        assert np.abs(stencil - values).max() < 1e-5


def test_a_16_bit_png_is_read_as_one(tmp_path):
    Image.fromarray(np.full((3, 4), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert (read_image(tmp_path / "deep.png") == 100).all()


def test_a_tag_that_turns_a_picture_is_followed(sheet, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise
    Image.fromarray(sheet).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(sheet[..., 0]).save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(sheet, -1))
    assert np.array_equal(read_stencil(tmp_path / "mask.png"), np.rot90(sheet[..., 0], -1))


def test_bool_is_black_and_white():
    assert np.array_equal(read_image(np.eye(4, dtype=bool))[..., 1], np.eye(4, dtype=np.uint8) * 255)


@pytest.mark.parametrize(
    ("image", "error", "match"),
    [
        (Image.new("I", (4, 4)), InvalidTypeError, "32 bits"),
        (Image.fromarray(np.full((2, 2), 2, np.float32)), InvalidValueError, "floats from 2"),
        (np.zeros((5, 4, 5), np.uint8), InvalidValueError, r"shape \(5, 4, 5\)"),
        (np.zeros((3, 4), np.int64), InvalidTypeError, "int64"),
        (np.full((3, 4), 1.5), InvalidValueError, r"1\.5"),
        (np.full((3, 4), np.nan), InvalidValueError, "nan"),
        ([[1, 2]], InvalidTypeError, "list"),
        ("nowhere.png", MaskGridError, "no file nowhere.png"),
    ],
)
def test_what_is_no_image_is_named(image, error, match):
    with pytest.raises(error, match=match):
        read_image(image)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_file_is_named(content, tmp_path):
    for name in ("broken.png", "broken.npy"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MaskGridError, match="broken"):
            read_stencil(tmp_path / name)


def test_a_stencil_is_brightness_or_alpha_where_that_is_all_there_is(stencil, tmp_path):
    assert np.array_equal(read_stencil(to_pil(stencil)), stencil)
    assert np.array_equal(read_stencil(to_pil(stencil).convert("1")), stencil)
    black = np.dstack([np.zeros((16, 16, 3), np.uint8), stencil])
    assert np.array_equal(read_stencil(to_pil(black)), stencil)
    np.save(tmp_path / "stencil.npy", stencil / 300)
    assert np.array_equal(read_stencil(tmp_path / "stencil.npy"), stencil / 300)


def test_stencils_fit_as_one_for_all_one_per_cell_or_one_sheet(stencil):
    grid = Grid(2, 3, cell=16, stride=2)
    assert fit_stencil(stencil, grid).shape == (16, 16)
    cells = np.stack([np.roll(stencil, i) for i in range(6)])
    whole = np.concatenate([np.concatenate(list(row), 1) for row in cells.reshape(2, 3, 16, 16)])
    for mask in (cells, whole, whole[None], torch.from_numpy(whole)):
        assert np.array_equal(fit_stencil(mask, grid), cells)
    for shape in ((16, 15), (1, 2, 16, 16, 1), (16,)):
        with pytest.raises(InvalidValueError, match="mask"):
            fit_stencil(np.zeros(shape), grid)


def test_a_stencils_picture_is_read_back_as_that_stencil(stencil):
    grid = Grid(2, 3, cell=16, stride=2)
    cells = np.stack([np.roll(stencil, i) for i in range(6)])
    for mask in (
        stencil,
        stencil > 0,
        (stencil > 0).astype(np.float32),
        cells,
        stencil[None],
        cells[..., None],
    ):
        again = fit_stencil(read_stencil(to_pil(stencil_picture(mask, grid))), grid)
        assert np.array_equal(shown(again, 2), shown(mask, 2))
    assert stencil_picture(stencil.astype(np.float32) / 300, grid) is None


def test_where_the_stencil_is_0_nothing_shows_and_soft_ones_stay(stencil):
    alpha = shown(stencil, 3)
    assert alpha.shape == (1, 16, 16)
    assert not alpha[0][stencil == 0].any()
    assert alpha.max() == 1
    assert np.array_equal(shown(stencil, 0)[0] > 0, stencil > 0)
    soft = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(shown(soft, 3)[0], soft)


def test_preparing_goes_in_the_order_of_the_arguments(stencil):
    assert np.array_equal(prepare_stencil(stencil), stencil)
    assert np.array_equal(prepare_stencil(stencil, invert=True), 255 - stencil)
    assert prepare_stencil(stencil, grow=2).sum() > stencil.sum() > prepare_stencil(stencil, shrink=2).sum()
    assert np.array_equal(prepare_stencil(stencil // 2, threshold=0.4), stencil)
    assert 0 < prepare_stencil(stencil, feather=3)[8, 3] < 255
    ring = np.where(prepare_stencil(stencil, shrink=3) > 0, 0, stencil).astype(np.uint8)
    assert np.array_equal(prepare_stencil(ring, fill_holes=True), stencil)
