"""Files and folders that are replaced: whole, only what is ours, leftovers cleared up."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskgrid import Forks
from maskgrid.errors import InvalidTypeError, MaskGridError, OutputExistsError
from maskgrid.result import replace_files
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.output_place import check_output
from maskgrid.result.picture_file import PreviewFile, write_picture
from maskgrid.result.rename_files import exchange_paths, rename_to_new
from maskgrid.result.save_folder import write_output

ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks, signals and exchange")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def _cannot_exchange(monkeypatch):
    """As on a file system, or a system, that has no exchange of two paths."""
    monkeypatch.setattr(replace_files, "exchange_paths", lambda first, second: False)


@ON_POSIX
def test_two_folders_are_exchanged_and_a_name_that_is_taken_is_not(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    if exchange_paths(tmp_path / "one", tmp_path / "two"):
        assert names(tmp_path / "one") == ["two"]
        assert names(tmp_path / "two") == ["one"]
    with pytest.raises(FileExistsError):
        rename_to_new(tmp_path / "one", tmp_path / "two")
    rename_to_new(tmp_path / "one", tmp_path / "three")
    assert names(tmp_path) == ["three", "two"]


def put_extension(folder: Path) -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "code.js").write_text("the work of a year")
    (folder / "manifest.json").write_text('{"manifest_version": 3, "name": "my extension"}')


def put_other_manifest(folder: Path) -> None:
    folder.mkdir()
    (folder / "manifest.json").write_text('{"maskgrid_manifest": 2}')


def put_text(folder: Path) -> None:
    folder.mkdir()
    (folder / "chapter.txt").write_text("words")


@pytest.mark.parametrize(
    ("put", "named"),
    [
        (put_extension, "it holds manifest.json, src/ and no manifest"),
        (put_other_manifest, "manifest.json"),
        (put_text, "chapter.txt"),
        (lambda folder: folder.write_text("words"), "no folder"),
    ],
)
def test_force_replaces_no_folder_of_other_things(forks, tmp_path, put, named):
    put(tmp_path / "thesis")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for write in (check_output, forks.save):
        with pytest.raises(OutputExistsError, match=named):
            write(tmp_path / "thesis", force=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "name", ["notes.txt", ".git/", "retouched by hand.psd", "link", "fork_9.png", ".env"]
)
def test_force_replaces_no_folder_of_ours_that_somebody_added_to(forks, tmp_path, name):
    folder = forks.save(tmp_path / "out")
    added = folder / name.rstrip("/")
    if name == "link":
        added.symlink_to(tmp_path)
    else:
        added.mkdir() if name.endswith("/") else added.write_text("a day's work")
    with pytest.raises(OutputExistsError, match="it holds " + name):
        forks[:2].save(folder, force=True)
    assert os.path.lexists(added)
    assert len(Forks.load(folder)) == 6
    assert names(tmp_path) == ["out"]


def test_a_listed_name_that_became_a_folder_or_a_link_is_somebodys(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    (folder / "merged.png").unlink()
    (folder / "merged.png").mkdir()
    with pytest.raises(OutputExistsError, match=r"merged\.png/"):
        forks.save(folder, force=True)


def test_what_file_managers_leave_and_what_was_deleted_does_not_hinder(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "merged.png").unlink()
    forks[:2].save(folder, force=True)
    assert len(Forks.load(folder)) == 2
    (tmp_path / "empty").mkdir()
    assert len(Forks.load(forks.save(tmp_path / "empty", force=True))) == 6


@pytest.mark.parametrize("exchange", [True, False])
def test_what_is_added_while_it_is_saved_is_kept(forks, tmp_path, exchange, request):
    if not exchange:
        request.getfixturevalue("_cannot_exchange")
    folder = forks.save(tmp_path / "out")

    def fill(draft: Path) -> None:
        (draft / "new.png").write_bytes(b"new")
        (folder / "notes.txt").write_text("mine")

    with pytest.raises(OutputExistsError, match=r"it holds notes\.txt"):
        write_output(folder, fill, force=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(Forks.load(folder)) == 6
    assert names(tmp_path) == ["out"]


def test_what_is_added_at_the_last_moment_is_kept_beside(forks, tmp_path, monkeypatch):
    folder = forks.save(tmp_path / "out")
    exchange = replace_files.exchange_paths

    def late(first: Path, second: Path) -> bool:
        (folder / "notes.txt").write_text("mine")
        return exchange(first, second)

    monkeypatch.setattr(replace_files, "exchange_paths", late)
    with pytest.warns(UserWarning, match="out-old"):
        forks[:2].save(folder, force=True)
    assert len(Forks.load(folder)) == 2
    assert (tmp_path / "out-old" / "notes.txt").read_text() == "mine"
    assert names(tmp_path) == ["out", "out-old"]


@pytest.mark.parametrize("put", [put_text, Path.mkdir, lambda path: path.write_text("words")])
def test_what_appears_while_it_is_saved_is_kept(tmp_path, put):
    def fill(draft: Path) -> None:
        (draft / "new.png").write_bytes(b"new")
        put(tmp_path / "out")

    with pytest.raises(OutputExistsError, match="appeared meanwhile"):
        write_output(tmp_path / "out", fill)
    assert names(tmp_path) == ["out"]
    assert not (tmp_path / "out" / "new.png").exists()


@pytest.mark.usefixtures("_cannot_exchange")
def test_without_an_exchange_the_old_is_put_back_if_the_new_does_not_come(forks, tmp_path, monkeypatch):
    folder = forks.save(tmp_path / "out")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(MaskGridError, match="can't be written"):
        forks[:2].save(folder, force=True)
    monkeypatch.undo()
    assert len(Forks.load(folder)) == 6
    assert names(tmp_path) == ["out"]


@pytest.mark.usefixtures("_cannot_exchange")
def test_without_an_exchange_a_folder_is_replaced_too(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    forks[:2].save(folder, force=True)
    assert len(Forks.load(folder)) == 2
    assert names(tmp_path) == ["out"]


@ON_POSIX
def test_a_folder_that_a_killed_process_took_aside_is_put_back(forks, tmp_path):
    folder = forks.save(tmp_path / "out")
    folder.rename(tmp_path / ".out.maskgrid-0123456789ab.old")
    with pytest.raises(OutputExistsError, match="appeared meanwhile"):
        forks[:2].save(folder)
    assert len(Forks.load(folder)) == 6
    assert names(tmp_path) == ["out"]


HOLDING = """
import pathlib, sys, time
from maskgrid.result.save_folder import write_output

def fill(draft):
    (draft / "fork_000.png").write_bytes(b"half")
    print("there", flush=True)
    time.sleep(60)

write_output(pathlib.Path(sys.argv[1]), fill)
"""


@ON_POSIX
def test_leftovers_of_dead_processes_alone_are_cleared_up(forks, tmp_path):
    kept = (".out.backup.tmp", ".out.maskgrid-mine.tmp", ".out.maskgrid-0123456789ab.tmp.d", "x.tmp")
    for name in kept:
        (tmp_path / name).mkdir()
    mine = tmp_path / ".notes.maskgrid-0123456789ab.tmp"
    (mine / "folder").mkdir(parents=True)
    (tmp_path / ".p.png.maskgrid-0123456789ab.tmp.png").write_bytes(b"half")
    program = [sys.executable, "-c", HOLDING, str(tmp_path / "out")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        before = set(names(tmp_path))
        forks.save(tmp_path / "one")
        living = set(names(tmp_path)) - {"one", mine.name, *kept}
        assert len(living) == 1, "the draft of a process that lives was taken, or a dead one was left"
        assert before >= living
        process.kill()
    forks.save(tmp_path / "two")
    assert names(tmp_path) == sorted({"one", "two", mine.name, *kept})


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


def test_a_link_is_followed_to_what_is_replaced(forks, tmp_path):
    real = forks.save(tmp_path / "disk" / "real")
    (tmp_path / "out").symlink_to(real)
    assert forks[:2].save(tmp_path / "out", force=True) == real
    assert (tmp_path / "out").is_symlink()
    assert len(Forks.load(real)) == 2
    assert names(tmp_path) == ["disk", "out"]


def test_a_preview_is_replaced_and_a_picture_of_somebodys_is_not(forks, tmp_path):
    mine = tmp_path / "preview.png"
    mine.write_bytes(b"my own picture")
    forks[0].save(tmp_path / "preview-2.png")
    file = PreviewFile(tmp_path / "out")
    assert [file.write(forks[0]).name, file.write(forks[1]).name] == ["preview-3.png"] * 2
    assert np.array_equal(np.asarray(Image.open(tmp_path / "preview-3.png")), forks.array(1))
    assert mine.read_bytes() == b"my own picture"
    mine.unlink()
    assert PreviewFile(tmp_path / "out").write(forks[0]) == mine
    forks[2].save(mine)
    assert file.write(forks[0]).name == "preview-3.png"
    assert names(tmp_path) == ["preview-2.png", "preview-3.png", "preview.png"]


@ON_POSIX
def test_signals_wait_and_the_first_is_obeyed():
    came = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (15, 2)}
    try:
        with hold_interrupts() as held:
            with hold_interrupts():
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert (came, held.signals) == ([], [15, 2])
        assert came == [15]
        with hold_interrupts() as held:
            signal.raise_signal(signal.SIGINT)
            assert held.take() == 2
        assert came == [15]
        with hold_interrupts(patience=-1):
            signal.raise_signal(signal.SIGINT)
            assert came == [15, 2]
        assert came == [15, 2]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with hold_interrupts() as held:
            signal.raise_signal(signal.SIGINT)
        assert held.signals == []
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_forks_are_saved_by_other_threads_too(forks, tmp_path):
    thread = threading.Thread(target=forks.save, args=(tmp_path / "out",))
    thread.start()
    thread.join()
    assert len(Forks.load(tmp_path / "out")) == 6
