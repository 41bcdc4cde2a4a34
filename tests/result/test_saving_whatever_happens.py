"""What was finished is saved somewhere; what can be known of a place is known before a run."""

import contextlib
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from maskgrid import Forks
from maskgrid.errors import InvalidValueError, MaskGridError, OutputExistsError
from maskgrid.result.output_place import check_output
from maskgrid.result.read_manifest import read_manifest
from maskgrid.result.save_finished import save_finished
from maskgrid.result.save_folder import LATENTS, save_folder
from maskgrid.sampling import ForkLatents, ForkMasks, NoiseTable, sample_forks

ON_LINUX = pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc can't be written")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def latents() -> ForkLatents:
    """Six forks as latents, the first steps of a run."""
    masks = ForkMasks.from_tensor(torch.ones(6, 1, 16, 24), rows=2, columns=3)
    image = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    options = {"table": NoiseTable.flow(), "steps": 2, "mode": "fork"}
    return sample_forks(lambda x, sigma: x * 0.5, image, masks, **options)


def test_finished_forks_are_where_they_were_to_be(forks, tmp_path):
    saved = save_finished(forks, tmp_path / "out")
    assert saved == (tmp_path / "out", saved.words, None)
    assert saved.words == f"6 forks in {saved.path}, side by side in {saved.path / 'contact.png'}"
    assert save_finished(forks[:2], tmp_path / "out", force=True).path == tmp_path / "out"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("nothing", [None, slice(0)])
def test_where_nothing_was_finished_nothing_is_written(forks, tmp_path, nothing):
    saved = save_finished(nothing and forks[nothing], tmp_path / "out")
    assert saved == (None, "no fork was finished, nothing was written", None)
    assert names(tmp_path) == []


@pytest.mark.parametrize("force", [True, False])
def test_a_place_that_was_taken_meanwhile_is_kept_and_the_next_name_is_taken(forks, tmp_path, force):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out-2").write_text("mine, too")
    saved = save_finished(forks, tmp_path / "out", force=force)
    assert saved.path == tmp_path / "out-3"
    assert str(tmp_path / "out-3") in saved.words
    assert "not where it was to be" in saved.words
    assert len(Forks.load(saved.path)) == 6
    assert names(tmp_path / "out") == ["notes.txt"]


@ON_LINUX
def test_a_place_that_cannot_be_written_is_left_for_the_folder_one_is_in(forks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place, name in (
        ("/proc/deep/out", "out"),
        ("s3://bucket/faces", "faces"),
        ("s3://bucket/", "bucket"),
    ):
        saved = save_finished(forks, place)
        assert saved.path == tmp_path / name
        assert len(Forks.load(saved.path)) == 6
    assert names(tmp_path) == ["bucket", "faces", "out"]


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Files may have a hundred bytes; those of pytest, too, so it may not be given back to before the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@ON_LINUX
def test_a_full_disk_leaves_nothing_half_written(forks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MaskGridError, match=r"out can't be written \(.*too large"), full_disk():
        forks.save(tmp_path / "deep" / "out")
    with pytest.raises(MaskGridError, match="could not be saved"), full_disk():
        save_finished(forks, tmp_path / "out")
    assert names(tmp_path) == []
    assert not [name for name in names(Path(tempfile.gettempdir())) if name.startswith(".out.maskgrid")]


def test_forks_without_pictures_are_saved_as_latents(forks, latents, tmp_path):
    saved = save_finished(None, tmp_path / "out", latents=latents)
    assert saved.words == f"6 forks as latents, without pictures, in {tmp_path / 'out' / LATENTS}"
    assert names(tmp_path / "out") == [LATENTS, "manifest.json"]
    assert torch.equal(ForkLatents.load(tmp_path / "out" / LATENTS).latents, latents.latents)
    with pytest.raises(MaskGridError, match="holds latents and no pictures"):
        Forks.load(tmp_path / "out")
    save_finished(forks, tmp_path / "out", force=True)
    assert len(Forks.load(tmp_path / "out")) == 6


def test_latents_are_saved_of_those_forks_that_have_no_picture(forks, latents, tmp_path):
    pixels = np.asarray(forks.original), forks.patches[:2], range(2), forks.grid, forks.tint[:1]
    part = Forks(*pixels, latents=latents[:2], settings={"seed": 1})
    saved = save_finished(part, tmp_path / "out", latents=latents)
    assert saved.words.startswith("2 forks in ")
    assert "; 4 forks as latents" in saved.words
    assert Forks.load(saved.path).cells == (0, 1)
    assert ForkLatents.load(saved.path / LATENTS).numbers == (2, 3, 4, 5)
    listed = read_manifest(saved.path).latents
    assert (listed.file, listed.cells, listed.numbers) == (LATENTS, (2, 3, 4, 5), (2, 3, 4, 5))
    save_finished(part, tmp_path / "whole", latents=latents[:2])
    assert LATENTS not in names(tmp_path / "whole"), "forks that have pictures were saved as latents"


def test_what_cannot_be_recorded_or_drawn_is_no_reason_to_lose_forks(forks, tmp_path):
    class Undrawable(Forks):
        def contact_sheet(self):
            raise MemoryError

    parts = np.asarray(forks.original), forks.patches, forks.cells, forks.grid, forks.tint
    made = Undrawable(*parts, settings={"prompt": object(), "half": "\ud800", "steps": 4})
    with pytest.raises(MemoryError):
        save_folder(Undrawable(*parts), tmp_path / "out")
    saved = save_finished(made, tmp_path / "out")
    loaded = Forks.load(saved.path)
    assert loaded.settings == {"steps": 4, "not_recorded": ["half", "prompt"]}
    assert np.array_equal(loaded.array(5), made.array(5))
    assert "contact.png" not in names(saved.path)


def test_ctrl_c_while_saving_is_told_and_not_raised(forks, tmp_path):
    class Interrupted(Forks):
        def merged(self):
            signal.raise_signal(signal.SIGINT)
            return super().merged()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        made = Interrupted(np.asarray(forks.original), forks.patches, forks.cells, forks.grid, forks.tint)
        saved = save_finished(made, tmp_path / "out")
        assert (saved.path, saved.signal) == (tmp_path / "out", signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            made.save(tmp_path / "other")
        assert len(Forks.load(tmp_path / "other")) == len(Forks.load(tmp_path / "out")) == 6
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("place", "error", "match"),
    [
        ("s3://bucket/out", InvalidValueError, "URL"),
        (Path("gs://bucket/out"), InvalidValueError, "URL"),
        ("a\0b", InvalidValueError, "a path that ends in a name"),
        ("x" * 300, InvalidValueError, "too long"),
        ("", InvalidValueError, "a path that ends in a name"),
        ("file/out", MaskGridError, "file is no folder"),
        ("file/deep/out", MaskGridError, "file is no folder"),
        ("file", OutputExistsError, "--force"),
        ("here/out/..", InvalidValueError, "a path that ends in a name"),
        ("~nobody-of-this-name/out", InvalidValueError, "nobody-of-this-name"),
    ],
)
def test_a_place_that_will_not_do_is_told_before_a_run(tmp_path, monkeypatch, place, error, match):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("words")
    with pytest.raises(error, match=match):
        check_output(place)
    assert names(tmp_path) == ["file"]


def test_no_room_the_folder_one_is_in_and_the_rest_is_told_before_a_run(forks, tmp_path, monkeypatch):
    with pytest.raises(MaskGridError, match="MiB are free and 1152921504606846976 are needed"):
        check_output(tmp_path / "out", room=2**80)
    assert check_output(tmp_path / "deep" / "out", room=1) == tmp_path / "deep" / "out"
    forks.save(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(MaskGridError, match="the folder you are in"):
        check_output(tmp_path / "out", force=True)


@ON_LINUX
def test_a_folder_that_may_not_be_written_to_is_told_before_a_run(tmp_path):
    tmp_path.chmod(0o500)
    before = os.geteuid()
    # Root may write everywhere.
    os.seteuid(before or 65534)
    try:
        with pytest.raises(MaskGridError, match="ermission"):
            check_output(tmp_path / "out")
    finally:
        os.seteuid(before)
