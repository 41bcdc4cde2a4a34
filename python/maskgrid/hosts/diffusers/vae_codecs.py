"""How each family's VAE turns pixels into latents that its network knows, and back: scale, shift, moments.

Pixels are (B, 3, H, W) in [-1, 1], latents (B, C, h, w).
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Codec", "DeepCompressionCodec", "KLCodec", "PatchNormCodec", "VideoCodec"]


class Codec(Protocol):
    """Pixels to latents and back, as one kind of VAE does it."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of pixels; the mean where the VAE gives a distribution."""

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels of latents, by the codec of one kind of VAE."""


class KLCodec:
    """AutoencoderKL and AutoencoderTiny (TAESD): (z - shift_factor) * scaling_factor.

    Some of SDXL's have moments by channel besides. TAESD gives latents where the others give a distribution.
    """

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        config = vae.config
        self._scale: float = config.scaling_factor
        self._shift: float = getattr(config, "shift_factor", None) or 0.0
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        self._moments = (mean, deviation) if mean is not None and deviation is not None else None

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels to latents, as KLCodec does it; see `Codec`."""
        encoded = self._vae.encode(pixels)
        latents: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        if self._moments:
            mean, deviation = (_channelwise(m, latents) for m in self._moments)
            return (latents - mean) * self._scale / deviation
        return (latents - self._shift) * self._scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels, as KLCodec does it; see `Codec`."""
        if self._moments:
            mean, deviation = (_channelwise(m, latents) for m in self._moments)
            latents = latents * deviation / self._scale + mean
        else:
            latents = latents / self._scale + self._shift
        return self._vae.decode(latents, return_dict=False)[0]  # type: ignore[no-any-return]


class DeepCompressionCodec:
    """AutoencoderDC (Sana): deterministic, z * scaling_factor."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self._scale: float = vae.config.scaling_factor

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels to latents, as DeepCompressionCodec does it; see `Codec`."""
        return self._vae.encode(pixels, return_dict=False)[0] * self._scale  # type: ignore[no-any-return]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels, as DeepCompressionCodec does it; see `Codec`."""
        return self._vae.decode(latents / self._scale, return_dict=False)[0]  # type: ignore[no-any-return]


class VideoCodec:
    """A video VAE used for one frame (Qwen-Image): (z - latents_mean) / latents_std, by channel."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels to latents, as VideoCodec does it; see `Codec`."""
        latents: Tensor = self._vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
        config = self._vae.config
        return (latents - _channelwise(config.latents_mean, latents)) / _channelwise(
            config.latents_std, latents
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels, as VideoCodec does it; see `Codec`."""
        config = self._vae.config
        latents = latents * _channelwise(config.latents_std, latents) + _channelwise(
            config.latents_mean, latents
        )
        return self._vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]  # type: ignore[no-any-return]


class PatchNormCodec:
    """Flux.2: 2 x 2 latent cells become channels, which the VAE's batch norm normalises."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels to latents, as PatchNormCodec does it; see `Codec`."""
        latents = torch.nn.functional.pixel_unshuffle(self._vae.encode(pixels).latent_dist.mode(), 2)
        mean, deviation = self._moments(latents)
        return (latents - mean) / deviation

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels, as PatchNormCodec does it; see `Codec`."""
        mean, deviation = self._moments(latents)
        latents = torch.nn.functional.pixel_shuffle(latents * deviation + mean, 2)
        return self._vae.decode(latents, return_dict=False)[0]  # type: ignore[no-any-return]

    def _moments(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        norm = self._vae.bn
        deviation = torch.sqrt(norm.running_var + self._vae.config.batch_norm_eps)
        return tuple(m.view(1, -1, 1, 1).to(latents) for m in (norm.running_mean, deviation))  # type: ignore[return-value]


def _channelwise(values: Any, latents: Tensor) -> Tensor:
    return torch.as_tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1)
