"""A prompt for each cell from a file: its kinds, and what is refused before a model is loaded."""

import json
from pathlib import Path

import pytest

from maskgrid.cli import main
from maskgrid.cli.prompts_file import read_prompts
from maskgrid.errors import InvalidValueError, MaskGridError

WORDS = ["calm", "sad, a little", "", "glad", "traurig wie März", "x"]
TABLE = [WORDS[:3], WORDS[3:]]
LISTED = 'Prompt,row,column\n"sad, a little",0,1\n,0,2\nglad,1,0\ncalm,0,0\nx,1,2\ntraurig wie März,1,1\n'
NAMED = {f"{row}, {column}": TABLE[row][column] for row in (1, 0) for column in (2, 0, 1)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lines.txt", "\n".join(WORDS)),
        ("lines.txt", "\ufeff" + "\r\n".join(WORDS) + "\r\n\r\n"),
        ("table.csv", 'calm,"sad, a little",\nglad,traurig wie März,x\n'),
        ("listed.CSV", LISTED),
        ("list.json", json.dumps(WORDS)),
        ("table.json", json.dumps(TABLE, ensure_ascii=False)),
        ("named.json", json.dumps(NAMED)),
    ],
)
def test_every_kind_of_file_gives_each_cell_its_own(name, text, tmp_path):
    (tmp_path / name).write_bytes(text.encode())
    assert read_prompts(tmp_path / name, 2, 3) == WORDS


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", "a\nb\n", "has 2 prompts; allowed: 6, one for each cell of 2 rows x 3 columns"),
        ("p.txt", "", "has 0 prompts; allowed: 6"),
        ("p.csv", "a,b\nc,d\ne,f\n", "a table of 3 rows with 2, 2, 2 prompts; allowed: 2 rows x 3 columns"),
        ("p.csv", "row,column,prompt\n0,0,a\n0,0,b\n", "the cell 0,0 twice; allowed: each cell once"),
        (
            "p.csv",
            "row,column,prompt\n0,3,a\n",
            "column '3'; allowed: rows 0 to 1 and columns 0 to 2",
        ),
        ("p.csv", "row,column,prompt\n0,0\n", "2 values in its entry 1; allowed: row, column, prompt"),
        ("p.csv", '"a', "no CSV"),
        ("p.json", '{"0,0": "a"}', "no prompt for 0,1, 0,2, 1,0, 1,1, 1,2; allowed: one for each cell"),
        ("p.json", '{"0,0": "a", "0,0": "b"}', "the cell 0,0 twice"),
        ("p.json", '{"first": "a"}', "a prompt for row 'first', column ''"),
        ("p.json", '["a", "b", 3, "d", "e", "f"]', "3 for the cell 0,2; allowed: a text"),
        ("p.json", '"a"', "a str; allowed: a list"),
        ("p.json", "[", "no JSON"),
        ("p.yaml", "a", "allowed: .txt, .csv, .json"),
    ],
)
def test_what_does_not_fit_says_what_is_there_and_what_is_allowed(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        read_prompts(tmp_path / name, 2, 3)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_can_not_be_read_is_named(content, tmp_path):
    file = tmp_path / "p.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MaskGridError, match="the prompts file"):
        read_prompts(file, 1, 1)


def test_sample_draws_each_cell_by_its_line_and_again_by_another(files, model_folder):
    few = ["--model", str(model_folder), "--steps", "2", "--device", "cpu", "--mode", "fork"]
    Path("words.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert main(["sample", *files, *few, "--prompts", "words.txt", "--out", "first"]) == 0
    assert _prompts("first") == list("abcdef")
    Path("words.json").write_text(json.dumps({f"{n // 3},{n % 3}": "uvwxyz"[n] for n in range(6)}))
    assert main(["sample", "--from", "first", "--prompts", "words.json", "--out", "second"]) == 0
    assert _prompts("second") == list("uvwxyz")


def test_too_few_are_refused_before_a_model_is_loaded(files, capsys):
    Path("words.txt").write_text("a\n")
    assert main(["sample", *files, "--prompts", "words.txt", "--model", "not/loaded"]) == 1
    assert "'words.txt' has 1 prompts; allowed: 6" in capsys.readouterr().err


def _prompts(folder: str) -> list[str]:
    forks = json.loads((Path(folder) / "manifest.json").read_text("utf-8"))["forks"]
    return [fork["prompt"] for fork in forks]
