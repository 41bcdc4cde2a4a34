"""Texts for the diffusers host, encoded by a small real text encoder."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from families import QUIET, build, build_with_texts
from forking_hosts import fork_latents, relative
from transformers import CLIPTextModelWithProjection

from maskgrid import MaskGrid
from maskgrid.errors import InvalidValueError
from maskgrid.hosts.diffusers import DiffusersHost, check
from maskgrid.load_pipeline import load_pipeline
from texts import letters_tokenizer, text_model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]
TEXTS = ["a sad face", "a hat", "an owl", "red"]


@functools.cache
def host() -> DiffusersHost:
    return DiffusersHost(build_with_texts())


def alone(fork: int, **told: Any) -> torch.Tensor:
    return fork_latents(host(), told, mode="fork").latents[fork]


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_forks_have_their_own_texts(micro_batch: int | None) -> None:
    told = {"prompt": TEXTS, "negative_prompt": "dull", "guidance_scale": 3.0}
    forks = fork_latents(host(), told, mode="fork", micro_batch=micro_batch).latents
    for fork, text in enumerate(TEXTS):
        assert relative(forks[fork], alone(fork, **{**told, "prompt": text})) < 1e-5
    assert relative(forks[1], alone(1, **{**told, "prompt": TEXTS[0]})) > 1e-5


def test_both_kinds_of_text_can_be_lists() -> None:
    told = {"prompt": "a face", "negative_prompt": TEXTS, "guidance_scale": 3.0}
    forks = fork_latents(host(), told, mode="fork").latents
    assert relative(forks[2], alone(2, **{**told, "negative_prompt": TEXTS[2]})) < 1e-5


def test_a_text_beside_embeddings() -> None:
    with torch.no_grad():
        negative, _ = host().pipe.encode_prompt("dull", torch.device("cpu"), 1, False)
    for prompt in ("a face", TEXTS):
        texts = fork_latents(host(), {"prompt": prompt, "negative_prompt": "dull"}, mode="fork").latents
        mixed = fork_latents(
            host(), {"prompt": prompt, "negative_prompt_embeds": negative}, mode="fork"
        ).latents
        assert relative(mixed, texts) < 1e-5


def test_cells_take_texts_together() -> None:
    told = {"prompt": TEXTS, "guidance_scale": 3.0}
    cells = fork_latents(host(), told, fork_at=2, sheet_conditioning="cells").latents
    assert relative(cells, fork_latents(host(), told, mode="fork").latents) > 1e-5
    with pytest.raises(InvalidValueError, match="prompt has 4 items, one for each fork"):
        fork_latents(host(), told, fork_at=2)
    with pytest.raises(InvalidValueError, match="prompt has 3 items; allowed: one for all"):
        fork_latents(host(), {**told, "prompt": TEXTS[:3]}, mode="fork")


def test_a_check_needs_no_prompt() -> None:
    report = check(host().pipe)
    assert report.trusted, str(report)


@functools.cache
def sd3() -> Any:
    """With two of its three text models."""
    pipe, _ = build("sd3")
    tokenizer = letters_tokenizer()
    encoder = text_model(tokenizer, 16, kind=CLIPTextModelWithProjection, projection_dim=32)
    two = {"text_encoder": encoder, "tokenizer": tokenizer}
    two |= {f"{name}_2": part for name, part in two.items()}
    return type(pipe)(**{**pipe.components, **two})


def test_a_pipeline_that_was_saved_without_its_largest_text_model_is_loaded(tmp_path: Path) -> None:
    sd3().save_pretrained(tmp_path)
    loaded = load_pipeline(str(tmp_path), device="cpu")
    assert loaded.text_encoder_3 is None
    told = {"prompt": TEXTS, "negative_prompt": "dull"}
    expected = fork_latents(DiffusersHost(sd3()), told, mode="fork").latents
    assert torch.equal(fork_latents(DiffusersHost(loaded), told, mode="fork").latents, expected)


def test_texts_for_a_second_text_model_may_be_a_table_of_cells() -> None:
    job = {"mask": np.ones((16, 16), bool), "rows": 2, "columns": 2, "mode": "fork", "steps": 2}
    job |= {"image": np.zeros((32, 32, 3), np.uint8), "prompt": "a face"}
    maker = MaskGrid(sd3())
    forks = maker(**job, prompt_2=[TEXTS[:2], TEXTS[2:]])
    for fork, text in enumerate(TEXTS):
        own = maker(**job, prompt_2=text)
        difference = np.abs(forks.patches[fork].astype(int) - own.patches[fork]).max()
        assert difference <= 1
    assert np.abs(forks.patches[1].astype(int) - maker(**job, prompt_2=TEXTS[0]).patches[1]).max() > 1
    with pytest.raises(InvalidValueError, match="prompt_2 has 3 items"):
        maker(**job, prompt_2=TEXTS[:3])
