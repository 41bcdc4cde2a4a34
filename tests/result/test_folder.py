"""The output folder: complete, readable again, all or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import maskgrid
from maskgrid import Forks
from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError, OutputExistsError
from maskgrid.result.picture_file import write_picture
from maskgrid.result.read_manifest import read_manifest
from maskgrid.result.save_folder import write_output

FORMAT_1 = Path(__file__).parent.parent / "data" / "folder_of_format_1"
FILES = [
    "alpha.npy",
    "contact.png",
    *(f"fork_{i:03d}_r{i // 3}_c{i % 3}.png" for i in range(6)),
    "manifest.json",
    "merged.png",
    "original.png",
    "stencil.png",
]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def shown(forks: Forks) -> list[np.ndarray]:
    """All pictures of forks."""
    return [forks.array(index) for index in range(len(forks))] + [
        np.asarray(image) for image in (forks.original, forks.merged(), forks.contact_sheet())
    ]


def assert_same_forks(one: Forks, other: Forks) -> None:
    assert (one.grid, one.cells) == (other.grid, other.cells)
    for first, second in zip(shown(one), shown(other), strict=True):
        assert np.array_equal(first, second)
    for first, second in zip(one.records, other.records, strict=True):
        assert first.own == second.own
        assert first.run.settings == second.run.settings
        assert np.array_equal(first.run.stencil, second.run.stencil)


def test_a_folder_has_pictures_manifest_and_what_they_were_made_of(forks, tmp_path):
    folder = forks.save(tmp_path / "deep" / "out")
    assert names(folder) == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["runs"] == [{"stencil": "stencil.png", "settings": dict(forks.settings)}]
    for index, entry in enumerate(manifest["forks"]):
        assert entry == {
            "file": f"fork_{index:03d}_r{index // 3}_c{index % 3}.png",
            "fork": index,
            "cell": index,
            "row": index // 3,
            "column": index % 3,
            "run": 0,
            "number": index,
            "prompt": "a sad face",
            "seed": 7,
        }
        with Image.open(folder / entry["file"]) as image:
            assert np.array_equal(np.asarray(image), forks.array(index))
            assert json.loads(image.text["maskgrid"]) == {**forks.settings, **entry}
    assert np.array_equal(pixels(folder / "merged.png"), np.asarray(forks.merged()))


def test_saved_forks_are_loaded_and_saved_again_as_they_were(forks, tmp_path):
    again = Forks.load(forks.save(tmp_path / "out"))
    assert_same_forks(again, forks)
    assert np.array_equal(np.asarray((again + forks[:1]).merged()), np.asarray(forks.merged()))
    folder = again.save(tmp_path / "again")
    for name in FILES:
        assert (folder / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


@pytest.mark.parametrize("channels", [3, 4])
def test_soft_edges_odd_grids_and_several_stencils_are_loaded_as_they_were(tmp_path, channels):
    random = np.random.default_rng(5)
    grid = maskgrid.Grid(2, 2, cell=(7, 5), gap=(1, 2), margin=3, canvas=(21, 18), stride=2)
    original = random.integers(0, 256, (21, 18, channels), dtype=np.uint8)
    parts = []
    for stencil in (random.random((4, 7, 5), np.float32), random.random((7, 5)) < 0.5):
        patches = random.integers(0, 256, (3, 7, 5, channels), dtype=np.uint8)
        alpha = random.random((3, 7, 5), np.float32)
        options = {"stencil": stencil, "settings": {"prompt": ["a", "b", "c", "d"], "seed": 5}}
        parts.append(Forks(original, patches, [3, 0, 2], grid, alpha, **options))
    both = parts[0] + parts[1][::-1]
    folder = both.save(tmp_path / "out")
    loaded = Forks.load(folder)
    assert np.array_equal(loaded.tint, both.tint)
    for index in range(6):
        assert np.array_equal(loaded.array(index), both.array(index))
        assert loaded.records[index].own == both.records[index].own
    assert np.array_equal(loaded.records[0].run.stencil, parts[0].stencil)
    assert np.array_equal(loaded.records[5].run.stencil > 0, parts[1].stencil)
    assert loaded.stencil is None
    assert_same_forks(Forks.load(loaded.save(tmp_path / "again")), loaded)
    assert {name for name in names(folder) if "stencil" in name} == {"stencil.npy", "stencil_1.png"}


def test_every_picture_keeps_the_sheets_colour_profile_and_resolution(forks, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.asarray(forks.original), forks.patches, forks.cells, forks.grid, forks.tint
    made = Forks(*pixels, save_options={"icc_profile": profile, "dpi": (300, 300)})
    again = Forks.load((made[:3] + made[3:]).save(tmp_path / "out"))
    again.save(tmp_path / "again")
    write_picture(again.pick([1, 2]), tmp_path / "again" / "picked.png")
    for path in (tmp_path / "again").glob("*.png"):
        with Image.open(path) as image:
            assert image.info["icc_profile"] == profile, path
            assert np.allclose(image.info["dpi"], 300, atol=0.01), path
    assert forks.save_options == Forks.load(forks.save(tmp_path / "plain")).save_options == {}


def test_a_folder_of_format_1_is_read_and_becomes_one_of_format_2(tmp_path):
    old = Forks.load(FORMAT_1)
    assert old.cells == (0, 1)
    assert [record.prompt for record in old.records] == ["a face", "a sad face"]
    assert [record.seed for record in old.records] == [3, 3]
    for index in range(2):
        assert np.array_equal(old.array(index), pixels(FORMAT_1 / f"fork_{index:03d}_r0_c{index}.png"))
    assert_same_forks(Forks.load(old.save(tmp_path / "new")), old)
    assert json.loads((tmp_path / "new" / "manifest.json").read_text())["maskgrid_manifest"] == 2
    (tmp_path / "old").mkdir()
    for path in FORMAT_1.iterdir():
        (tmp_path / "old" / path.name).write_bytes(path.read_bytes())
    old.save(tmp_path / "old", force=True)
    assert_same_forks(Forks.load(tmp_path / "old"), old)


def test_a_folder_is_replaced_only_with_force(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--force"):
        forks[:2].save(folder)
    assert len(Forks.load(folder)) == 6
    forks[:2].save(folder, force=True)
    assert len(Forks.load(folder)) == 2
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_save_leaves_nothing_and_what_was_there_stays(forks, tmp_path, error):
    def fail(path):
        (path / "half.png").write_bytes(b"half")
        raise error

    expected = MaskGridError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_output(tmp_path / "new" / "out", fail)
    assert names(tmp_path) == []
    forks.save(tmp_path / "out")
    with pytest.raises(expected):
        write_output(tmp_path / "out", fail, force=True)
    assert names(tmp_path) == ["out"]
    assert_same_forks(Forks.load(tmp_path / "out"), forks)


@pytest.mark.parametrize("value", [object(), float("nan"), "\ud800", b"bytes"])
def test_settings_that_are_no_json_leave_nothing(forks, tmp_path, value):
    stranger = Forks(
        *(np.asarray(forks.original), forks.patches, forks.cells, forks.grid, forks.tint),
        settings={"prompt": value},
    )
    with pytest.raises(InvalidTypeError, match="JSON"):
        stranger.save(tmp_path / "out")
    assert names(tmp_path) == []


def test_no_forks_are_not_saved(forks, tmp_path):
    with pytest.raises(MaskGridError, match="no forks"):
        forks[:0].save(tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"maskgrid_manifest": 99}', "\0"])
def test_what_is_no_manifest_is_named(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(MaskGridError, match="manifest"):
        read_manifest(tmp_path)
    with pytest.raises(MaskGridError, match="manifest"):
        read_manifest(tmp_path / "nothing")


def test_a_folder_is_told_by_its_manifest_too_and_a_home_folder_is_opened(forks, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert forks.save("~/out") == tmp_path / "out"
    assert_same_forks(Forks.load("~/out"), forks)
    assert_same_forks(Forks.load(tmp_path / "out" / "manifest.json"), forks)


def test_two_forks_of_a_cell_are_not_picked_for_one_sheet(forks):
    for choice in ([0, 0], [1, 0, 1]):
        with pytest.raises(InvalidValueError, match="both renew cell"):
            forks.pick(choice)
    with pytest.raises(InvalidValueError, match="forks 2 and 8 both renew cell 2"):
        (forks + forks).pick([2, 8])
    with pytest.raises(InvalidValueError, match="both renew cell 2"):
        (forks + forks).pick({2: 2, (0, 2): 8})
