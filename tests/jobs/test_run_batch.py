"""Batches in this process: every row once, what fails is written down, what is there is not done again."""

import signal
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tables import contents, row, write_sheets, write_table

from maskgrid import Forks, MaskGrid
from maskgrid.errors import InvalidValueError, MaskGridError
from maskgrid.jobs import batch_status, run_batch
from maskgrid.jobs.place import LocalPlace, local_place

BROKEN = {"pipe_kwargs": {"no_such_argument": 1}}
"""What only the pipeline itself can refuse."""


def counts(progress):
    return progress.done, progress.failed, progress.left


def stamps(place):
    return {path: path.stat().st_mtime_ns for path in place.glob("??/*/*")}


def test_every_row_is_what_a_call_makes_of_it(table, tmp_path, model_folder):
    result = run_batch(table, tmp_path / "out")
    maker = MaskGrid.load(model_folder, device="cpu")
    for each in batch_status(tmp_path / "out").rows:
        seed = int(each.row.rpartition(":")[2]) - 1
        files = {"image": tmp_path / each.image, "mask": tmp_path / "stencil.png"}
        maker(**files, rows=2, columns=3, prompt="a sad face", steps=2, seed=seed).save(tmp_path / "expected")
        expected = Forks.load(tmp_path / "expected")
        found = Forks.load(tmp_path / "out" / each.folder)
        assert np.array_equal(np.asarray(found.merged()), np.asarray(expected.merged()))
        (tmp_path / "expected").rename(tmp_path / f"expected{seed}")
    assert counts(result.progress) == (5, 0, 0)
    assert result.signal is None


def test_a_second_run_does_what_is_missing(table, tmp_path, model_folder):
    out = tmp_path / "out"
    run_batch(table, out)
    before = stamps(out)
    gone = sorted(out.glob("??/*"))[0]
    for file in gone.iterdir():
        file.unlink()
    gone.rmdir()
    names = write_sheets(tmp_path, 6)
    rows = [row(name, model_folder, seed=i) for i, name in enumerate(names)]
    result = run_batch(write_table(tmp_path, rows), out)
    assert (result.progress.jobs, result.progress.finished) == (6, 2)
    assert {path: at for path, at in stamps(out).items() if path in before and path.parent != gone} == {
        path: at for path, at in before.items() if path.parent != gone
    }
    assert len(contents(out)) == 6


def test_a_job_that_fails_is_written_down_and_the_others_go_on(table, tmp_path, model_folder):
    rows = [row(f"sheet_{i:03d}.png", model_folder, **(BROKEN if i == 1 else {})) for i in range(3)]
    table = write_table(tmp_path, rows)
    out = tmp_path / "out"
    assert counts(run_batch(table, out).progress) == (2, 1, 0)
    (failure,) = batch_status(out).failures
    assert failure.row == f"{table}:2"
    assert "no_such_argument" in failure.reason
    assert run_batch(table, out).progress.finished == 0
    again = run_batch(table, out, retry_failed=True).progress
    assert (again.finished, counts(again)) == (1, (2, 1, 0))
    assert {each.row.rpartition(":")[2]: each.state for each in batch_status(out).rows} == {
        "1": "done",
        "2": "failed",
        "3": "done",
    }


def test_what_failed_and_is_done_now_counts_as_done(table, tmp_path):
    out = tmp_path / "out"
    sheet = tmp_path / "sheet_002.png"
    before = sheet.read_bytes()

    def spoil(progress):
        sheet.write_bytes(before + b"!" if not progress.failed else before)

    # The file is changed while the batch goes on, and is as it was in the second run.
    assert counts(run_batch(table, out, tell=spoil).progress) == (4, 1, 0)
    (failure,) = batch_status(out).failures
    assert "has changed since the table was checked" in failure.reason
    sheet.write_bytes(before)
    assert counts(run_batch(table, out, retry_failed=True).progress) == (5, 0, 0)
    assert not batch_status(out).failures
    assert not list((out / "failed").iterdir())


def test_a_model_that_can_not_be_loaded_is_no_fault_of_a_job(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    table = write_table(tmp_path, [row(name, model_folder, device="nowhere")])
    with pytest.raises(InvalidValueError, match="device is 'nowhere'"):
        run_batch(table, tmp_path / "out")
    status = batch_status(tmp_path / "out")
    assert (counts(status.progress), status.state) == ((0, 0, 1), "stopped")


@pytest.fixture
def _listens():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_listens")
def test_the_first_ctrl_c_finishes_what_is_in_hand(table, tmp_path):
    told = []

    def tell(progress):
        if progress.finished == 2:
            signal.raise_signal(signal.SIGINT)

    result = run_batch(table, tmp_path / "out", tell=tell, tell_stop=lambda: told.append("stop"))
    assert (counts(result.progress), result.signal) == ((2, 0, 3), signal.SIGINT)
    assert told == ["stop"]
    assert batch_status(tmp_path / "out").state == "stopped"
    assert counts(run_batch(table, tmp_path / "out").progress) == (5, 0, 0)


@pytest.mark.usefixtures("_listens")
def test_the_second_ctrl_c_stops_at_once(table, tmp_path):
    def tell(progress):
        if progress.finished == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_batch(table, tmp_path / "out", tell=tell)
    assert len(contents(tmp_path / "out")) == 2
    assert batch_status(tmp_path / "out").state == "stopped"


class DyingStore(MemoryFileSystem):
    """A store whose connection breaks at the fourth file."""

    protocol = "dying"
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    left = 3

    def put_file(self, lpath, rpath, **more):
        if DyingStore.left <= 0:
            raise OSError("connection lost")
        DyingStore.left -= 1
        super().put_file(lpath, rpath, **more)


def test_a_job_in_a_store_is_there_with_its_last_file(table, tmp_path):
    fsspec.register_implementation("dying", DyingStore, clobber=True)
    DyingStore.store.clear()
    with pytest.raises(MaskGridError, match="connection lost"):
        run_batch(table, "dying://out")
    status = batch_status("dying://out")
    assert DyingStore.left == 0
    assert counts(status.progress) == (0, 0, 5)
    DyingStore.left = 10**6
    assert counts(run_batch(table, "dying://out").progress) == (5, 0, 0)
    assert run_batch(table, "dying://out").progress.finished == 0


def test_a_store_holds_what_a_folder_holds(table, tmp_path):
    run_batch(table, tmp_path / "out")
    run_batch(table, "memory://batch/out")
    system = fsspec.filesystem("memory")
    found: dict[str, dict[str, bytes]] = {}
    for path in system.find("/batch/out"):
        *_, job, name = path.split("/")
        if len(job) == 32:
            found.setdefault(job, {})[name] = system.cat_file(path)
    system.rm("/batch", recursive=True)
    assert found == contents(tmp_path / "out")


def test_failures_in_a_store_are_told_and_tried_again(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    table = write_table(tmp_path, [row(name, model_folder, **BROKEN)])
    assert counts(run_batch(table, "memory://failing").progress) == (0, 1, 0)
    (failure,) = batch_status("memory://failing").failures
    assert "no_such_argument" in failure.reason
    assert run_batch(table, "memory://failing").progress.finished == 0
    assert run_batch(table, "memory://failing", retry_failed=True).progress.finished == 1


def test_places_of_this_machine_need_no_fsspec(tmp_path):
    made = [local_place(tmp_path / "a b"), local_place(str(tmp_path / "a b"))]
    made.append(local_place((tmp_path / "a b").as_uri()))
    assert {place.url for place in made if place is not None} == {str(tmp_path / "a b")}
    assert local_place("s3://bucket/out") is None


def test_an_unknown_kind_of_place_is_refused(table):
    with pytest.raises(InvalidValueError, match="the place is 'nowhere://out'"):
        run_batch(table, "nowhere://out")


def test_a_place_that_can_not_be_written_is_refused_before_all_else(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MaskGridError, match="is no folder"):
        run_batch(table, tmp_path / "file" / "out")


def test_a_place_without_a_batch_has_no_status(tmp_path):
    with pytest.raises(MaskGridError, match="no batch was run"):
        batch_status(tmp_path)


def test_of_two_runs_that_do_the_same_job_the_first_one_counts(tmp_path, forks):
    place = LocalPlace(tmp_path)
    job = "0" * 32
    place.save(job, forks)
    before = stamps(tmp_path)
    place.save(job, forks[:2])
    assert stamps(tmp_path) == before
    assert place.done() == {job}
