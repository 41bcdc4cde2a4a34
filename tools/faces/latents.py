"""A pool of encoded sheets, made once, so that training the denoiser neither draws nor encodes."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from faces.sheets import SHAPES, random_sheets
from faces.text import tokens
from faces.workers import side_by_side

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderKL
    from torch import Tensor
    from transformers import CLIPTokenizer

CELLS = 48  # a batch
SINGLE = 0.25  # the part of the batches that shows single cells
PARTS = 2  # steps that a batch is divided over
POOL_SEED = 5 * 10**8  # far from the seeds of the autoencoder's training

Batch = tuple["Tensor", "Tensor", "Tensor"]
"""Latents, the cells that count, and the captions' tokens (B,LENGTH)."""


def pick_shape(seed: int) -> tuple[int, int]:
    """The shape of the sheets of one batch."""
    chance = random.Random(seed)
    return (1, 1) if chance.random() < SINGLE else chance.choice(SHAPES[1:])


@torch.no_grad()
def encode_batch(index: int, vae: AutoencoderKL) -> tuple[Tensor, Tensor, list[str]]:
    """Draws and encodes one batch.

    Returns:
        Latents (B,4,16*rows,16*columns) as the denoiser sees them, the cells that count (B,1,rows,columns)
        and the captions.
    """
    rows, columns = pick_shape(POOL_SEED + index)
    g = torch.Generator().manual_seed(POOL_SEED + index)
    sheets = random_sheets(max(1, CELLS // (rows * columns)), (rows, columns), g)
    latents = vae.encode(sheets.images).latent_dist.mean * vae.config.scaling_factor
    return latents.half(), sheets.counts[:, None].half(), sheets.captions


def make_pool(path: Path, count: int, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> None:
    """Writes `count` batches to one safetensors file, under a temporary name first."""
    tensors: dict[str, Tensor] = {}
    batches = side_by_side(lambda index: encode_batch(index, vae), range(count))
    for index, (latents, counts, captions) in enumerate(batches):
        tensors[f"{index}.latents"] = latents.contiguous()
        tensors[f"{index}.counts"] = counts
        tensors[f"{index}.tokens"] = tokens(tokenizer, captions)
        if (index + 1) % 100 == 0:
            print(f"encoded {index + 1} of {count} batches", flush=True)
    save_file(tensors, path.with_suffix(".tmp"), metadata={"pool": json.dumps({"count": count})})
    path.with_suffix(".tmp").replace(path)


def load_pool(path: Path) -> list[Batch]:
    """Reads the pool into memory, 2 KB a cell."""
    with safe_open(path, "pt") as file:
        count = json.loads(file.metadata()["pool"])["count"]
        return [
            (
                file.get_tensor(f"{index}.latents"),
                file.get_tensor(f"{index}.counts"),
                file.get_tensor(f"{index}.tokens"),
            )
            for index in range(count)
        ]


def batch_of(step: int, pool: list[Batch]) -> Batch:
    """A part of a batch of the pool; the pool is gone through in a new order each time."""
    turn, at = divmod(step, len(pool) * PARTS)
    order = torch.randperm(len(pool) * PARTS, generator=torch.Generator().manual_seed(turn))
    index, part = divmod(int(order[at]), PARTS)
    latents, counts, tokens = pool[index]
    return latents[part::PARTS], counts[part::PARTS], tokens[part::PARTS]


def weights_of(counts: Tensor) -> Tensor:
    """How much each place counts, (B,1,h,w) with sum 1, of the cells that do, (B,1,rows,columns)."""
    weight = counts.repeat_interleave(16, 2).repeat_interleave(16, 3)
    return weight / weight.sum()
