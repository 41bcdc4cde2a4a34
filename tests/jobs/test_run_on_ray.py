"""Batches on a Ray of two workers: killed workers, a killed driver, Ctrl-C; the folders of one process."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tables import contents, row, start_batch, write_sheets, write_table

from maskgrid.errors import InvalidValueError
from maskgrid.jobs import RayOptions, batch_status, run_batch

with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
with_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are looked up in /proc")
RAY = ("--ray", "--workers", "2")


def run_code(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """A program of its own."""
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, timeout=300)


def workers_of(driver: int, doing: str = "run") -> list[int]:
    """The processes of Ray's workers below a driver that are doing something."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found = []
    for pid, title in titles.items():
        above = pid
        while above not in (driver, 0):
            above = parents.get(above, 0)
        if above == driver and title.startswith(f"ray::_RayWorker.{doing}"):
            found.append(pid)
    return found


def finish(process):
    said, _ = process.communicate(timeout=300)
    return said


@pytest.fixture(scope="module")
def twelve(tmp_path_factory, model_folder):
    """A table of twelve jobs, and the folders that one process makes of it."""
    folder = tmp_path_factory.mktemp("twelve")
    rows = [
        row(name, model_folder, seed=i, steps=4, micro_batch=1)
        for i, name in enumerate(write_sheets(folder, 12))
    ]
    table = write_table(folder, rows)
    with start_batch(table, folder / "expected") as process:
        said = finish(process)
    assert process.returncode == 0, said
    return table, contents(folder / "expected")


@with_ray
@with_proc
def test_a_killed_worker_loses_nothing(twelve, tmp_path):
    table, expected = twelve
    killed = []
    with start_batch(table, tmp_path / "out", *RAY) as process:
        while process.poll() is None and not killed:
            for pid in workers_of(process.pid)[:1] if len(contents_names(tmp_path / "out")) >= 2 else []:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        said = finish(process)
    assert process.returncode == 0, said
    assert killed, "no worker was killed with a job in hand, so that nothing was tried"
    assert contents(tmp_path / "out") == expected


def contents_names(place: Path) -> list[str]:
    return [path.name for path in place.glob("[0-9a-f][0-9a-f]/[0-9a-f]*")]


@with_ray
@with_proc
def test_a_killed_driver_loses_nothing(twelve, tmp_path):
    table, expected = twelve
    out = tmp_path / "out"
    with start_batch(table, out, *RAY) as process:
        while process.poll() is None and len(contents_names(out)) < 3:
            time.sleep(0.01)
        process.kill()
    assert 3 <= len(contents_names(out)) < 12, "the driver was killed too late, so that nothing was tried"
    with start_batch(table, out, *RAY) as process:
        said = finish(process)
    assert process.returncode == 0, said
    assert contents(out) == expected


@with_ray
@with_proc
def test_a_job_that_kills_every_worker_fails_and_the_rest_goes_on(tmp_path, model_folder):
    names = write_sheets(tmp_path, 4)
    rows = [row(name, model_folder) for name in names]
    # So slow that each of its workers can be killed in the middle of it.
    rows[3] |= {"steps": 1000, "micro_batch": 1}
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    killed: set[int] = set()
    with start_batch(table, out, "--ray", "--workers", "1") as process:
        while process.poll() is None:
            for pid in workers_of(process.pid) if len(contents_names(out)) == 3 else []:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.05)
        said = finish(process)
    status = batch_status(out)
    assert process.returncode == 1, said
    assert (status.progress.done, status.progress.failed, len(killed)) == (3, 1, 3)
    (failure,) = status.failures
    assert (failure.row, failure.kind, failure.tries) == (f"{table}:4", "WorkerDied", 3)


@with_ray
@with_proc
def test_ctrl_c_finishes_what_is_in_hand(twelve, tmp_path):
    table, expected = twelve
    out = tmp_path / "out"
    with start_batch(table, out, *RAY) as process:
        while process.poll() is None and not contents_names(out):
            time.sleep(0.01)
        # As a terminal does it: to the driver and to all that it has started.
        os.killpg(process.pid, signal.SIGINT)
        said = finish(process)
    assert process.returncode == 130, said
    assert "finishing what is in hand" in said
    assert "to go on: maskgrid batch" in said
    assert 1 <= len(contents(out)) < 12
    assert contents(out).items() <= expected.items()
    assert not batch_status(out).failures


@with_ray
@with_proc
def test_a_second_ctrl_c_stops_at_once_and_leaves_no_worker(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    table = write_table(tmp_path, [row(name, model_folder, steps=1000, micro_batch=1)])
    workers: list[int] = []
    with start_batch(table, tmp_path / "out", "--ray", "--workers", "1") as process:
        while process.poll() is None and not workers:
            workers = workers_of(process.pid)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said += finish(process)
    assert process.returncode == 130, said
    assert "stopped at once; what was done is kept" in said
    deadline = time.monotonic() + 30
    while Path(f"/proc/{workers[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{workers[0]}").exists()
    assert contents(tmp_path / "out") == {}


@with_ray
def test_a_ray_that_runs_already_is_taken_and_left(twelve, tmp_path):
    table, expected = twelve
    code = (
        "import ray, sys\n"
        "from maskgrid.jobs import RayOptions, run_batch\n"
        "ray.init('local', num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
        "result = run_batch(sys.argv[1], sys.argv[2], ray=RayOptions(workers=2))\n"
        "print(ray.is_initialized(), result.progress.done)\n"
        "again = run_batch(sys.argv[1], sys.argv[2], ray=RayOptions())\n"
        "print(again.progress.finished)\n"
    )
    done = run_code(code, table, tmp_path / "out")
    assert done.stdout.split() == ["True", "12", "0"], done.stderr
    assert contents(tmp_path / "out") == expected


@with_ray
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--gpus-per-worker", "64"], "a worker with 64 GPUs and 1 cores has no room"),
        (["--device", "nowhere"], "device is 'nowhere'"),
    ],
)
def test_what_no_worker_can_do_ends_the_batch(more, said, tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    asked = row(name, model_folder)
    del asked["device"]
    with start_batch(write_table(tmp_path, [asked]), tmp_path / "out", "--ray", *more) as process:
        told = finish(process)
    assert process.returncode != 0
    assert said in told
    assert batch_status(tmp_path / "out").progress.left == 1


@with_ray
def test_a_place_in_memory_is_refused(twelve):
    table, _ = twelve
    with pytest.raises(InvalidValueError, match="which other processes don't see"):
        run_batch(table, "memory://out", ray=RayOptions())


def test_without_ray_it_says_what_to_install(twelve, tmp_path):
    table, _ = twelve
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from maskgrid.jobs import RayOptions, run_batch\n"
        "try: run_batch(sys.argv[1], sys.argv[2], ray=RayOptions())\n"
        "except ImportError as error: print(error)"
    )
    done = run_code(code, table, tmp_path / "out")
    assert 'pip install "maskgrid[ray]"' in done.stdout, done.stderr


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"gpus": -1}, {"tries": 0}, {"workers": True}])
def test_numbers_that_can_not_be_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InvalidValueError, match=f"{name} is "):
        RayOptions(**wrong)
