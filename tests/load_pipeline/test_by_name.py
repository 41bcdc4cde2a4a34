"""Models by name: folders, hub ids and single files, all without a network."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

import tiny
from hub import COMMIT, Hub
from maskgrid import MaskGrid, MaskGridError
from maskgrid.cli import main
from maskgrid.load_pipeline import load_pipeline

V1 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
PARTS = ("unet", "vae", "text_encoder")
UNSAFE = "raise SystemExit('a model ran its code')\n"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def copy(model_folder, tmp_path) -> Path:
    """The tiny pipeline's folder, to be changed."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


@pytest.fixture
def hub(cache, tmp_path, monkeypatch) -> Iterator[Hub]:
    """A hub on this machine, in place of the real one."""
    with Hub(tmp_path / "hub") as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        files = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.address)
        yield server


def put_into_cache(cache: Path, repository: str, folder: Path) -> Path:
    """As huggingface_hub lays it out; the folder of the files."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(folder, place / "snapshots" / COMMIT))


def rename_weights(folder: Path, new: Callable[[str], str]) -> None:
    for file in list(folder.glob("*/*.safetensors")):
        file.rename(file.with_name(new(file.name)))


def to_pickles(folder: Path) -> None:
    for file in list(folder.glob("*/*.safetensors")):
        name = "pytorch_model.bin" if file.name == "model.safetensors" else "diffusion_pytorch_model.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()


def to_half(folder: Path) -> None:
    for file in list(folder.glob("*/*.safetensors")):
        half = {name: value.half() for name, value in load_file(file).items()}
        save_file(half, file.with_suffix(".fp16.safetensors"), {"format": "pt"})
        file.unlink()


def edit_index(folder: Path, **values: object) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **values}))


def error_of(model: object) -> str:
    """What it says, and that it is one line."""
    with pytest.raises(MaskGridError) as raised:
        load_pipeline(str(model), device="cpu")
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def assert_same_weights(one, other, *, half: bool = False) -> None:
    for part in PARTS:
        expected, found = getattr(one, part).state_dict(), getattr(other, part).state_dict()
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value.half().float() if half else value), f"{part} {name}"


def test_a_hub_id_in_the_cache_needs_no_network(cache, pipe, model_folder):
    put_into_cache(cache, "owner/name", model_folder)
    loaded = load_pipeline("owner/name", device="cpu")
    assert_same_weights(pipe, loaded)
    assert loaded.unet.dtype == torch.float32
    assert load_pipeline("owner/name", device="cpu", dtype="bfloat16").vae.dtype == torch.bfloat16


def test_the_command_line_finds_the_cache_by_its_variables(tmp_path, model_folder):
    put_into_cache(tmp_path, "owner/name", model_folder)
    known = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "maskgrid", "check", "--model", "owner/name", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=known)
    assert done.returncode == 0, done.stderr
    assert "StableDiffusionPipeline can be trusted" in done.stdout


def test_a_hub_id_is_downloaded_once(hub, pipe, model_folder):
    shutil.copytree(model_folder, hub.root / "owner" / "name")
    assert_same_weights(pipe, load_pipeline("owner/name", device="cpu"))
    assert "unet/diffusion_pytorch_model.safetensors" in hub.asked
    hub.asked.clear()
    load_pipeline("owner/name", device="cpu")
    assert not [name for name in hub.asked if name.endswith("safetensors")]


def test_a_revision_is_that_of_the_hub(hub, pipe, model_folder):
    shutil.copytree(model_folder, hub.root / "owner" / "name")
    assert_same_weights(pipe, load_pipeline("owner/name", device="cpu", revision="v1"))
    assert "main" not in hub.revisions
    told = MaskGrid.load("owner/name", device="cpu", revision="v1")._source["pipeline"]
    assert told["revision"] == "v1"


def test_a_revision_that_there_is_not_is_named(hub, model_folder):
    shutil.copytree(model_folder, hub.root / "owner" / "name")
    with pytest.raises(MaskGridError, match="has no revision 'v2' on the hub; allowed: a branch, a tag"):
        load_pipeline("owner/name", device="cpu", revision="v2")


def test_half_weights_are_taken_where_there_are_no_others(hub, pipe, copy):
    to_half(copy)
    shutil.copytree(copy, hub.root / "owner" / "name")
    for model in (str(copy), "owner/name"):
        assert_same_weights(pipe, load_pipeline(model, device="cpu"), half=True)


def test_one_part_in_half_and_the_others_whole(copy, pipe):
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".fp16.safetensors"))
    assert_same_weights(pipe, load_pipeline(str(copy), device="cpu"))


def test_pickles_are_never_read(copy, hub, cache):
    to_pickles(copy)
    shutil.copytree(copy, hub.root / "owner" / "name")
    put_into_cache(cache, "owner/cached", copy)
    for model in (copy, "owner/name", "owner/cached"):
        message = error_of(model)
        assert "allowed: .safetensors files alone" in message
    assert not [name for name in hub.asked if name.endswith(".bin")]


@pytest.mark.parametrize(
    ("values", "file", "text"),
    [
        ({"_class_name": ["pipeline", "Mine"]}, "pipeline.py", "the pipeline ['pipeline', 'Mine']"),
        ({"_class_name": ["clip_guided_stable_diffusion", "Mine"]}, "x.py", "the pipeline ['clip_guided"),
        ({"_class_name": "Mine"}, "pipeline.py", "the pipeline 'Mine'"),
        ({"unet": ["mine", "Mine"]}, "unet/mine.py", "its unet from 'mine'"),
        ({}, "unet/diffusers.py", "brings code"),
        ({}, "None.py", "brings code"),
    ],
)
def test_code_of_a_model_is_never_run(values, file, text, copy, hub):
    edit_index(copy, **values)
    (copy / file).write_text(UNSAFE)
    shutil.copytree(copy, hub.root / "owner" / "name")
    for model in (copy, "owner/name"):
        message = error_of(model)
        assert text in message
        assert message.endswith("no code of a model is run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has what is asked for")
def test_a_device_that_is_not_here_is_named(copy):
    with pytest.raises(MaskGridError) as raised:
        load_pipeline(str(copy), device="cuda")
    assert str(raised.value).startswith("device is 'cuda', which torch can't use on this machine (")


def test_code_behind_a_link_is_found(copy, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pipeline.py").write_text(UNSAFE)
    (copy / "unet" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (copy / "unet" / "again").symlink_to(copy, target_is_directory=True)
    assert error_of(copy).endswith("no code of a model is run")


def test_an_unknown_id_without_a_network_says_what_to_do(cache):
    message = error_of("owner/nothing")
    assert "model 'owner/nothing' is not in the Hugging Face cache, and the hub can't be reached" in message
    assert "HF_HUB_OFFLINE" in message
    assert message.endswith("allowed: a connection, or a model's folder")


def test_what_the_hub_refuses_is_passed_on(hub):
    (hub.root / "owner" / "gated").mkdir(parents=True)
    (hub.root / "owner" / "gated" / "gated").touch()
    (hub.root / "owner" / "data").mkdir()
    assert error_of("owner/gated") == "model 'owner/gated' is gated: Ask the owner for access."
    assert "the hub has no model 'owner/nothing', or it is private" in error_of("owner/nothing")
    assert "without a model_index.json" in error_of("owner/data")


def test_a_hub_model_that_is_in_the_cache_in_part_is_an_error(cache, model_folder):
    shutil.rmtree(put_into_cache(cache, "owner/name", model_folder) / "vae")
    assert "model 'owner/name' lacks its vae" in error_of("owner/name")


@pytest.fixture
def settings(cache, copy) -> Path:
    """The cache has the settings of Stable Diffusion 1 (they are the tiny pipeline's), and no weights."""
    for file in copy.glob("*/*.safetensors"):
        file.unlink()
    return put_into_cache(cache, V1, copy)


@pytest.fixture
def single(pipe, tmp_path) -> Path:
    save_file(tiny.checkpoint(pipe), tmp_path / "single.safetensors")
    return tmp_path / "single.safetensors"


def test_a_single_file_has_the_same_weights(settings, single, pipe):
    loaded = load_pipeline(str(single), device="cpu")
    assert type(loaded).__name__ == "StableDiffusionPipeline"
    assert_same_weights(pipe, loaded)
    assert loaded.tokenizer("a b").input_ids == pipe.tokenizer("a b").input_ids
    assert load_pipeline(str(single), device="cpu", dtype="bfloat16").unet.dtype == torch.bfloat16


def test_settings_of_a_single_file_come_from_the_hub(hub, copy, single, pipe):
    shutil.copytree(copy, hub.root / V1)
    assert_same_weights(pipe, load_pipeline(str(single), device="cpu"))
    assert not [name for name in hub.asked if name.endswith("safetensors")]


def test_a_single_file_without_settings_says_whose_it_needs(cache, single):
    message = error_of(single)
    assert f"'{V1}' with the settings for model '{single}' is not in the Hugging Face cache" in message


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ("first_stage_model.", "is without a UNet; allowed: a whole checkpoint"),
        ("cond_stage_model.", "is without a UNet; allowed: a whole checkpoint"),
        ("model.diffusion_model.", "CLIPTextModel. Weights for this component appear to be missing"),
    ],
)
def test_a_part_alone_is_no_model(kept, text, settings, single):
    part = {name: value for name, value in load_file(single).items() if name.startswith(kept)}
    save_file(part, single)
    assert text in error_of(single)


def test_a_lora_is_no_model(settings, single):
    save_file({"lora_unet_mid_block_attentions_0.lora_up.weight": torch.zeros(4, 4)}, single)
    assert "no LoRA" in error_of(single)


def test_weights_that_a_single_file_lacks_are_not_left_at_random(settings, single):
    weights = load_file(single)
    del weights["model.diffusion_model.middle_block.0.in_layers.2.weight"]
    save_file(weights, single)
    assert f"lacks some of the weights of '{V1}'" in error_of(single)


def test_weights_of_another_size_are_a_short_error(settings, single):
    weights = {name: torch.zeros(*value.shape, 2) for name, value in load_file(single).items()}
    save_file(weights, single)
    assert f"model '{single}' can't be loaded: " in error_of(single)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_no_safetensors_inside_is_an_error(content, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert "is no .safetensors file inside" in error_of(tmp_path / "model.safetensors")


def test_a_pickle_is_not_opened(tmp_path):
    torch.save({}, tmp_path / "model.ckpt")
    assert "allowed: .safetensors files alone" in error_of(tmp_path / "model.ckpt")


def test_a_kind_without_a_pipeline_is_named(tmp_path):
    weights = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 9, 1, 1)}
    save_file(weights, tmp_path / "inpainting.safetensors")
    assert "is of kind 'inpainting'" in error_of(tmp_path / "inpainting.safetensors")


@pytest.mark.parametrize("kind", ["StableDiffusionInpaintPipeline", "StableDiffusionImg2ImgPipeline"])
def test_a_folder_of_another_kind_of_pipeline_is_one_line(kind, copy, sheet, stencil, capsys):
    edit_index(copy, _class_name=kind)
    Image.fromarray(sheet).save(copy / "sheet.png")
    Image.fromarray(stencil).save(copy / "stencil.png")
    pictures = ["--image", str(copy / "sheet.png"), "--mask", str(copy / "stencil.png")]
    assert (
        main(
            [
                "sample",
                *pictures,
                "--prompt",
                "a",
                "--model",
                str(copy),
                "--device",
                "cpu",
                "--rows",
                "2",
                "--columns",
                "3",
            ]
        )
        == 1
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("maskgrid")]
    assert len(lines) == 1
    assert kind in lines[0]
