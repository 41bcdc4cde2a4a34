"""`--cells`, `--variants` and `--from-fork`: some cells, several tries, going on from one of them."""

import json
from pathlib import Path

import pytest
from commands import pixels, sample

from maskgrid.cli import main


def told(folder: str) -> list[tuple[int, int, int]]:
    forks = json.loads(Path(folder, "manifest.json").read_text("utf-8"))["forks"]
    return [(fork["cell"], fork["variant"], fork["seed"]) for fork in forks]


def test_tries_of_some_cells_and_a_step_further(files, model_folder, capsys):
    options = ["--cells", "0,1", "1,2", "--variants", "2", "--mode", "fork", "--out", "one"]
    assert main(sample(files, model_folder, *options)) == 0
    assert told("one") == [(1, 0, 0), (5, 0, 0), (1, 1, 1), (5, 1, 1)]
    assert main(["sample", "--from", "one", "--from-fork", "3", "--denoise", "0.5", "--out", "two"]) == 0
    assert told("two") == [(5, 0, 1), (5, 1, 2)]
    assert (pixels("two/original.png") == pixels("one/fork_003_r1_c2.png")).all()
    assert main(["merge", "one", "--pick", "0,1=2", "1,2=1", "--out", "merged.png"]) == 0
    assert main(["merge", "one", "--pick", "0,1=3", "--out", "other.png"]) == 1
    assert "forks of cell 1: [0, 2]" in capsys.readouterr().err


def test_plan_shows_the_named_cells_alone(files, capsys):
    assert main(["plan", *files, "--stride", "2", "--cells", "1,2", "0,0", "--json"]) == 0
    assert [fork["cell"] for fork in json.loads(capsys.readouterr().out)["forks"]] == [[0, 0], [1, 2]]


def test_what_is_no_cell_and_no_folder_is_said(files, model_folder, capsys):
    assert main(sample(files, model_folder, "--cells", "2,0", "--out", "x")) == 2
    assert "--cells has (2, 0)" in capsys.readouterr().err
    assert main(["plan", *files, "--stride", "2", "--cells", "9,9"]) == 2
    assert "allowed: rows 0 to 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(sample(files, model_folder, "--from-fork", "1", "--out", "x"))
    assert "say which with --from" in capsys.readouterr().err
