"""Runs Stable Diffusion 1.5 or SDXL at their real size, with random weights, beside the pipeline alone.

The pictures are noise; time and memory are those of the trained models. Nothing is downloaded.

    python tools/real_size.py sd15
    python tools/real_size.py sdxl --dtype bfloat16
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from maskgrid import ForkPlan, Forks, Grid, MaskGrid
from maskgrid.sampling import Controls, prepare_forks

TOKENS = 77
Made = TypeVar("Made")


def make_vae(scaling: float) -> AutoencoderKL:
    """The autoencoder that both models have, stride 8."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=scaling,
    )


def make_scheduler() -> EulerDiscreteScheduler:
    """Stable Diffusion's noise levels."""
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )


def text_config(width: int, layers: int, heads: int) -> CLIPTextConfig:
    """A CLIP text model's."""
    return CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )


def sd15() -> tuple[DiffusionPipeline, int]:
    """Stable Diffusion 1.5 and its side in pixels."""
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    pipe = StableDiffusionPipeline(
        vae=make_vae(0.18215),
        text_encoder=CLIPTextModel(text_config(768, 12, 12)),
        tokenizer=None,
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipe, 512


def sdxl() -> tuple[DiffusionPipeline, int]:
    """SDXL's base model and its side in pixels."""
    unet = UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    pipe = StableDiffusionXLPipeline(
        vae=make_vae(0.13025),
        text_encoder=CLIPTextModel(text_config(768, 12, 12)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(1280, 32, 20)),
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        scheduler=make_scheduler(),
        add_watermarker=False,
    )
    return pipe, 1024


@torch.no_grad()
def embeddings(pipe: Any) -> dict[str, torch.Tensor]:
    """What the text models make of random tokens, for a prompt and a negative one."""
    told: dict[str, torch.Tensor] = {}
    for number, prefix in enumerate(("", "negative_")):
        tokens = torch.randint(1000, 40000, (1, TOKENS), generator=torch.Generator().manual_seed(number))
        tokens = tokens.to(pipe.device)
        if hasattr(pipe, "text_encoder_2"):
            first = pipe.text_encoder(tokens, output_hidden_states=True).hidden_states[-2]
            second = pipe.text_encoder_2(tokens, output_hidden_states=True)
            told[f"{prefix}prompt_embeds"] = torch.cat([first, second.hidden_states[-2]], dim=-1)
            told[f"{prefix}pooled_prompt_embeds"] = second.text_embeds
        else:
            told[f"{prefix}prompt_embeds"] = pipe.text_encoder(tokens)[0]
    return told


@dataclass(frozen=True)
class Clock:
    """Says how long things take, and what the process has needed so far.

    Attributes:
        device: "cpu" or "cuda".
    """

    device: str

    def time(self, name: str, work: Callable[[], Made]) -> Made:
        """Does some work, prints a line and hands on what was made."""
        start = time.perf_counter()
        made = work()
        if self.device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        line = f"  {name:36} {seconds:8.2f} s   peak so far {peak_gibibytes():.1f} GiB"
        if self.device == "cuda":
            line += f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the GPU"
        print(line, flush=True)
        return made


def peak_gibibytes() -> float:
    """The most memory that the process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def read_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=("sd15", "sdxl"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--micro-batch", type=int, help="the most forks in one call (default: all)")
    return parser.parse_args()


def build(options: argparse.Namespace) -> tuple[Any, int]:
    """The pipeline on its device, and its side in pixels; prints what it is."""
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, options.dtype))
    pipe, side = {"sd15": sd15, "sdxl": sdxl}[options.model]()
    torch.set_default_dtype(torch.float32)
    pipe.to(options.device)
    pipe.set_progress_bar_config(disable=True)
    networks = (value for value in pipe.components.values() if isinstance(value, torch.nn.Module))
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    print(
        f"{options.model}: {parameters / 1e6:.0f} M parameters, {options.dtype} on {options.device}; "
        f"{side} x {side} px, {options.rows} x {options.columns} cells, with guidance, steps: {options.steps}"
    )
    return pipe, side


class Job:
    """A sheet of noise with a box as the stencil, for a pipeline.

    Attributes:
        sheet: (side, side, 3) uint8.
        plan: Of the forks.
        batches: How many forks there are in each call of the pipeline.
    """

    def __init__(self, pipe: Any, side: int, options: argparse.Namespace) -> None:
        self.options = options
        self.maker = MaskGrid(pipe)
        self.host = self.maker.host
        self.told = {**embeddings(pipe), "guidance_scale": 5.0}
        self.sheet = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        grid = Grid(options.rows, options.columns, canvas=(side, side), stride=self.host.stride)
        self.stencil = np.zeros(tuple(grid.cell), np.uint8)
        top, left = grid.cell.height // 4, grid.cell.width // 4
        self.stencil[top:-top, left:-left] = 255
        self.plan = ForkPlan(grid, self.stencil)
        most = options.micro_batch or len(self.plan)
        self.batches = [min(most, len(self.plan) - first) for first in range(0, len(self.plan), most)]
        self.latents = self.encode()

    def encode(self) -> torch.Tensor:
        """The sheet's latents."""
        pixels = torch.from_numpy(self.sheet).permute(2, 0, 1)[None].float()
        return self.host.encode(pixels / 127.5 - 1)

    def decode(self) -> torch.Tensor:
        """A picture of the sheet's latents."""
        return self.host.decode(self.latents)

    def alone(self, counts: list[int]) -> None:
        """Run the pipeline without the host, for this many pictures in each call."""
        for count in counts:
            self.host.pipe(
                latents=self.latents.to(self.host.dtype).expand(count, -1, -1, -1),
                num_inference_steps=self.options.steps,
                num_images_per_prompt=count,
                output_type="latent",
                **self.told,
            )

    def sample(self, mode: str) -> None:
        """Sample latents of the forks."""
        steps, batch = self.options.steps, self.options.micro_batch
        controls = Controls(steps=steps, mode=mode)
        table = self.host.table(self.plan.grid.latent_size, steps)
        sampling = prepare_forks(self.latents, self.plan, controls, table=table, micro_batch=batch)
        self.host.run(sampling, steps, self.told)

    def forks(self) -> Forks:
        """The forks with their pictures, as a user makes them."""
        shape = {"rows": self.options.rows, "columns": self.options.columns}
        return self.maker(
            image=self.sheet,
            mask=self.stencil,
            **shape,
            steps=self.options.steps,
            micro_batch=self.options.micro_batch,
            **self.told,
        )

    def is_exact(self, forks: Forks) -> bool:
        """Whether nothing changed outside the stencil."""
        kept = np.tile(self.stencil == 0, (self.options.rows, self.options.columns))
        return all(np.array_equal(forks.array(n)[kept], self.sheet[kept]) for n in range(len(forks)))


def main() -> None:
    """Builds, runs and prints."""
    options = read_options()
    job = Job(*build(options), options)
    clock = Clock(torch.device(options.device).type)
    clock.time("the pipeline alone, one picture", lambda: job.alone([1]))
    clock.time("again", lambda: job.alone([1]))
    clock.time("Sample then Fork", lambda: job.sample("sample"))
    clock.time(f"the pipeline alone, {len(job.plan)} pictures", lambda: job.alone(job.batches))
    clock.time("Fork then Sample", lambda: job.sample("fork"))
    clock.time("encode a sheet", job.encode)
    clock.time("decode a fork", job.decode)
    forks = clock.time("MaskGrid(pipe)(...), with pictures", job.forks)
    print(f"  {forks!r}: outside the stencil {'exact' if job.is_exact(forks) else 'NOT exact'}")


if __name__ == "__main__":
    main()
