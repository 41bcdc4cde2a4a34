"""A model's stride and what its latents' sides are multiples of, from its folder: no weights, no torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from maskgrid.bundled_model import BUNDLED, bundled_folder
from maskgrid.errors import MaskGridError, in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ModelScale", "read_scale"]

_STRIDES: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "AutoencoderKL": lambda config: _halved(config["block_out_channels"]),
    # The network takes 2 x 2 of its latent cells for one.
    "AutoencoderKLFlux2": lambda config: 2 * _halved(config["block_out_channels"]),
    "AutoencoderKLQwenImage": lambda config: int(2 ** len(config["temperal_downsample"])),
    "AutoencoderTiny": lambda config: _halved(config["encoder_block_out_channels"]),
    "AutoencoderDC": lambda config: _halved(config["encoder_block_out_channels"]),
}
"""Pixels per latent cell by the VAE's class, as `hosts.diffusers.families` has them of loaded VAEs."""


_MULTIPLES: tuple[tuple[tuple[str, ...], Callable[[int, int], int]], ...] = (
    (("StableDiffusion3", "PixArt", "HunyuanDiT", "AuraFlow"), lambda s, p: math.lcm(p, _cells(8, s))),
    (("StableDiffusion", "Kolors"), lambda s, p: _cells(8, s)),
    (("Lumina2",), lambda s, p: math.lcm(p, _cells(16, s))),
    (("Flux2",), lambda s, p: 1),
    (("Flux", "Chroma", "OvisImage", "QwenImage", "Krea2", "ZImage"), lambda s, p: 2),
    (("Sana",), lambda s, p: _cells(32, s)),
)
"""What latents' sides are multiples of, by the pipeline's class, its stride and its network's patches."""


class ModelScale(NamedTuple):
    """How a model divides a sheet: its stride and multiples.

    Attributes:
        stride: Pixels per latent cell.
        align: What the sides of the latents have to be multiples of.
        side: Pixels a side of the pictures that the model was made for; 1024 where it does not say.
    """

    stride: int
    align: int
    side: int = 1024


def read_scale(model: str) -> ModelScale:
    """How a model divides a sheet, without loading it.

    Args:
        model: "bundled", or a model's folder.

    Raises:
        MaskGridError: No such folder on this machine, or a model whose stride is not known.
    """
    folder = bundled_folder() if model == BUNDLED else Path(model).expanduser()
    file = folder / "vae" / "config.json"
    if not file.is_file():
        raise MaskGridError(
            f"model {model!r} is no model's folder on this machine ({file} is not there), so its stride is "
            "not known before it is loaded; allowed: a folder, or --stride with its pixels per latent cell"
        )
    try:
        config = json.loads(file.read_text("utf-8"))
        stride = _STRIDES[config["_class_name"]](config)
        align, side = _read_align(folder, stride), _read_side(folder, stride)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MaskGridError(
            f"the stride of model {model!r} can't be read from {file} ({type(error).__name__}: "
            f"{in_one_line(error)}); allowed: --stride with its pixels per latent cell"
        ) from error
    return ModelScale(stride, align, side)


def _read_align(folder: Path, stride: int) -> int:
    name: str = json.loads((folder / "model_index.json").read_text("utf-8"))["_class_name"]
    network = folder / "transformer" / "config.json"
    patch = 1
    if network.is_file():
        patch = json.loads(network.read_text("utf-8")).get("patch_size") or 1
    return next((find(stride, patch) for names, find in _MULTIPLES if name.startswith(names)), 1)


def _read_side(folder: Path, stride: int) -> int:
    """Pixels a side of what a model draws, as `DiffusersHost.side` has it of a loaded pipeline."""
    for name in ("unet", "transformer"):
        network = folder / name / "config.json"
        if network.is_file():
            size = json.loads(network.read_text("utf-8")).get("sample_size")
            size = max(size) if isinstance(size, list) else size
            return int(size * stride) if size else 1024
    return 1024


def _cells(pixels: int, stride: int) -> int:
    """Latent cells whose sides in pixels divide by `pixels`."""
    return pixels // math.gcd(pixels, stride)


def _halved(channels: Any) -> int:
    """The stride of an encoder that halves the sides after each of its blocks but the last."""
    return int(2 ** (len(channels) - 1))
