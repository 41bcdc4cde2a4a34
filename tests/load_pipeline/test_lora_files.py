"""LoRAs beside a model: what is refused before it is loaded, what they change, what manifests tell."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from maskgrid import MaskGrid, MaskGridError
from maskgrid.cli import main
from maskgrid.cli.option_types import OFFLOADS as TOLD_OFFLOADS
from maskgrid.cli.option_types import lora as lora_option
from maskgrid.errors import InvalidTypeError, InvalidValueError, MissingExtraError
from maskgrid.load_pipeline import OFFLOADS, load_pipeline, lora_files
from maskgrid.load_pipeline.lora_files import find_loras
from maskgrid.load_pipeline.save_memory import offload_networks
from maskgrid.mask_grid import repeat
from random_lora import write_lora


@pytest.fixture
def style(pipe, tmp_path) -> Path:
    return write_lora(pipe.unet, tmp_path / "style.safetensors", 1)


@pytest.fixture
def other(pipe, tmp_path) -> Path:
    return write_lora(pipe.unet, tmp_path / "a: b:1.safetensors", 2)


def predicted(loaded) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    x, text = (torch.randn(shape, generator=generator) for shape in ((1, 4, 8, 8), (1, 5, 16)))
    with torch.no_grad():
        return loaded.unet(x, 10, text).sample


def load(folder: Path, *loras: object):
    return load_pipeline(str(folder), device="cpu", loras=loras)


def test_what_was_found_is_not_read_again(style):
    found = find_loras([style])
    style.unlink()
    assert find_loras(found) == found


def test_several_are_weighed(model_folder, style, other):
    def difference(*loras: object) -> torch.Tensor:
        return predicted(load(model_folder, *loras)) - predicted(load(model_folder))

    assert difference(style).abs().max() > 1e-4
    assert difference((style, 0.0)).abs().max() < 1e-6
    assert (difference(style, (other, 0.0)) - difference(style)).abs().max() < 1e-6
    assert (difference((style, 1.0), (other, 0.5)) - difference(style)).abs().max() > 1e-4


def test_one_of_the_unet_and_one_of_the_text_model(model_folder, pipe, style, tmp_path):
    words = write_lora(pipe.text_encoder, tmp_path / "words.safetensors", 4, part="text_encoder")
    both = load(model_folder, (style, 0.5), words)
    assert both.get_list_adapters() == {"text_encoder": ["lora_1"], "unet": ["lora_0"]}
    assert torch.equal(predicted(both), predicted(load(model_folder, (style, 0.5))))


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (None, "x.safetensors", "is not there; allowed: a .safetensors file"),
        (b"pickle", "x.bin", "is no .safetensors file; allowed: .safetensors files alone"),
        (b"cut off", "x.safetensors", "is no .safetensors file inside, or was cut off"),
        ({"weight": 2}, "x.safetensors", "has weight, so it is no LoRA"),
        ({}, "x.safetensors", "has no weights, so it is no LoRA"),
        (
            {"unet.to_q.lora_A.weight": 2, "vae.weight": 2},
            "x.safetensors",
            "has vae.weight, so it is no LoRA",
        ),
    ],
)
def test_what_is_no_lora_is_refused_before_the_model_is_looked_for(content, name, said, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        save_file({key: torch.zeros(size) for key, size in content.items()}, tmp_path / name)
    with pytest.raises(MaskGridError) as caught:
        load_pipeline("no/model/here", device="cpu", loras=[tmp_path / name])
    assert said in str(caught.value)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "1", True, None])
def test_a_weight_is_a_finite_number(weight, style):
    with pytest.raises(InvalidValueError, match="allowed: a finite number"):
        find_loras([(style, weight)])


@pytest.mark.parametrize("loras", ["x.safetensors", [3], [("a", 1, 2)], [{"file": "a"}], 3])
def test_what_is_no_list_of_files_is_refused(loras):
    with pytest.raises(InvalidTypeError, match="allowed: "):
        find_loras(loras)


def test_scales_beside_the_weights_of_a_lora_belong_to_it(tmp_path):
    weights = {"lora_unet_a.lora_up.weight": torch.zeros(2), "lora_unet_a.alpha": torch.zeros(1)}
    save_file(weights, tmp_path / "x.safetensors")
    assert [lora.weight for lora in find_loras([tmp_path / "x.safetensors"])] == [1.0]


def test_a_lora_for_another_model_is_named(model_folder, tmp_path):
    elsewhere = {f"transformer.blocks.0.to_q.lora_{each}.weight": torch.zeros(2, 2) for each in "AB"}
    save_file(elsewhere, tmp_path / "x.safetensors")
    with pytest.raises(MaskGridError, match=r"x\.safetensors' is for another kind of model than"):
        load(model_folder, tmp_path / "x.safetensors")


def test_a_lora_of_another_size_is_named(model_folder, pipe, tmp_path):
    name = next(each for each, _ in pipe.unet.named_modules() if each.endswith("to_q"))
    weights = {f"unet.{name}.lora_{each}.weight": torch.zeros(99, 99) for each in "AB"}
    save_file(weights, tmp_path / "x.safetensors")
    with pytest.raises(MaskGridError, match=r"x\.safetensors' is for another kind of model than"):
        load(model_folder, tmp_path / "x.safetensors")


def test_without_peft_it_is_said_what_to_install(style, monkeypatch):
    monkeypatch.setattr(lora_files, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install peft"):
        load_pipeline("no/model/here", device="cpu", loras=[style])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.safetensors", ("a.safetensors", 1.0)),
        ("a.safetensors:0.5", ("a.safetensors", 0.5)),
        ("a.safetensors:-2", ("a.safetensors", -2.0)),
        (r"C:\a.safetensors", (r"C:\a.safetensors", 1.0)),
        (r"C:\a.safetensors:0.5", (r"C:\a.safetensors", 0.5)),
        ("C:1", ("C:1", 1.0)),
        ("a:b", ("a:b", 1.0)),
    ],
)
def test_a_weight_is_what_stands_after_the_last_colon(text, parts):
    assert lora_option(text) == parts


def test_a_file_that_is_there_is_meant_as_it_is_called(tmp_path):
    (tmp_path / "a:2").write_bytes(b"")
    assert lora_option(str(tmp_path / "a:2")) == (str(tmp_path / "a:2"), 1.0)


# Manifests


@pytest.fixture
def run(sheet, stencil, tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(sheet).save("sheet.png")
    Image.fromarray(stencil).save("stencil.png")
    where = ["--image", "sheet.png", "--mask", "stencil.png", "--rows", "2", "--columns", "3"]
    return ["sample", *where, *("--prompt", "a", "--steps", "2", "--mode", "fork", "--device", "cpu")]


def picture(folder: str) -> bytes:
    return Path(folder, "merged.png").read_bytes()


def test_a_manifest_brings_them_back(run, model_folder, style, other):
    loras = ["--lora", f"{style}:0.5", "--lora", f"{other}:2", "--vae-tiling"]
    assert main([*run, "--model", str(model_folder), "--out", "plain"]) == 0
    assert main([*run, "--model", str(model_folder), *loras, "--out", "first"]) == 0
    assert picture("first") != picture("plain")

    told = json.loads(Path("first/manifest.json").read_text())["runs"][0]["settings"]["pipeline"]
    assert [(Path(lora["path"]), lora["weight"]) for lora in told["loras"]] == [(style, 0.5), (other, 2.0)]
    assert told["vae_tiling"] is True
    assert "offload" not in told

    assert main(["sample", "--from", "first", "--out", "second"]) == 0
    assert picture("second") == picture("first")
    repeat("first").save("third")
    assert picture("third") == picture("first")
    assert main(["sample", "--from", "first", "--lora", str(style), "--out", "fourth"]) == 0
    assert picture("fourth") not in (picture("first"), picture("plain"))


def test_a_lora_that_has_changed_since_is_refused(run, model_folder, pipe, style, capsys):
    assert main([*run, "--model", str(model_folder), "--lora", str(style), "--out", "first"]) == 0
    write_lora(pipe.unet, style, 9)
    assert main(["sample", "--from", "first", "--out", "second"]) == 1
    assert "has changed, its SHA-256 is" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"loras": "x"},
        {"loras": [{"path": "x", "weight": 1}]},
        {"loras": [{"path": "x", "weight": "1", "sha256": "0" * 64}]},
        {"loras": [{"path": "x", "weight": 1, "sha256": "0"}]},
        {"vae_tiling": 1},
        {"offload": 3},
        {"trust_remote_code": True},
    ],
)
def test_a_manifest_that_can_not_be_is_refused(change, run, model_folder):
    assert main([*run, "--model", str(model_folder), "--out", "first"]) == 0
    manifest = json.loads(Path("first/manifest.json").read_text())
    manifest["runs"][0]["settings"]["pipeline"] |= change
    Path("first/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MaskGridError, match="pipeline"):
        repeat("first")


# Memory and revisions


def test_the_command_line_knows_every_way_of_offloading():
    assert TOLD_OFFLOADS == OFFLOADS


@pytest.mark.parametrize("offload", ["model", "group"])
def test_offloaded_networks_give_what_they_gave(offload, model_folder):
    expected = predicted(load_pipeline(str(model_folder), device="cpu"))
    loaded = load_pipeline(str(model_folder), device="cpu")
    offload_networks(loaded, offload, torch.device("cpu"))
    marks = ("_hf_hook", "_diffusers_hook")
    assert any(hasattr(each, mark) for each in loaded.unet.modules() for mark in marks)
    assert torch.equal(predicted(loaded), expected)


def test_on_the_cpu_nothing_is_offloaded(model_folder):
    loaded = load_pipeline(str(model_folder), device="cpu", offload="sequential")
    assert not hasattr(loaded.unet, "_hf_hook")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"offload": "disk"}, "offload is 'disk'; allowed: model, sequential, group"),
        ({"vae_tiling": "yes"}, "vae_tiling is 'yes'; allowed: True or False"),
        ({"revision": ""}, "revision is ''; allowed: a branch"),
        ({"revision": "v1"}, "is on this machine; allowed: with a hub id"),
    ],
)
def test_what_is_not_allowed_is_said(options, said, model_folder):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        load_pipeline(str(model_folder), device="cpu", **options)
    assert said in str(caught.value)


def test_a_vae_works_in_tiles(model_folder):
    assert MaskGrid.load(model_folder, device="cpu", vae_tiling=True).host.pipe.vae.use_tiling
    assert not MaskGrid.load(model_folder, device="cpu").host.pipe.vae.use_tiling


def test_a_path_with_a_colon_is_a_path(model_folder, style, tmp_path):
    (tmp_path / "https:").mkdir()
    moved = shutil.copy(style, tmp_path / "https:" / "a:0.5")
    with pytest.raises(MaskGridError, match=r"no \.safetensors file"):
        find_loras([moved])
    moved = shutil.copy(style, tmp_path / "https:" / "a:0.5.safetensors")
    assert torch.equal(predicted(load(model_folder, moved)), predicted(load(model_folder, style)))
