"""`maskgrid batch` as a program: killed, interrupted and gone on with, and what it says."""

import json
import os
import random
import signal
import time

import pytest
from tables import contents, row, start_batch, write_sheets, write_table

from maskgrid.cli import main

unix_alone = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def jobs_in(out):
    return len(list(out.glob("[0-9a-f][0-9a-f]/[0-9a-f]*")))


def wait_for(process, out, count):
    """Until so many jobs are done."""
    while jobs_in(out) < count and process.poll() is None:
        time.sleep(0.01)


@unix_alone
def test_killed_again_and_again_every_row_is_done_once_and_as_without(tmp_path, model_folder):
    names = write_sheets(tmp_path, 12)
    # Seeds that differ, so that no two rows make the same pictures.
    rows = [row(name, model_folder, seed=i, steps=4) for i, name in enumerate(names)]
    table, out, moments = write_table(tmp_path, rows), tmp_path / "out", random.Random(0)
    kills = 0
    for done in (1, 4, 8):
        with start_batch(table, out) as process:
            wait_for(process, out, done)
            time.sleep(moments.uniform(0, 0.2))
            kills += process.poll() is None
            process.kill()
    with start_batch(table, out) as process:
        process.communicate()
    assert process.returncode == 0
    with start_batch(table, tmp_path / "expected") as process:
        process.communicate()
    assert kills, "no process was killed while it ran, so that nothing was tried"
    assert len(contents(out)) == 12
    assert contents(out) == contents(tmp_path / "expected")


@unix_alone
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_first_signal_finishes_the_job_in_hand(number, code, tmp_path, model_folder):
    rows = [row(name, model_folder, steps=20, micro_batch=1) for name in write_sheets(tmp_path, 3)]
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    with start_batch(table, out) as process:
        while process.poll() is None and not (out / "run.json").exists():
            time.sleep(0.01)
        # It is written just before the first job, which has a model to load.
        time.sleep(0.2)
        process.send_signal(number)
        said, _ = process.communicate()
    assert process.returncode == code, said
    assert "finishing what is in hand" in said
    assert f"to go on: maskgrid batch {table} --out {out}" in said
    assert len(contents(out)) == 1
    assert main(["batch", "status", "--out", str(out)]) == 0


@unix_alone
def test_a_second_signal_stops_in_the_middle_of_a_job(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    table = write_table(tmp_path, [row(name, model_folder, steps=1000, micro_batch=1)])
    with start_batch(table, tmp_path / "out") as process:
        said = ""
        while not (tmp_path / "out" / "run.json").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        while "finishing what is in hand" not in said:
            said = process.stdout.readline()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert process.returncode == 130
    assert "stopped at once; what was done is kept" in said
    assert time.monotonic() - begun < 60
    assert contents(tmp_path / "out") == {}


def test_what_it_says(table, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["batch", str(table), "--out", out]) == 0
    told = capsys.readouterr()
    assert f"5 of 5 jobs done, 0 failed, 0 left in {out}" in told.out
    assert "5 of 5 done" in told.err
    assert main(["batch", "status", "--out", out, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "5 of 5 jobs done, 0 failed, 0 left; finished 0:0" in lines[0]
    assert [line.split()[:2] for line in lines[1:]] == [["done", f"{table}:{n}"] for n in range(1, 6)]


def test_status_as_json(table, tmp_path, capsys):
    out = str(tmp_path / "out")
    main(["batch", str(table), "--out", out, "-q"])
    capsys.readouterr()
    main(["batch", "status", "--out", out, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("jobs", "done", "failed", "left", "state", "failures")} == {
        "jobs": 5,
        "done": 5,
        "failed": 0,
        "left": 0,
        "state": "finished",
        "failures": [],
    }


def test_bad_rows_are_told_in_lines_and_nothing_is_written(tmp_path, model_folder, capsys):
    (name,) = write_sheets(tmp_path, 1)
    table = write_table(tmp_path, [row(name, model_folder, steps=0), row("none.png", model_folder)])
    assert main(["batch", str(table), "--out", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[0] for line in lines[:2]] == [f"{table}:1:", f"{table}:2:"]
    assert "2 rows that can't be run" in lines[2]
    assert not (tmp_path / "out").exists()


def test_a_failure_is_told_with_what_to_do(tmp_path, model_folder, capsys):
    names = write_sheets(tmp_path, 2)
    rows = [row(names[0], model_folder), row(names[1], model_folder, pipe_kwargs={"no_such": 1})]
    out = str(tmp_path / "out")
    assert main(["batch", str(write_table(tmp_path, rows)), "--out", out]) == 1
    assert "1 failed; why: maskgrid batch status" in capsys.readouterr().err
    assert main(["batch", "status", "--out", out]) == 0
    assert "table.jsonl:2: InvalidTypeError" in capsys.readouterr().out


def test_options_of_ray_need_ray(table, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["batch", str(table), "--out", str(tmp_path / "out"), "--workers", "2"])
    assert ended.value.code == 2
    assert "--workers needs --ray" in capsys.readouterr().err
