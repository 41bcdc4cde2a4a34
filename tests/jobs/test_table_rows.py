"""Tables of every kind: the same rows ask for the same jobs, and what is no row is named with its line."""

import csv
import json

import pytest
from tables import row, write_sheets, write_table

from maskgrid.errors import BadRowsError, MaskGridError
from maskgrid.jobs.check_table import check_table
from maskgrid.jobs.table_rows import read_default, read_rows


def ids(table, **more):
    return [job.id for job in check_table(table, **more).pending]


@pytest.fixture
def rows(tmp_path, model_folder):
    names = write_sheets(tmp_path, 3)
    prompts = [f"face {number}" for number in range(6)]
    return [
        row(name, model_folder, prompt=prompts, seed=seed, cfg=2.5, fork_seeds="increment", gap=[0, 0])
        for seed, name in enumerate(names)
    ]


@pytest.fixture
def expected(tmp_path, rows):
    return ids(write_table(tmp_path, rows))


def test_csv_asks_for_what_json_lines_ask_for(tmp_path, rows, expected):
    table = tmp_path / "table.csv"
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        cells = [{n: v if isinstance(v, str) else json.dumps(v) for n, v in each.items()} for each in rows]
        writer.writerows(cells)
    assert ids(table) == expected


def test_parquet_asks_for_what_json_lines_ask_for(tmp_path, rows, expected):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    assert ids(table) == expected


def test_a_folder_with_a_default_asks_for_the_same(tmp_path, model_folder):
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    names = write_sheets(sheets, 3)
    rows = [row(name, model_folder) for name in names]
    default = {name: value for name, value in rows[0].items() if name != "image"}
    (sheets / "default.json").write_text(json.dumps(default))
    assert ids(sheets) == ids(write_table(sheets, rows))


def test_a_default_says_what_rows_leave_out(tmp_path, rows, expected):
    default = {"steps": 7, "mask": "stencil.png", "cfg": 2.5}
    short = [{name: value for name, value in each.items() if name not in ("mask", "cfg")} for each in rows]
    assert ids(write_table(tmp_path, short, "short.jsonl"), default=default) == expected


def test_paths_of_a_default_are_relative_to_its_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "default.json").write_text(
        '{"mask": "a.png", "reference_image": ["b.png"], "seed": 1}'
    )
    sub = tmp_path / "sub"
    expected = {"mask": str(sub / "a.png"), "reference_image": [str(sub / "b.png")], "seed": 1}
    assert read_default(sub / "default.json") == expected


def test_empty_lines_and_cells_say_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"seed": null, "prompt": ""}\n  \n')
    (tmp_path / "a.csv").write_text("seed,prompt\n,\n")
    assert [(each.where, each.values) for each in read_rows(tmp_path / "a.jsonl")] == [
        (f"{tmp_path / 'a.jsonl'}:2", {"prompt": ""})
    ]
    assert [each.values for each in read_rows(tmp_path / "a.csv")] == [{}]


def test_rows_of_csv_are_named_by_the_line_they_begin_on(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text('prompt,seed\n"two\nlines",1\nplain,2\n')
    assert [each.where for each in read_rows(table)] == [f"{table}:2", f"{table}:4"]
    assert [each.values["prompt"] for each in read_rows(table)] == ["two\nlines", "plain"]


def test_texts_of_csv_stay_texts_though_they_look_like_numbers(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text('prompt,seed,compat\n42,42,TRUE\n"[1, 2",7,false\n')
    assert [each.values for each in read_rows(table)] == [
        {"prompt": "42", "seed": 42, "compat": True},
        {"prompt": "[1, 2", "seed": 7, "compat": False},
    ]


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("a.jsonl", '{"seed": 1', 1, "no JSON"),
        ("a.jsonl", "\n[1]", 2, "a list; allowed: an object"),
        ("a.csv", "seed\n1\n2,3\n", 3, "more cells than the heading's 1"),
    ],
)
def test_what_is_no_row_is_named_with_its_line(tmp_path, name, text, line, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRowsError) as refused:
        check_table(tmp_path / name)
    told = next(each for each in refused.value.rows if said in each)
    assert told.startswith(f"{tmp_path / name}:{line}: ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "allowed: .jsonl, .ndjson, .csv, .parquet, or a folder"),
        ("a.jsonl", b"\xff\xfe", "can't be read"),
        ("a.jsonl", b"", "no rows"),
        ("a.csv", b"seed,seed\n1,2\n", "a column twice"),
        ("a.csv", b'seed\n"1', "no CSV"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MaskGridError, match=said):
        check_table(tmp_path / name)


def test_no_table_and_no_parquet_are_refused(tmp_path):
    with pytest.raises(MaskGridError, match="there is no table"):
        check_table(tmp_path / "none.jsonl")
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    with pytest.raises(MaskGridError, match="no Parquet"):
        check_table(tmp_path / "a.parquet")
