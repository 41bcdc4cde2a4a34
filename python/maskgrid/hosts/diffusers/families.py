"""Layouts: what differs between families of pipelines, said once each.

The engine knows latents as (n, C, h, w). A layout says how they go through a family's loop, how many pixels a
latent cell has, and what the family's networks want besides.
"""

from __future__ import annotations

import inspect
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.diffusers.vae_codecs import (
    Codec,
    DeepCompressionCodec,
    KLCodec,
    PatchNormCodec,
    VideoCodec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Layout", "accepted_arguments", "layout_of", "network_of", "supported_families"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A family's way with latents.

    Attributes:
        family: Its name.
        codec: Pixels to latents and back.
        stride: Pixels per latent cell of the engine.
        channels: C of the engine's latents.
        align: What the sides of the latents have to be multiples of.
        pack: (n, C, h, w) as it goes through the loop.
        unpack: The inverse, for a sheet of (h, w).
        given: (n, C, h, w) as the argument `latents` takes it.
        dtype: Of the latents in the loop; None is the network's.
        seq_len: Tokens of a sheet of (h, w), by which dynamic shifting goes.
        max_shift: The largest shift, where the scheduler does not say.
        fixed_mu: The dynamic shift, where it is the same for every size.
        cfg: The pipeline's argument for the scale of classifier-free guidance.
    """

    family: str
    codec: Codec
    stride: int
    channels: int
    align: int = 1
    pack: Callable[[Tensor], Tensor] = lambda x: x
    unpack: Callable[[Tensor, tuple[int, int]], Tensor] = lambda x, size: x
    given: Callable[[Tensor], Tensor] | None = None
    dtype: torch.dtype | None = None
    seq_len: Callable[[int, int], int] = lambda h, w: (h // 2) * (w // 2)
    max_shift: float = 1.15
    fixed_mu: float | None = None
    cfg: str = "guidance_scale"

    def mu(self, pipe: Any, size: tuple[int, int], steps: int) -> float | None:
        """The dynamic shift of a sheet of (h, w), computed by the pipeline's own function; None without."""
        config = pipe.scheduler.config
        if not config.get("use_dynamic_shifting", False):
            return None
        if self.fixed_mu is not None:
            return self.fixed_mu
        tokens = self.seq_len(*size)
        empirical = _function_beside(pipe, "compute_empirical_mu")
        if empirical is not None:
            return float(empirical(image_seq_len=tokens, num_steps=steps))
        linear = _function_beside(pipe, "calculate_shift")
        if linear is not None:
            defaults = {
                "base_image_seq_len": 256,
                "max_image_seq_len": 4096,
                "base_shift": 0.5,
                "max_shift": self.max_shift,
            }
            return float(linear(tokens, *(config.get(key, value) for key, value in defaults.items())))
        raise InvalidTypeError(
            f"{type(pipe).__name__} shifts its noise dynamically in a way that is not known; "
            f"allowed: a module with calculate_shift or compute_empirical_mu"
        )


def layout_of(pipe: Any) -> Layout:
    """The layout of a pipeline.

    Raises:
        InvalidTypeError: No layout for its family, or a part or an argument that is missing; the message
            names it.
    """
    name = type(pipe).__name__
    missing = [part for part in ("scheduler", "vae") if getattr(pipe, part, None) is None]
    if missing:
        raise InvalidTypeError(f"{name} has no {' and no '.join(missing)}; allowed: a pipeline with both")
    network_of(pipe)
    accepted, takes_any = accepted_arguments(pipe)
    missing = [argument for argument in _NEEDED if argument not in accepted and not takes_any]
    if missing:
        raise InvalidTypeError(
            f"{name} takes no {' and no '.join(missing)}; allowed: a text-to-image pipeline, which takes them"
        )
    surplus = [argument for argument in _OTHER_JOBS if argument in accepted]
    for kind in type(pipe).__mro__:
        for names, make in _FAMILIES:
            if kind.__name__.startswith(names) and not surplus:
                if any(word in kind.__name__ for word in _OTHER_NAMES):
                    break
                return make(pipe)
    reason = f" (it takes {' and '.join(surplus)}: not a text-to-image pipeline)" if surplus else ""
    raise InvalidTypeError(
        f"{name} has no layout for its latents{reason}; "
        f"there are layouts for text-to-image pipelines of {', '.join(supported_families())}"
    )


def network_of(pipe: Any) -> Any:
    """A pipeline's denoising network.

    Raises:
        InvalidTypeError: It has none.
    """
    for name in ("transformer", "unet"):
        if getattr(pipe, name, None) is not None:
            return getattr(pipe, name)
    raise InvalidTypeError(
        f"{type(pipe).__name__} has neither a transformer nor a unet; allowed: one of them"
    )


def accepted_arguments(pipe: Any) -> tuple[set[str], bool]:
    """The names of a pipeline's arguments, and whether it has a use for any other.

    Pipelines of diffusers take **kwargs for what they deprecated and say nothing to anything else.
    """
    parameters = inspect.signature(pipe.__call__).parameters.values()
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = {each.name for each in parameters if each.kind not in starred}
    has_others = any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters)
    return names, has_others and not type(pipe).__module__.startswith("diffusers.")


def supported_families() -> list[str]:
    """How the names of supported pipelines begin."""
    return [name for names, _ in _FAMILIES for name in names]


def _spatial(pipe: Any, **options: Any) -> Layout:
    """Latents that go through the loop as they are."""
    vae = pipe.vae
    return Layout(
        family=type(pipe).__name__,
        codec=KLCodec(vae),
        stride=_kl_stride(vae),
        channels=vae.config.latent_channels,
        **options,
    )


def _patched(pipe: Any, **options: Any) -> Layout:
    """Spatial latents of which the transformer itself makes tokens."""
    patch = pipe.transformer.config.patch_size
    align = math.lcm(patch, _cells(8, _kl_stride(pipe.vae)))
    return _spatial(pipe, align=align, seq_len=lambda h, w: (h // patch) * (w // patch), **options)


def _lumina2(pipe: Any) -> Layout:
    """It takes the latents' channels for their tokens, and 8 pixels for a latent cell whatever the VAE."""
    channels: int = pipe.vae.config.latent_channels
    align = math.lcm(pipe.transformer.config.patch_size, _cells(16, _kl_stride(pipe.vae)))
    return _spatial(pipe, align=align, seq_len=lambda h, w: channels)


def _sana(pipe: Any) -> Layout:
    vae = pipe.vae
    stride = 2 ** (len(vae.config.encoder_block_out_channels) - 1)
    return Layout(
        family="Sana",
        codec=DeepCompressionCodec(vae),
        stride=stride,
        channels=vae.config.latent_channels,
        align=_cells(32, stride),
    )


def _packed(pipe: Any) -> Layout:
    """Flux.1, Chroma and Ovis-Image: 2 x 2 latent cells are one token."""
    vae = pipe.vae
    return Layout(
        family=type(pipe).__name__,
        codec=KLCodec(vae),
        stride=_kl_stride(vae),
        channels=vae.config.latent_channels,
        align=2,
        pack=_to_tokens,
        unpack=_from_tokens,
    )


def _qwen(pipe: Any, **options: Any) -> Layout:
    """Qwen-Image and Krea 2: a video VAE, and 2 x 2 latent cells are one token."""
    vae = pipe.vae
    return Layout(
        family=type(pipe).__name__,
        codec=VideoCodec(vae),
        stride=2 ** len(vae.temperal_downsample),
        channels=vae.config.z_dim,
        align=2,
        pack=_to_tokens,
        unpack=_from_tokens,
        **options,
    )


def _krea2(pipe: Any) -> Layout:
    """Its distilled model has one shift for all sizes, which is written into the pipeline."""
    return _qwen(pipe, fixed_mu=1.15 if pipe.config.is_distilled else None)


def _flux2(pipe: Any) -> Layout:
    vae = pipe.vae
    return Layout(
        family="Flux2",
        codec=PatchNormCodec(vae),
        stride=2 * _kl_stride(vae),
        channels=4 * vae.config.latent_channels,
        pack=lambda x: x.flatten(2).transpose(1, 2),
        unpack=lambda x, size: _grid_of(x, size),
        given=lambda x: x,
        seq_len=lambda h, w: h * w,
    )


# What the host tells a pipeline.
_NEEDED = ("latents", "height", "width", "num_inference_steps", "output_type", "return_dict")
# Arguments, and parts of names, of pipelines that share a family's name and have another loop.
_OTHER_JOBS = ("strength", "mask_image", "control_mask", "max_area")
_OTHER_NAMES = (
    "Edit",
    "ImageVariation",
    "Inpaint",
    "KV",
    "LDM3D",
    "Layered",
    "Omni",
    "Panorama",
    "Pix2Pix",
    "QwenImage21",
    "SAG",
    "Sprint",
    "UnCLIP",
    "Upscale",
    "Video",
    "WM",
)

_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[Any], Layout]], ...] = (
    (("StableDiffusion3",), lambda pipe: _patched(pipe, max_shift=1.16)),
    (("StableDiffusion", "Kolors"), lambda pipe: _spatial(pipe, align=_cells(8, _kl_stride(pipe.vae)))),
    (("PixArt", "HunyuanDiT", "AuraFlow"), lambda pipe: _patched(pipe)),
    (("Lumina2",), _lumina2),
    (("Flux2",), _flux2),
    (("Flux", "Chroma", "OvisImage"), _packed),
    (("QwenImage",), lambda pipe: _qwen(pipe, cfg="true_cfg_scale")),
    (("Krea2",), _krea2),
    (("ZImage",), lambda pipe: _spatial(pipe, align=2, dtype=torch.float32)),
    (("Sana",), _sana),
)


def _function_beside(pipe: Any, name: str) -> Callable[..., Any] | None:
    """A function of the module that a pipeline's class, or one that it extends, is written in."""
    modules = (sys.modules.get(kind.__module__) for kind in type(pipe).__mro__)
    found = (getattr(module, name, None) for module in modules)
    return next((function for function in found if function is not None), None)


def _cells(pixels: int, stride: int) -> int:
    """Latent cells whose sides in pixels divide by `pixels`, which pipelines insist on whatever the VAE."""
    return pixels // math.gcd(pixels, stride)


def _kl_stride(vae: Any) -> int:
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def _to_tokens(x: Tensor) -> Tensor:
    """(n, C, h, w) as (n, h/2 * w/2, 4 C): a token is a 2 x 2 block, channels first."""
    return torch.nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)


def _from_tokens(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `_to_tokens` for a sheet of (h, w)."""
    return torch.nn.functional.pixel_shuffle(_grid_of(x, (size[0] // 2, size[1] // 2)), 2)


def _grid_of(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, h * w, C) as (n, C, h, w)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size)
