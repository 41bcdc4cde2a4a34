"""Trains the denoiser and its text model together: v-prediction on Stable Diffusion's betas.

    cd tools && python -m faces.train_unet --vae /tmp/faces/vae/vae --out /tmp/faces/unet

Started again with the same folder it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from torch import nn

from faces.checkpoints import Run
from faces.latents import batch_of, load_pool, make_pool, weights_of
from faces.text import load_tokenizer, make_text_model, write_tokenizer
from faces.train_loop import make_optimizer, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from faces.latents import Batch

RATE = 1.5e-3


def make_scheduler() -> EulerDiscreteScheduler:
    """Stable Diffusion's noise levels, with the network predicting the velocity."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,  # without effect on this spacing, but the pipeline warns of any other value
    )


def make_unet() -> UNet2DConditionModel:
    """The denoiser with fresh weights: attention in the two lower levels."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=8,
    )


class Denoiser(nn.Module):
    """The two networks that are trained together."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.unet = make_unet()
        self.text_encoder = make_text_model(load_tokenizer(folder))

    def forward(self, x: Tensor, timestep: Tensor, tokens: Tensor) -> Tensor:
        """Predicts the velocity of noisy latents x (B,4,h,w) at timestep (B,)."""
        return self.unet(x, timestep, self.text_encoder(tokens)[0]).sample


def noised(batch: Batch, alphas: Tensor, g: torch.Generator) -> tuple[Tensor, ...]:
    """What a step asks of the network.

    With a the cumulated product of 1 - beta: x = sqrt(a) x0 + sqrt(1-a) noise and
    v = sqrt(a) noise - sqrt(1-a) x0 (Salimans and Ho, Progressive Distillation, appendix D).

    Returns:
        x (B,4,h,w), timesteps (B,), tokens, v (B,4,h,w) and the weight of each place (B,1,h,w), with sum 1:
        only the cells that the caption describes count.
    """
    latents, counts, tokens = batch[0].float(), batch[1].float(), batch[2]
    count = len(latents)
    # One timestep from each of `count` equal ranges: every step sees all noise levels.
    timestep = ((torch.arange(count) + torch.rand(count, generator=g)) / count * len(alphas)).long()
    a = alphas[timestep][:, None, None, None]
    noise = torch.randn(latents.shape, generator=g)
    velocity = a.sqrt() * noise - (1 - a).sqrt() * latents
    return a.sqrt() * latents + (1 - a).sqrt() * noise, timestep, tokens, velocity, weights_of(counts)


def loss_of(model: Denoiser, task: tuple[Tensor, ...], worker: int) -> Tensor:
    """The weighted squared error of v over a worker's half of the batch."""
    x, timestep, tokens, velocity, weight = (value[worker::2] for value in task)
    error = (model(x, timestep, tokens) - velocity).square().mean(1, keepdim=True)
    return (error * weight).sum()


def train(vae_folder: Path, out: Path, steps: int, pool: int) -> None:
    """Trains until `steps`, or goes on from the folder's checkpoint."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(out / "tokenizer")
    if not (out / "pool.safetensors").exists():
        vae = AutoencoderKL.from_pretrained(vae_folder)
        make_pool(out / "pool.safetensors", pool, vae, load_tokenizer(out / "tokenizer"))
    batches = load_pool(out / "pool.safetensors")
    model = Denoiser(out / "tokenizer")
    run = Run(out, model, make_optimizer(model, RATE), decay=0.999)
    alphas = make_scheduler().alphas_cumprod

    def losses_of(step: int) -> list[Callable[[], Tensor]]:
        task = noised(batch_of(step, batches), alphas, torch.Generator().manual_seed(step))
        return [partial(loss_of, model, task, n) for n in range(min(2, len(task[0])))]

    walk(run, steps, RATE, losses_of)


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vae", type=Path, default=Path("/tmp/faces/vae/vae"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/faces/unet"))
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--pool", type=int, default=900, help="batches that are drawn and encoded once")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train(arguments.vae, arguments.out, arguments.steps, arguments.pool)


if __name__ == "__main__":
    main()
