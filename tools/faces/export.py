"""Writes the bundled model: a StableDiffusionPipeline folder in half precision.

cd tools && python -m faces.export --vae /tmp/faces/vae/vae --unet /tmp/faces/unet
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from faces.checkpoints import load_average
from faces.measure import MODEL
from faces.text import load_tokenizer, write_tokenizer
from faces.train_unet import Denoiser, make_scheduler

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


def export(vae: Path, unet: Path, out: Path) -> None:
    """Puts the parts together; what `out` held of an earlier export is replaced, its README is kept."""
    denoiser = load_average(unet / "checkpoint.safetensors", Denoiser(unet / "tokenizer"))
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(vae).half(),
        # Loaded without a dtype, transformers keeps the file's and diffusers makes it float32:
        # in half precision the text model would not fit the denoiser.
        text_encoder=denoiser.text_encoder,
        tokenizer=load_tokenizer(unet / "tokenizer"),
        unet=denoiser.unet.half(),
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
    pipe.save_pretrained(out, safe_serialization=True)
    # These are read by every version of transformers, what it wrote only by the newest.
    shutil.rmtree(out / "tokenizer")
    write_tokenizer(out / "tokenizer")
    name_as_ever(out / "text_encoder" / "model.safetensors")
    files = [path for path in out.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    size = sum(path.stat().st_size for path in files)
    print(f"{out}: {size / 1e6:.2f} MB")


def name_as_ever(weights: Path) -> None:
    """Gives a text model's weights the names that they have in all of Stable Diffusion's folders."""
    tensors = {
        f"text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights, {"format": "pt"})


def main() -> None:
    """Reads the command line and exports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vae", type=Path, default=Path("/tmp/faces/vae/vae"))
    parser.add_argument("--unet", type=Path, default=Path("/tmp/faces/unet"))
    parser.add_argument("--out", type=Path, default=MODEL)
    arguments = parser.parse_args()
    export(arguments.vae, arguments.unet, arguments.out)


if __name__ == "__main__":
    main()
