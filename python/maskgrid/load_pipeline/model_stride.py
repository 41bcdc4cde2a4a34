"""The stride of a model on this machine, read from its VAE's config alone: no weights, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.bundled_model import BUNDLED, bundled_folder
from maskgrid.errors import MaskGridError, in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["read_stride"]

_STRIDES: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "AutoencoderKL": lambda config: _halved(config["block_out_channels"]),
    # The network takes 2 x 2 of its latent cells for one.
    "AutoencoderKLFlux2": lambda config: 2 * _halved(config["block_out_channels"]),
    "AutoencoderKLQwenImage": lambda config: int(2 ** len(config["temperal_downsample"])),
    "AutoencoderTiny": lambda config: _halved(config["encoder_block_out_channels"]),
    "AutoencoderDC": lambda config: _halved(config["encoder_block_out_channels"]),
}
"""Pixels per latent cell by the VAE's class, as `hosts.diffusers.families` has them of loaded VAEs."""


def read_stride(model: str) -> int:
    """Pixels per latent cell of a model, without loading it.

    Args:
        model: "bundled", or a model's folder.

    Raises:
        MaskGridError: No such folder on this machine, or a VAE whose stride is not known.
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MaskGridError(
            f"the stride of model {model!r} can't be read from {file} ({type(error).__name__}: "
            f"{in_one_line(error)}); allowed: --stride with its pixels per latent cell"
        ) from error
    return stride


def _halved(channels: Any) -> int:
    """The stride of an encoder that halves the sides after each of its blocks but the last."""
    return int(2 ** (len(channels) - 1))
