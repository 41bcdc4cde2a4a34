"""Trains a small transformer with joint attention on the same faces: a rectified flow, for the benchmarks.

    cd tools && python -m faces.train_transformer --out /tmp/faces/transformer

Autoencoder and text model are the bundled ones. Started again with the same folder it goes on where it
stopped. At the end it writes the folder of a StableDiffusion3Transformer, in half precision, to --out.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import SD3Transformer2DModel, StableDiffusionPipeline

from faces.checkpoints import Run, load_average
from faces.latents import batch_of, load_pool, make_pool, weights_of
from faces.train_loop import make_optimizer, walk
from maskgrid.bundled_model import bundled_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from transformers import CLIPTextModel

    from faces.latents import Batch

RATE = 1e-3
SHIFT = 2.0  # more of the steps at high noise, as Stable Diffusion 3 is trained


def make_transformer() -> SD3Transformer2DModel:
    """A transformer of Stable Diffusion 3's kind with fresh weights: 4.6 M parameters."""
    return SD3Transformer2DModel(
        sample_size=64,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=5,
        attention_head_dim=32,
        num_attention_heads=5,
        joint_attention_dim=64,
        caption_projection_dim=160,
        pooled_projection_dim=64,
        pos_embed_max_size=32,
        qk_norm="rms_norm",
    )


def noised(batch: Batch, text: CLIPTextModel, g: torch.Generator) -> tuple[Tensor, ...]:
    """What a step asks of the network.

    x = (1 - s) x0 + s noise, and the velocity is noise - x0 (Esser et al., arXiv 2403.03206).

    Returns:
        x (B,4,h,w), sigmas (B,), embeddings (B,LENGTH,64) and (B,64), the velocity, and the weight of each
        place (B,1,h,w), with sum 1: only the cells that the caption describes count.
    """
    latents, counts, tokens = batch[0].float(), batch[1].float(), batch[2]
    count = len(latents)
    even = (torch.arange(count) + torch.rand(count, generator=g)) / count
    sigma = SHIFT * even / (1 + (SHIFT - 1) * even)
    s = sigma[:, None, None, None]
    noise = torch.randn(latents.shape, generator=g)
    with torch.no_grad():
        encoded = text(tokens)
    x = (1 - s) * latents + s * noise
    return x, sigma, encoded[0], encoded[1], noise - latents, weights_of(counts)


def loss_of(model: SD3Transformer2DModel, task: tuple[Tensor, ...], worker: int) -> Tensor:
    """The weighted squared error of the velocity over a worker's half of the batch."""
    x, sigma, embeddings, pooled, velocity, weight = (value[worker::2] for value in task)
    told = {"encoder_hidden_states": embeddings, "pooled_projections": pooled, "timestep": 1000 * sigma}
    error = (model(x, **told).sample - velocity).square().mean(1, keepdim=True)
    return (error * weight).sum()


def train(out: Path, steps: int, pool: int) -> None:
    """Trains until `steps`, or goes on from the folder's checkpoint."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    faces = StableDiffusionPipeline.from_pretrained(bundled_folder())
    if not (out / "pool.safetensors").exists():
        make_pool(out / "pool.safetensors", pool, faces.vae, faces.tokenizer)
    batches = load_pool(out / "pool.safetensors")
    model = make_transformer()
    run = Run(out, model, make_optimizer(model, RATE), decay=0.998)

    def losses_of(step: int) -> list[Callable[[], Tensor]]:
        g = torch.Generator().manual_seed(step)
        task = noised(batch_of(step, batches), faces.text_encoder, g)
        return [partial(loss_of, model, task, n) for n in range(min(2, len(task[0])))]

    walk(run, steps, RATE, losses_of)
    load_average(out / "checkpoint.safetensors", model).half().save_pretrained(out / "transformer")


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("/tmp/faces/transformer"))
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--pool", type=int, default=330, help="batches that are drawn and encoded once")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train(arguments.out, arguments.steps, arguments.pool)


if __name__ == "__main__":
    main()
