"""Trains the autoencoder: stride 4, 4 latent channels, 0.65 M parameters.

    cd tools && python -m faces.train_vae --out /tmp/faces/vae

Started again with the same folder it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL

from faces.checkpoints import Run, load_average, set_rate
from faces.sheets import SHAPES, random_sheets
from faces.workers import set_gradients

if TYPE_CHECKING:
    from torch import Tensor

CELLS = 8  # a worker and step
RATE = 4e-3
WARMUP = 100
NOISE = 0.05  # standard deviation on the latents, whose own is about 1
HELD_OUT = 10**9  # seeds from here on are never trained on


def make_vae() -> AutoencoderKL:
    """The autoencoder with fresh weights; its posterior has one fixed, small variance."""
    vae = AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=64,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = 2 * math.log(NOISE)
    return vae


def batch(seed: int) -> Tensor:
    """Pictures: for even seeds single cells, for odd ones sheets, so that both look the same."""
    g = torch.Generator().manual_seed(seed)
    shape = SHAPES[int(torch.randint(len(SHAPES), (), generator=g))] if seed % 2 else (1, 1)
    return random_sheets(max(1, CELLS // (shape[0] * shape[1])), shape, g).images


def loss_of(vae: AutoencoderKL, seed: int, *, rough: bool) -> Tensor:
    """Half of mean absolute and squared error, with noise on latents that a weak penalty keeps small."""
    images = batch(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=rough):
        mean = vae.encode(images).latent_dist.mean
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
        error = vae.decode(mean + NOISE * noise).sample - images
        return (error.abs().mean() + error.square().mean() + 1e-3 * mean.square().mean()) / 2


def psnr(vae: AutoencoderKL, images: Tensor) -> float:
    """Peak signal to noise ratio of the reconstruction in dB, for pictures in 0..1."""
    with torch.no_grad():
        decoded = vae.decode(vae.encode(images).latent_dist.mean).sample.clamp(-1, 1)
    return -10 * math.log10(float((decoded - images).square().mean()) / 4)


def learning_rate(step: int, steps: int, peak: float = RATE) -> float:
    """A short rise, then a straight line to zero."""
    return peak * min((step + 1) / WARMUP, max(0.0, 1 - step / steps))


@torch.no_grad()
def normalise(vae: AutoencoderKL) -> None:
    """Gives each latent channel mean 0 and Stable Diffusion's deviation, by changing the 1x1 convolutions.

    The decoder undoes it exactly. Latents must then be multiplied by the usual scaling factor, 0.18215.
    """
    means = [vae.encode(batch(HELD_OUT + i)).latent_dist.mean for i in range(64)]
    latents = torch.cat([mean.flatten(2).mT.flatten(0, 1) for mean in means])
    mean, scale = latents.mean(0), latents.std(0) * vae.config.scaling_factor
    into, back = vae.quant_conv, vae.post_quant_conv
    into.weight[:4] /= scale[:, None, None, None]
    into.bias[:4] = (into.bias[:4] - mean) / scale
    into.bias[4:] -= 2 * scale.log()
    back.bias += back.weight[:, :, 0, 0] @ mean
    back.weight *= scale[None, :, None, None]


def train(out: Path, steps: int) -> None:
    """Trains until `steps`, or goes on from the folder's checkpoint."""
    torch.manual_seed(0)
    vae = make_vae()
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Run(out, vae, optimizer, decay=0.995)
    held_out = random_sheets(64, (1, 1), torch.Generator().manual_seed(HELD_OUT)).images
    while run.step < steps:
        set_rate(optimizer, learning_rate(run.step, steps))
        # bfloat16 is a third faster; only the last steps need more.
        rough = run.step < 0.8 * steps
        seeds = (2 * run.step, 2 * run.step + 1)
        loss = set_gradients(parameters, [partial(loss_of, vae, seed, rough=rough) for seed in seeds])
        # The variance of the posterior is a constant, not something to learn.
        vae.quant_conv.weight.grad[4:] = 0
        vae.quant_conv.bias.grad[4:] = 0
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        run.step += 1
        run.update_average()
        if run.step % 100 == 0:
            run.log(loss=loss, psnr=psnr(vae, held_out))
        if run.step % 500 == 0 or run.step == steps:
            run.save()
    load_average(out / "checkpoint.safetensors", vae)
    normalise(vae)
    run.log(psnr_of_average=psnr(vae, held_out))
    vae.save_pretrained(out / "vae")


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("/tmp/faces/vae"))
    parser.add_argument("--steps", type=int, default=6500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train(arguments.out, arguments.steps)


if __name__ == "__main__":
    main()
