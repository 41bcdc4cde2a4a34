"""Rows are checked as a call is, all of them, before a model is loaded; a job is known by what it asks."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tables import row, write_sheets, write_table

from maskgrid.errors import BadRowsError, MaskGridError
from maskgrid.jobs.check_table import check_table
from maskgrid.run_inputs import read_inputs

BAD = [
    {"rows": 0},
    {"rows": 1.5},
    {"steps": 0},
    {"seed": -1},
    {"mode": "backwards"},
    {"sampler": "none"},
    {"prompt": ["a", "b"]},
    {"fork_seeds": [1, 2]},
    {"feather": -1},
    {"gap": 40},
    {"coverage": "all"},
    {"image": "stencil.png.txt"},
    {"mask": "none.png"},
    {"control_image": "stencil.png"},
    {"guidance_scale": 3},
]


@pytest.mark.parametrize("change", BAD, ids=json.dumps)
def test_a_row_is_refused_as_a_call_is(change, tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    (tmp_path / "stencil.png.txt").write_text("no picture")
    asked = {**row(name, model_folder), **change}
    with pytest.raises(BadRowsError) as refused:
        check_table(write_table(tmp_path, [row(name, model_folder), asked]))
    (told,) = refused.value.rows
    call = {key: value for key, value in asked.items() if key not in ("model", "device", "dtype")}
    for key in ("image", "mask", "control_image"):
        if key in call:
            call[key] = str(tmp_path / call[key])
    with pytest.raises(MaskGridError) as expected:
        read_inputs(call)
    # What a call would take for a word of the pipeline's is no column, and a missing file is missed earlier.
    said = "no column of a table; did you mean" if "guidance_scale" in change else str(expected.value)
    said = "there is no file" if "none.png" in said else said
    assert told.startswith(f"{tmp_path / 'table.jsonl'}:2: ")
    assert said in told or ("no column" in told and "guidance_scale" in change)


def test_all_bad_rows_are_told_and_no_model_is_looked_for_in_vain(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    rows = [
        row(name, model_folder, promt="a"),
        row(name, model_folder),
        row(name, tmp_path / "no model"),
        row(name, model_folder, dtype="float8"),
        row("../none.png", model_folder),
        row(name, model_folder, callback="f"),
        row("s3://bucket/sheet.png", model_folder),
        row(name, model_folder, pipe_kwargs=[1]),
    ]
    with pytest.raises(BadRowsError) as refused:
        check_table(write_table(tmp_path, rows))
    lines = [int(told.split(":")[1]) for told in refused.value.rows]
    assert lines == [1, 3, 4, 5, 6, 7, 8]
    for told, said in zip(
        refused.value.rows,
        ("mean prompt?", "no model", "dtype", "none.png", "callback", "URL", "pipe_kwargs"),
        strict=True,
    ):
        assert said in told


def test_a_stencil_that_the_model_loses_everywhere_is_found_without_loading_it(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    thin = np.zeros((16, 16), np.uint8)
    thin[:, 0] = 255
    Image.fromarray(thin).save(tmp_path / "thin.png")
    for weights in model_folder.rglob("*.safetensors"):
        assert weights.stat().st_size
    model = tmp_path / "model"
    shutil.copytree(model_folder, model, ignore=shutil.ignore_patterns("*.safetensors"))
    table = write_table(tmp_path, [row(name, model, mask="thin.png", coverage="min")])
    with pytest.raises(BadRowsError, match="too thin for coverage 'min'"):
        check_table(table)


def one(tmp_path, values):
    (job,) = check_table(write_table(tmp_path, [values])).pending
    return job.id


def test_the_same_question_in_another_place_is_the_same_job(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    asked = row(name, model_folder)
    expected = one(tmp_path, asked)
    other = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, other, ignore=shutil.ignore_patterns("elsewhere"))
    (other / name).rename(other / "renamed.png")
    turned = dict(reversed({**asked, "image": "renamed.png", "device": None}.items()))
    assert one(other, turned) == expected


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"prompt": "b"}, {"cfg": 2}, {"dtype": "float32"}, {"model": "bundled"}, {"compat": True}],
    ids=json.dumps,
)
def test_another_question_is_another_job(change, tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    asked = row(name, model_folder)
    assert one(tmp_path, asked) != one(tmp_path, {**asked, **change})


@pytest.mark.parametrize("file", ["sheet_000.png", "stencil.png"])
def test_another_content_of_a_file_is_another_job(file, tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    before = one(tmp_path, row(name, model_folder))
    with Image.open(tmp_path / file) as image:
        pixels = np.array(image)
    pixels[8, 8] = 0
    Image.fromarray(pixels).save(tmp_path / file)
    assert one(tmp_path, row(name, model_folder)) != before


def test_rows_that_ask_the_same_are_one_job(tmp_path, model_folder):
    (name,) = write_sheets(tmp_path, 1)
    table = check_table(write_table(tmp_path, [row(name, model_folder)] * 3))
    assert (len(table.pending), len(table.index)) == (1, 3)


def test_jobs_of_one_model_are_side_by_side(tmp_path, model_folder):
    names = write_sheets(tmp_path, 4)
    models = [model_folder, "bundled", model_folder, "bundled"]
    rows = [row(name, model) for name, model in zip(names, models, strict=True)]
    pending = check_table(write_table(tmp_path, rows)).pending
    assert [job.where.rpartition(":")[2] for job in pending] in (["1", "3", "2", "4"], ["2", "4", "1", "3"])
