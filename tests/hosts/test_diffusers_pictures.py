"""Pictures that a pipeline goes by besides the sheet."""

from __future__ import annotations

from typing import Any

import diffusers as d
import numpy as np
import pytest
from families import QUIET, build, build_with_texts, cached
from forking_hosts import fork_latents
from PIL import Image

from maskgrid import MaskGrid
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.diffusers import DiffusersHost, check

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]
TEXTS: dict[str, Any] = {"prompt": "a face", "negative_prompt": "dull", "guidance_scale": 3.0}


def asked(told: dict[str, Any]) -> dict[str, Any]:
    """A pipeline's arguments as `MaskGrid` calls them."""
    return {"cfg" if name == "guidance_scale" else name: value for name, value in told.items()}


@pytest.mark.parametrize("as_list", [False, True])
def test_a_controlnets_picture_lies_over_the_sheet(as_list: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, told = build("controlnet")
    told = {name: value for name, value in told.items() if name != "image"}
    if as_list:
        nets = d.MultiControlNetModel([pipe.controlnet, pipe.controlnet])
        pipe = type(pipe)(**{**pipe.components, "controlnet": nets}, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
    assert check(pipe, **told).trusted
    seen, prepare = [], pipe.prepare_image
    monkeypatch.setattr(pipe, "prepare_image", lambda **given: (seen.append(given), prepare(**given))[1])
    # No multiple of what the pipeline takes, so that the sheet is continued.
    first, second = np.random.default_rng(0).integers(0, 256, (2, 21, 42, 3), dtype=np.uint8)
    sheet, stencil = np.zeros((21, 42, 3), np.uint8), np.ones((21, 21), bool)
    made = []
    for picture in (first, second):
        given = [picture, Image.fromarray(picture)] if as_list else picture
        forks = MaskGrid(pipe)(
            image=sheet, mask=stencil, columns=2, steps=2, control_image=given, mode="sample", **asked(told)
        )
        assert len(seen) == (2 if as_list else 1)
        for call in seen:
            assert call["image"].size == (call["width"], call["height"]) == (48, 24)
            assert np.array_equal(np.asarray(call["image"])[:21, :42], picture)
        seen.clear()
        made.append(forks.patches)
        assert forks.settings["not_recorded"] == ["control_image", "negative_prompt_embeds", "prompt_embeds"]
    assert not np.array_equal(*made)


def test_a_t2i_adapters_picture_lies_over_the_sheet() -> None:
    # An adapter's first features are as large as the latents.
    downwards, upwards = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    blocks = {"down_block_types": downwards, "up_block_types": upwards, "attention_head_dim": 2}
    bare = build_with_texts()
    settings = {name: value for name, value in bare.unet.config.items() if not name.startswith("_")}
    unet = d.UNet2DConditionModel(**{**settings, **blocks})
    adapter = d.T2IAdapter(in_channels=3, channels=[4, 8], num_res_blocks=1, downscale_factor=2)
    parts = {name: part for name, part in bare.components.items() if name != "image_encoder"}
    pipe = d.StableDiffusionAdapterPipeline(
        **{**parts, "unet": unet, "adapter": adapter}, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    assert check(pipe, **TEXTS).trusted
    sheet = np.zeros((16, 32, 3), np.uint8)
    job = {"image": sheet, "mask": np.ones((16, 16), bool), "columns": 2, "steps": 2, "mode": "fork"}
    job |= asked(TEXTS)
    pictures = np.random.default_rng(0).integers(0, 256, (2, *sheet.shape), dtype=np.uint8)
    assert not np.array_equal(*(MaskGrid(pipe)(**job, control_image=each).patches for each in pictures))


def test_a_controlnets_picture_that_can_not_be_used_is_refused() -> None:
    job = {"image": np.zeros((16, 16, 3), np.uint8), "mask": np.ones((16, 16), bool), "steps": 1}
    pipe, told = cached("controlnet")
    told = asked({name: value for name, value in told.items() if name != "image"})
    with pytest.raises(InvalidValueError, match=r"control_image is 8 x 9 px .*the sheet's size, 16 x 16"):
        MaskGrid(pipe)(**job, **told, control_image=np.zeros((8, 9), np.uint8))
    with pytest.raises(InvalidValueError, match="goes by a picture; allowed: a control_image"):
        MaskGrid(pipe)(**job, **told)
    pipe, told = cached("sd")
    with pytest.raises(InvalidTypeError, match="does not take control_image"):
        MaskGrid(pipe)(**job, **asked(told), control_image=np.zeros((16, 16), np.uint8))


@pytest.mark.parametrize("as_list", [False, True])
def test_a_picture_to_go_by_may_have_any_size(as_list: bool) -> None:
    pipe, told = cached("flux2")
    job = {"mask": np.ones((16, 16), bool), "columns": 2, "steps": 2, "mode": "fork"}
    job |= asked(told)
    sheet = np.zeros((16, 32, 3), np.uint8)
    plain = MaskGrid(pipe)(image=sheet, **job).patches
    made = []
    for seed in (0, 1):
        # With an alpha channel, which no network reads.
        picture = np.random.default_rng(seed).integers(0, 256, (64, 80, 4), dtype=np.uint8)
        given = [picture, picture] if as_list else picture
        made.append(MaskGrid(pipe)(image=sheet, reference_image=given, **job).patches)
    assert not np.array_equal(*made)
    assert not np.array_equal(made[0], plain)
    pipe, told = cached("sd")
    with pytest.raises(InvalidTypeError, match="does not take reference_image"):
        MaskGrid(pipe)(image=sheet, **{**job, **asked(told)}, reference_image=sheet)


def test_no_text_stands_beside_embeddings() -> None:
    pipe, told = cached("ovis")
    told = {name: value for name, value in told.items() if name != "negative_prompt"}
    assert len(fork_latents(DiffusersHost(pipe), told).latents) == 4
