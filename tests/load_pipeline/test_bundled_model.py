"""The bundled model: an ordinary pipeline folder that draws what it is told."""

import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from maskgrid import MaskGrid
from maskgrid.bundled_model import BUNDLED, bundled_folder, read_demo
from maskgrid.pictures.read_sheet import read_image

COLOURS = {"red": 0, "green": 1, "blue": 2}
LIMIT = 12_000_000


@pytest.fixture(scope="module")
def faces() -> MaskGrid:
    return MaskGrid.load(BUNDLED, device="cpu")


def test_it_is_a_small_folder_of_safetensors_in_half_precision():
    files = [path for path in bundled_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LIMIT
    assert {path.suffix for path in files} <= {".json", ".md", ".png", ".safetensors", ".txt"}
    assert {path.parent.name for path in files if path.suffix == ".safetensors"} == {
        "text_encoder",
        "unet",
        "vae",
    }


def test_diffusers_loads_it_by_itself():
    pipe = diffusers.DiffusionPipeline.from_pretrained(str(bundled_folder()))
    assert type(pipe) is diffusers.StableDiffusionPipeline
    assert pipe.vae_scale_factor == 4
    index = json.loads((bundled_folder() / "model_index.json").read_text(encoding="utf-8"))
    assert index["_class_name"] == "StableDiffusionPipeline"


def test_every_version_of_transformers_knows_the_names_of_its_weights():
    weights = load_file(bundled_folder() / "text_encoder" / "model.safetensors")
    assert all(name.startswith("text_model.") for name in weights)


def test_a_sheet_survives_the_autoencoder(faces):
    pixels = torch.from_numpy(read_image(read_demo().image)).permute(2, 0, 1)[None] / 127.5 - 1
    back = faces.host.decode(faces.host.encode(pixels))
    assert -10 * float((back - pixels).square().mean().div(4).log10()) > 33


@pytest.mark.parametrize("colour", COLOURS)
def test_a_face_has_the_prompted_colour(faces, colour):
    prompt = f"a happy {colour} face on a grey background"
    blank = np.full((64, 64, 3), 255, np.uint8)
    forks = faces(image=blank, mask=np.ones((64, 64), bool), prompt=prompt, steps=10, cfg=3, feather=0)
    middle = forks.patches[0, 24:48, 20:44].reshape(-1, 3).astype(int)
    vivid = middle[middle.max(1) - middle.min(1) > 60]
    assert len(vivid) > 100
    assert (vivid.argmax(1) == COLOURS[colour]).mean() > 0.8


@pytest.mark.parametrize("mode", ["sample", "fork"])
def test_the_demonstration_changes_each_stencil_and_nothing_else(faces, mode):
    shown = read_demo()
    sheet = read_image(shown.image)
    stencil = read_image(shown.mask)[..., 0]
    forks = faces(
        image=shown.image,
        mask=shown.mask,
        rows=shown.rows,
        columns=shown.columns,
        prompt=list(shown.prompts),
        mode=mode,
        steps=4,
    )
    for n, cell in enumerate(forks.cells):
        changed = (forks.array(n) != sheet).any(2)
        inside = np.zeros_like(changed)
        inside[forks.grid.cell_rect(cell).slices] = stencil > 0
        assert not changed[~inside].any()
        assert changed[inside].mean() > 0.3


def test_the_demonstration_lies_beside_it():
    shown = read_demo()
    assert shown.image.parent == shown.mask.parent == Path(bundled_folder())
    assert len(shown.prompts) == shown.rows * shown.columns
