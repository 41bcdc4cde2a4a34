"""Pictures through a whole run: what is hidden stays hidden, and what was there stays as it was."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from maskgrid import Forks
from maskgrid.cli import main
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridWarning
from maskgrid.run_inputs import read_inputs

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def run(maker, image, mask, **more):
    return maker(image=image, mask=mask, rows=2, columns=3, steps=2, prompt="a sad face", **more)


def sprite(sheet, hidden):
    """The sheet with a transparent frame around each cell, whose colours nobody sees."""
    visible = np.zeros((16, 16), bool)
    visible[3:13, 3:13] = True
    visible = np.tile(visible, (2, 3))
    return np.dstack([np.where(visible[..., None], sheet, hidden), visible * 255]).astype(np.uint8), visible


def test_two_sprites_that_look_the_same_give_the_same_forks(maker, sheet, stencil):
    black, visible = sprite(sheet, 0)
    noise, _ = sprite(sheet, 255 - sheet)
    one, other = (run(maker, image, stencil) for image in (black, noise))
    for number in range(6):
        assert np.array_equal(one.array(number)[visible], other.array(number)[visible])
        assert np.array_equal(one.array(number)[..., 3], black[..., 3])
    assert not np.array_equal(one.array(0)[visible], black[visible])


def test_hidden_colours_outside_the_stencil_stay_bit_for_bit(maker, sheet, stencil):
    noise, _ = sprite(sheet, 255 - sheet)
    forks = run(maker, noise, stencil)
    outside = np.tile(stencil, (2, 3)) == 0
    assert np.array_equal(np.asarray(forks.merged())[outside], noise[outside])


def test_profile_and_resolution_are_in_every_picture(maker, sheet, stencil, tmp_path):
    Image.fromarray(sheet).save(tmp_path / "sheet.png", icc_profile=PROFILE, dpi=(300, 300))
    forks = run(maker, tmp_path / "sheet.png", stencil)
    forks.save(tmp_path / "out")
    loaded = Forks.load(tmp_path / "out")
    shown = [
        forks[0],
        forks[1:3][0],
        (forks + forks).merged(),
        forks.pick([0]),
        loaded[2],
        loaded.contact_sheet(),
    ]
    for path in (tmp_path / "out").glob("*.png"):
        if path.name != "stencil.png":
            shown.append(Image.open(io.BytesIO(path.read_bytes())))
    assert len(shown) == 6 + 6 + 3
    for picture in shown:
        assert picture.info["icc_profile"] == PROFILE
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_sheet_of_16_bits_is_refused_before_anything_is_sampled(maker, sheet, stencil):
    deep = Image.fromarray(sheet[..., 0].astype(np.uint16) * 257)
    with pytest.raises(InvalidTypeError, match="16 bits"):
        run(maker, deep, stencil)


def test_a_palette_stays_exact_outside_the_stencil(maker, sheet, stencil):
    palette = Image.fromarray(sheet).quantize(16)
    forks = run(maker, palette, stencil)
    outside = np.tile(stencil, (2, 3)) == 0
    assert np.array_equal(np.asarray(forks.merged())[outside], np.asarray(palette.convert("RGB"))[outside])


def test_a_run_takes_open_files_and_says_what_it_took(sheet, stencil):
    image, mask = io.BytesIO(), io.BytesIO()
    Image.fromarray(sheet).quantize(16).save(image, "PNG")
    Image.merge("LA", [Image.new("L", (16, 16), 255), Image.fromarray(stencil)]).save(mask, "PNG")
    inputs = read_inputs({"image": image, "mask": mask, "rows": 2, "columns": 3, "prompt": ""})
    assert np.array_equal(inputs.stencil, stencil)
    assert len(inputs.notes) == 2
    assert "became RGB" in inputs.notes[0]
    assert "its alpha is the mask" in inputs.notes[1]


def test_mask_channel_decides_in_a_run(maker, sheet, stencil, tmp_path):
    photo = np.dstack([np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8), stencil])
    with pytest.raises(InvalidValueError, match="mask_channel"):
        run(maker, sheet, photo)
    forks = run(maker, sheet, photo, mask_channel="alpha")
    assert np.array_equal(forks.stencil, stencil)
    # The stencil that is saved has one channel, so that the run's own choice must not be asked of it again.
    again = maker.again(forks.save(tmp_path / "out"))
    assert np.array_equal(again.array(3), forks.array(3))


def test_max_pixels_lets_a_larger_sheet_in_and_is_recorded(sheet, stencil, tmp_path, monkeypatch):
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    told = {"image": tmp_path / "sheet.png", "mask": stencil, "rows": 2, "columns": 3, "prompt": ""}
    with pytest.raises(InvalidValueError, match="max_pixels"):
        read_inputs(told)
    inputs = read_inputs({**told, "max_pixels": 10_000})
    assert np.array_equal(inputs.pixels, sheet)
    assert inputs.options.told()["max_pixels"] == 10_000


def test_pictures_that_a_network_goes_by_hide_nothing(sheet, stencil):
    noise, visible = sprite(sheet, 255 - sheet)
    told = {"image": sheet, "mask": stencil, "rows": 2, "columns": 3, "prompt": ""}
    inputs = read_inputs({**told, "control_image": noise, "reference_image": [noise]})
    assert (inputs.pictures["control_image"][~visible] == 0).all()
    assert (inputs.pictures["reference_image"][0][~visible] == 255).all()
    assert np.array_equal(inputs.pictures["control_image"][visible], noise[visible][:, :3])


def test_an_almost_hard_stencil_is_said_and_feathered(maker, sheet, stencil):
    grey = stencil.copy()
    grey[8, 8] = 128
    with pytest.warns(MaskGridWarning, match=r"almost black and white.*threshold=0\.5"):
        feathered = run(maker, sheet, grey, feather=4)
    assert np.array_equal(
        feathered.array(2)[5:8, 37:40], run(maker, sheet, grey, feather=0).array(2)[5:8, 37:40]
    ) is (False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_line_says_what_the_mask_is(folder, stencil, capsys):
    photo = np.dstack([np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8), stencil])
    Image.fromarray(photo).save("photo.png")
    assert main(["mask", "photo.png", "--out", "out.png"]) == 1
    assert "--mask-channel" in capsys.readouterr().err
    assert main(["mask", "photo.png", "--out", "out.png", "--mask-channel", "alpha"]) == 0
    assert "photo.png: its alpha is the mask, as asked for" in capsys.readouterr().out
    assert np.array_equal(np.asarray(Image.open(io.BytesIO((folder / "out.png").read_bytes()))), stencil)


def test_a_black_mask_of_any_mode_opens_nothing(folder, capsys):
    for mode, black in (("L", 0), ("RGB", (0, 0, 0)), ("RGBA", (0, 0, 0, 255)), ("LA", (0, 255))):
        Image.new(mode, (64, 64), black).save("black.png")
        assert main(["mask", "black.png", "--out", "out.png", "--force"]) == 0
        assert "0.0% may change" in capsys.readouterr().out, mode


def test_plan_says_what_it_took_and_draws_what_the_suffix_says(folder, sheet, stencil, capsys):
    Image.fromarray(sheet).quantize(16).save("sheet.png", dpi=(72, 72))
    Image.merge("LA", [Image.new("L", (16, 16), 255), Image.fromarray(stencil)]).save("mask.png")
    files = [
        "plan",
        "--image",
        "sheet.png",
        "--mask",
        "mask.png",
        "--rows",
        "2",
        "--columns",
        "3",
        "--stride",
        "2",
    ]
    assert main([*files, "--out", "plan.webp"]) == 0
    printed = capsys.readouterr().out
    assert "sheet.png: a palette (P) became RGB" in printed
    assert "mask.png: its alpha is the mask" in printed
    with Image.open("plan.webp") as picture:
        assert picture.format == "WEBP"
    assert main([*files, "--out", "plan.xyz"]) == 2
    assert ".png, .webp" in capsys.readouterr().err


def test_sample_says_what_it_took_and_takes_a_channel(folder, sheet, stencil, model_folder, capsys):
    Image.fromarray(sheet).save("sheet.png")
    photo = np.dstack([np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8), stencil])
    Image.fromarray(photo).save("photo.png")
    words = [
        "sample",
        "--image",
        "sheet.png",
        "--mask",
        "photo.png",
        "--rows",
        "2",
        "--columns",
        "3",
        "--steps",
        "1",
    ]
    words += ["--prompt", "", "--model", str(model_folder), "--device", "cpu"]
    assert main(words) == 1
    assert "--mask-channel" in capsys.readouterr().err
    assert main([*words, "--mask-channel", "alpha"]) == 0
    assert "photo.png: its alpha is the mask, as asked for" in capsys.readouterr().out
    assert len(Forks.load(folder / "out" / "forks")) == 6
