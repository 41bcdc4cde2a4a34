"""`--detect` of `plan` and `sample`: grids that the command line finds by itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import names, pixels, sample
from PIL import Image

from maskgrid import Grid
from maskgrid.cli import main
from maskgrid.geometry.detect_grid import SURE

GRID = Grid(2, 3, cell=16, gap=4, margin=(10, 6), canvas=(47, 68), stride=1)
"""More margin before the first row than after the last one: only a cell size says so."""


@pytest.fixture
def drawn(stencil, tmp_path) -> list[str]:
    """A sheet of six coloured boxes with a block in each, and a stencil for its cells."""
    canvas = np.full((*GRID.canvas, 3), 255, np.uint8)
    for index, rect in enumerate(GRID.cell_rects):
        canvas[rect.slices] = 30 * index, 200 - 30 * index, 90
        canvas[rect.top + 4 : rect.top + 9, rect.left + 5 : rect.left + 12] = 10, 20, 30
    Image.fromarray(canvas).save(tmp_path / "sheet.png")
    Image.fromarray(stencil).save(tmp_path / "stencil.png")
    return ["--image", "sheet.png", "--mask", "stencil.png"]


def test_plan_says_what_it_finds_and_what_else_it_could_be(drawn, capsys):
    assert main(["plan", "--image", "sheet.png", "--detect"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("found 2 x 3 cells of 16 x 16 px, gap 4 x 4, margin 10 x 6, confidence ")
    assert lines[1].startswith("   or ")


def test_plan_of_what_it_finds_is_that_of_the_grid(drawn, capsys):
    assert main(["plan", *drawn, "--detect", "--stride", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [fork["pixels"] for fork in told["forks"]] == [list(rect) for rect in GRID.cell_rects]
    assert told["detected"]["is_sure"]


def test_json_tells_the_grid_and_the_runners_up(drawn, capsys):
    assert main(["plan", "--image", "sheet.png", "--detect", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["columns"], told["cell"], told["margin"]) == (2, 3, [16, 16], [10, 6])
    assert all(each["confidence"] <= told["confidence"] for each in told["runners_up"])


def test_sample_redraws_the_cells_that_it_finds(drawn, model_folder, capsys):
    assert main(sample([*drawn, "--detect"], model_folder, "--out", "out")) == 0
    manifest = json.loads(Path("out/manifest.json").read_text("utf-8"))
    assert manifest["grid"]["cell"] == [16, 16]
    assert manifest["grid"]["margin"] == [10, 6]
    changed = (pixels("out/fork_004_r1_c1.png") != pixels("sheet.png")).any(2)
    cell = np.zeros_like(changed)
    cell[GRID.cell_rect(4).slices] = True
    assert changed.any()
    assert not changed[~cell].any()
    assert "fork_005_r1_c2.png" in names("out")


def test_what_was_found_is_repeated_from_the_manifest_alone(drawn, model_folder):
    assert main(sample([*drawn, "--detect"], model_folder, "--out", "out")) == 0
    assert (
        main(["sample", "--from", "out/manifest.json", "--model", str(model_folder), "--out", "again"]) == 0
    )
    np.testing.assert_array_equal(pixels("again/merged.png"), pixels("out/merged.png"))


def test_sample_refuses_a_grid_that_is_not_sure_before_it_loads_a_model(stencil, capsys):
    rng = np.random.default_rng(0)
    sheet = np.full((48, 96, 3), 255, np.uint8)
    for y, x in ((5, 9), (20, 51), (11, 74)):
        sheet[y : y + 20, x : x + 17] = rng.integers(0, 200, 3)
    Image.fromarray(sheet).save("odd.png")
    Image.fromarray(stencil).save("stencil.png")
    files = ["--image", "odd.png", "--mask", "stencil.png", "--prompt", "a", "--model", "no/such/folder"]
    assert main(["sample", *files, "--detect"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "a confidence of 0." in said or "no more than a single cell" in said
    assert "--rows" in said


def test_plan_warns_of_a_grid_that_is_not_sure(capsys):
    sheet = np.full((40, 120, 3), 255, np.uint8)
    for x in (10, 90):
        sheet[8:30, x : x + 20, 0] = np.arange(22)[:, None] * 8
    Image.fromarray(sheet).save("two.png")
    assert main(["plan", "--image", "two.png", "--detect"]) == 0
    assert f"below {SURE} it may be wrong" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--detect", "--rows", "2"], "--detect finds what --rows would say"),
        (["--detect", "--gap", "1", "--margin", "2"], "--detect finds what --gap, --margin would say"),
    ],
)
def test_what_is_to_be_found_can_not_be_given(drawn, more, words, capsys):
    assert main(["plan", *drawn, *more]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["plan", "--image", "a.png"], "required: --mask"),
        (["plan", "--image", "a.png", "--detect", "--out", "b.png"], "--out draws a stencil"),
        (["sample", "--from", "out", "--detect"], "--detect looks at a sheet"),
    ],
)
def test_what_detect_needs_is_said(argv, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
