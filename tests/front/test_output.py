"""The output folder: complete, readable again, all or nothing."""

import json

import numpy as np
import pytest
from PIL import Image

from maskgrid import Forks
from maskgrid.errors import InvalidTypeError, MaskGridError, OutputExistsError
from maskgrid.result.folder import read_manifest, write_folder, write_picture


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_has_pictures_manifest_and_what_they_were_made_of(forks, tmp_path):
    folder = forks.save(tmp_path / "deep" / "out")
    assert names(folder) == [
        "contact.png",
        *(f"fork_{i:03d}_r{i // 3}_c{i % 3}.png" for i in range(6)),
        "manifest.json",
        "merged.png",
        "original.png",
        "stencil.png",
    ]
    manifest = read_manifest(folder)
    assert manifest["settings"] == forks.settings
    assert [entry["cell"] for entry in manifest["forks"]] == list(range(6))
    for index, entry in enumerate(manifest["forks"]):
        with Image.open(folder / entry["file"]) as image:
            assert np.array_equal(np.asarray(image), forks.array(index))
            assert json.loads(image.text["maskgrid"]) == {**forks.settings, **entry}
    assert np.array_equal(np.asarray(Image.open(folder / "merged.png")), np.asarray(forks.merged()))


def test_saved_forks_are_loaded_bit_for_bit(forks, tmp_path):
    again = Forks.load(forks.save(tmp_path / "out"))
    assert again.cells == forks.cells
    assert again.grid == forks.grid
    for index in range(6):
        assert np.array_equal(again.array(index), forks.array(index))
    assert np.array_equal(np.asarray((again + forks[:1]).merged()), np.asarray(forks.merged()))


def test_a_folder_is_replaced_only_with_force(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--force"):
        forks[:2].save(folder)
    assert len(Forks.load(folder)) == 6
    forks[:2].save(folder, force=True)
    assert len(Forks.load(folder)) == 2
    assert names(tmp_path) == ["out"]


def test_force_replaces_no_folder_of_other_things(forks, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("words")
    (tmp_path / "file").write_text("words")
    for name in ("thesis", "file"):
        with pytest.raises(OutputExistsError, match="not replaced"):
            forks.save(tmp_path / name, force=True)
    assert names(tmp_path / "thesis") == ["chapter.txt"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_save_leaves_nothing_and_what_was_there_stays(forks, tmp_path, error):
    def fail(path):
        (path / "half.png").write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        write_folder(tmp_path / "out", fail)
    assert names(tmp_path) == []
    forks.save(tmp_path / "out")
    before = names(tmp_path / "out")
    with pytest.raises(type(error)):
        write_folder(tmp_path / "out", fail, force=True)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == before


def test_settings_that_are_no_json_leave_nothing(forks, tmp_path):
    forks.settings["prompt"] = object()
    with pytest.raises(InvalidTypeError, match="JSON"):
        forks.save(tmp_path / "out")
    assert names(tmp_path) == []


def test_no_forks_are_not_saved(forks, tmp_path):
    with pytest.raises(MaskGridError, match="no forks"):
        forks[:0].save(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_picture_is_written_whole_and_replaced_only_with_force(forks, tmp_path):
    path = write_picture(forks[0], tmp_path / "new" / "one.png")
    with pytest.raises(OutputExistsError):
        write_picture(forks[1], path)
    write_picture(forks[1], path, force=True)
    assert np.array_equal(np.asarray(Image.open(path)), forks.array(1))
    assert names(path.parent) == ["one.png"]
    with pytest.raises(OutputExistsError):
        write_picture(forks[1], tmp_path, force=True)
    with pytest.raises(InvalidTypeError):
        write_picture(forks[1], tmp_path / "x.png", settings={"a": object()})
    assert names(tmp_path) == ["new"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"maskgrid_manifest": 99}', "\0"])
def test_what_is_no_manifest_is_named(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(MaskGridError, match="manifest"):
        read_manifest(tmp_path)
    with pytest.raises(MaskGridError, match="manifest"):
        read_manifest(tmp_path / "nothing")


def test_a_damaged_folder_is_named(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    (folder / "fork_003_r1_c0.png").unlink()
    with pytest.raises(MaskGridError, match="fork_003_r1_c0"):
        Forks.load(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["grid"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MaskGridError, match="damaged"):
        Forks.load(folder)
