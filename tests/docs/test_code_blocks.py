"""Every code block of the README and of docs/ works as it is written; every link leads somewhere."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from code_blocks import PAGES, ROOT, read_blocks, run_in_shell
from PIL import Image

from hub import Hub
from maskgrid import ForkPlan, Grid
from maskgrid.cli.config_file import parse_options
from maskgrid.sampling.samplers.euler_step import move

BLOCKS = read_blocks()
REPOSITORY = "https://github.com/maskgrid/maskgrid/"
RAW = "https://raw.githubusercontent.com/maskgrid/maskgrid/main/"
ROWS, COLUMNS = {"README.md": 3, "docs/sheets.md": 2}, {"README.md": 4, "docs/sheets.md": 4}


def disc(size: int) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    middle = (size - 1) / 2
    return (((y - middle) ** 2 + (x - middle) ** 2 < (size / 3) ** 2) * 255).astype(np.uint8)


@pytest.fixture
def folder_for(tmp_path, monkeypatch) -> Callable[[str], Any]:
    """A folder with what the pages speak of: a sheet, one with alpha, a stencil, a drawn mask."""

    def make(page: str) -> Any:
        rows, columns = ROWS.get(page, 3), COLUMNS.get(page, 3)
        pixels = np.random.default_rng(0).integers(0, 256, (16 * rows, 16 * columns, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "sheet.png")
        sprites = np.dstack([pixels, np.tile(disc(16), (rows, columns))])
        Image.fromarray(sprites).save(tmp_path / "sprites.png")
        Image.fromarray(disc(16)).save(tmp_path / "stencil.png")
        Image.fromarray(disc(16)).save(tmp_path / "drawn.png")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


def given_names(pipe: Any) -> dict[str, Any]:
    """What pages take as there: a pipeline, a mask, a network with its conditioning, latents and a plan."""
    plan = ForkPlan(Grid(3, 3, cell=16, stride=2), disc(16))
    generator = torch.Generator().manual_seed(0)
    width = pipe.unet.config.cross_attention_dim
    return {
        "pipe": pipe,
        "mask": disc(64),
        "unet": pipe.unet,
        "positive": torch.randn(1, 4, width, generator=generator),
        "negative": torch.randn(1, 4, width, generator=generator),
        "latents": torch.randn(1, 4, 24, 24, generator=generator),
        "plan": plan,
        "network": lambda x, sigma: x * 0.5,
        "move": move,
    }


def ids(blocks: list[Any]) -> list[str]:
    return [f"{block.page}:{block.line}" for block in blocks]


PYTHON_PAGES = sorted({block.page for block in BLOCKS if block.language == "python"})
CONFIGS = [block for block in BLOCKS if block.language == "toml"]
SHELL = [block for block in BLOCKS if block.language in ("sh", "")]


def test_no_block_is_left_out():
    assert {block.language for block in BLOCKS} <= {"python", "sh", "toml", ""}
    assert len(BLOCKS) >= 14


@pytest.mark.parametrize("block", CONFIGS, ids=ids(CONFIGS))
def test_a_file_of_options_is_one(block, tmp_path):
    (tmp_path / "run.toml").write_text(block.code)
    options = vars(parse_options(["sample", "--config", str(tmp_path / "run.toml")]))
    assert {"image", "mask", "model"} <= {name for name, value in options.items() if value is not None}


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_of_a_page_runs_in_order(page, pipe, folder_for, capsys):
    folder_for(page)
    names = given_names(pipe)
    for block in BLOCKS:
        if block.page == page and block.language == "python":
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(ROOT / page), "exec"), names)
    made = names.get("forks")
    assert made is None or len(made) in (9, 12)


@pytest.mark.parametrize("block", SHELL, ids=ids(SHELL))
def test_a_shells_lines_run(block, folder_for, model_folder, tmp_path_factory, request):
    folder, root = folder_for(block.page), tmp_path_factory.mktemp("hub")
    (folder / "ComfyUI" / "custom_nodes").mkdir(parents=True)
    (folder / "ComfyUI" / "comfy").mkdir()
    (folder / "ComfyUI" / "nodes.py").write_text("")
    (folder / "ComfyUI" / "main.py").write_text("")
    (folder / "ComfyUI" / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    for name in re.findall(r"--model (\w[\w.-]*/[\w.-]+)", block.code):
        (root / name).parent.mkdir()
        (root / name).symlink_to(model_folder)
    with Hub(root) as hub:
        environment = {"HF_ENDPOINT": hub.address, "HF_HOME": str(root / "cache"), "HF_HUB_OFFLINE": "0"}
        done = run_in_shell(block.code, folder, environment)
    assert done.returncode == 0, done.stderr


def test_links_lead_to_files_that_are_there():
    lost = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            known = re.sub(rf"^({re.escape(REPOSITORY)}(blob|tree)/main/|{re.escape(RAW)})", "", target)
            where = ROOT if known != target else page.parent
            if not known.startswith("http") and not (where / known).exists():
                lost.append((page.name, target))
    assert lost == []


def test_links_of_the_readme_work_where_it_is_shown_alone():
    targets = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
