"""Every script and notebook of examples/ runs from top to bottom with the bundled model."""

import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskgrid import Forks, MaskGrid
from maskgrid.bundled_model import read_demo
from maskgrid.load_pipeline import load_pipeline
from random_lora import write_lora

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script as if it were called from a shell; returns what it printed."""

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(FOLDER / name), run_name="__main__")
        return capsys.readouterr().out

    return call


@pytest.fixture(scope="module")
def grid() -> MaskGrid:
    return MaskGrid(load_pipeline("bundled", device="cpu"), wait=False)


def test_use_lora_changes_the_forks_by_its_strength(run, grid, tmp_path):
    write_lora(grid.host.pipe.unet, tmp_path / "style.safetensors", 0)
    run("use_lora.py", "--lora", tmp_path / "style.safetensors", "--steps", 2, "--out", tmp_path / "out")
    merged = {
        name: np.asarray(Forks.load(tmp_path / "out" / name).merged()) for name in ("plain", "half", "full")
    }
    assert not np.array_equal(merged["plain"], merged["half"])
    assert not np.array_equal(merged["half"], merged["full"])


def test_fit_small_gpu_makes_a_fork_for_each_cell(run, tmp_path):
    run("fit_small_gpu.py", "--steps", 1, "--out", tmp_path / "out")
    assert len(Forks.load(tmp_path / "out")) == 9


def test_make_sprites_leaves_gaps_and_transparency(run, tmp_path):
    run("make_sprites.py", "--steps", 1, "--out", tmp_path / "out")
    before = np.asarray(Image.open(tmp_path / "out-before" / "sprites.png"))
    after = np.asarray(Forks.load(tmp_path / "out").merged())
    assert before.shape == (200, 200, 4)
    assert np.array_equal(before[..., 3], after[..., 3])
    assert not np.array_equal(before, after)


def test_load_masks_says_how_many_there_are():
    done = subprocess.run(
        [sys.executable, FOLDER / "load_masks.py", "--sheets", "6", "--batch", "4"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "72 noise masks of 6 sheets\n", done.stderr


def test_run_on_ray_does_every_row(run, tmp_path):
    pytest.importorskip("ray", reason="the extra dev leaves Ray out")
    said = run("run_on_ray.py", "--workers", 1, "--seeds", 1, "--steps", 1, "--out", tmp_path / "batch")
    assert "1 of 1 done, 0 failed" in said


def test_the_service_answers_with_a_picture_and_refuses_with_reasons(grid):
    testclient = pytest.importorskip(
        "fastapi.testclient", reason="a service needs fastapi, which no extra brings"
    )
    app = runpy.run_path(str(FOLDER / "serve_forks.py"))["make_app"](grid)
    demo = read_demo()
    files = {"sheet": demo.image.read_bytes(), "stencil": demo.mask.read_bytes()}
    asked = {"rows": 3, "columns": 3, "prompt": demo.prompts[0], "steps": 1}
    with testclient.TestClient(app) as client:
        fine = client.post("/forks", files=files, data=asked)
        no_picture = client.post("/forks", files={**files, "sheet": b"text"}, data=asked)
        too_many = client.post("/forks", files=files, data={**asked, "rows": 65})
    assert fine.status_code == 200
    assert Image.open(io.BytesIO(fine.content)).size == (192, 192)
    assert (no_picture.status_code, too_many.status_code) == (422, 422)
    assert "detail" in no_picture.json()


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((FOLDER / "tutorial.ipynb").read_text("utf-8"))["cells"]
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"tutorial.ipynb:{number}", "exec"), names)
    assert (tmp_path / "out" / "tutorial" / "merged.png").is_file()
