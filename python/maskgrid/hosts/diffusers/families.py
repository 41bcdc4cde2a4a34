"""The families of pipelines that can be hosted, and which of them a pipeline belongs to.

A family is told by how a class's name begins, or that of a pipeline which it extends. `docs/diffusers.md`
lists every class of diffusers that this takes, which a test compares.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.diffusers.pipeline_family import PipelineFamily
from maskgrid.hosts.diffusers.token_packing import fold_tokens, pack_blocks, pack_cells, unpack_blocks
from maskgrid.hosts.diffusers.vae_codecs import DeepCompressionCodec, KLCodec, PatchNormCodec, VideoCodec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["accepted_arguments", "explain_refusal", "family_of", "network_of", "supported_families"]


def family_of(pipe: Any) -> PipelineFamily:
    """The family of a pipeline, with what its own VAE and network say.

    Raises:
        InvalidTypeError: It belongs to none, or a part or an argument is missing, or its network reads
            something else than latents; the message names what.
    """
    kind = type(pipe)
    missing = [part for part in ("scheduler", "vae") if getattr(pipe, part, None) is None]
    if missing:
        raise InvalidTypeError(
            f"{kind.__name__} has no {' and no '.join(missing)}; allowed: a pipeline with both"
        )
    network = network_of(pipe)
    refusal = explain_refusal(kind)
    if refusal is not None:
        raise InvalidTypeError(refusal)
    make = _maker_of(kind)
    assert make is not None, "a class without one was refused"
    try:
        family = make(pipe)
    except AttributeError as error:
        raise InvalidTypeError(
            f"{kind.__name__} with a {type(pipe.vae).__name__} and a {type(network).__name__} is not what "
            f"its family is known to have ({error}); allowed: the VAE and network that the pipeline was "
            "made for, or AutoencoderTiny in place of an AutoencoderKL"
        ) from error
    _check_channels(kind.__name__, network, family)
    return family


def explain_refusal(kind: type) -> str | None:
    """Why pipelines of a class can't be hosted, in a sentence; None if they can."""
    accepted, takes_any = accepted_arguments(kind)
    missing = [argument for argument in _NEEDED if argument not in accepted and not takes_any]
    if missing:
        return (
            f"{kind.__name__} takes no {' and no '.join(missing)}; "
            "allowed: a text-to-image pipeline, which takes them"
        )
    surplus = [argument for argument in _OTHER_JOBS if argument in accepted]
    if not surplus and _maker_of(kind) is not None:
        return None
    reason = f" (it takes {' and '.join(surplus)}: not a text-to-image pipeline)" if surplus else ""
    return (
        f"{kind.__name__} is of no family that is known{reason}; "
        f"allowed: text-to-image pipelines of {', '.join(supported_families())}"
    )


def network_of(pipe: Any) -> Any:
    """A pipeline's denoising network, its UNet or transformer.

    Raises:
        InvalidTypeError: It has none.
    """
    for name in ("transformer", "unet"):
        if getattr(pipe, name, None) is not None:
            return getattr(pipe, name)
    raise InvalidTypeError(
        f"{type(pipe).__name__} has neither a transformer nor a unet; allowed: one of them"
    )


def accepted_arguments(kind: type) -> tuple[set[str], bool]:
    """The names of a pipeline class's arguments, and whether it has a use for any other.

    Pipelines of diffusers take **kwargs for what they deprecated and say nothing to anything else.
    """
    _, *parameters = inspect.signature(kind.__call__).parameters.values()
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = {each.name for each in parameters if each.kind not in starred}
    has_others = any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters)
    return names, has_others and not kind.__module__.startswith("diffusers.")


def supported_families() -> list[str]:
    """How the names of supported pipelines begin."""
    return [name for names, _ in _FAMILIES for name in names]


def _maker_of(kind: type) -> Callable[[Any], PipelineFamily] | None:
    """What makes a pipeline's family, by its class's name or that of a class which it extends."""
    from diffusers import DiffusionPipeline

    for each in kind.__mro__:
        # Mixins are named after a family too, and pipelines of any other family have them.
        if not issubclass(each, DiffusionPipeline):
            continue
        for names, make in _FAMILIES:
            if each.__name__.startswith(names):
                if any(word in each.__name__ for word in _OTHER_NAMES):
                    break
                return make
    return None


def _check_channels(name: str, network: Any, family: PipelineFamily) -> None:
    """Whether the network reads the latents that the VAE makes, and nothing beside them."""
    reads, wanted = getattr(network.config, "in_channels", None), family.network_channels
    if reads is None or wanted is None or reads == wanted:
        return
    reason = "they don't fit"
    if reads > wanted:
        reason = "it was trained for inpainting or editing, which is not supported yet"
    raise InvalidTypeError(
        f"{name} has a network that reads {reads} channels and a VAE with latents of {wanted}: {reason}; "
        "allowed: a network that was trained for text to image, with the VAE of its model"
    )


def _spatial(pipe: Any, **options: Any) -> PipelineFamily:
    """Latents that go through the loop as they are."""
    vae = pipe.vae
    return PipelineFamily(
        name=type(pipe).__name__,
        codec=KLCodec(vae),
        stride=_kl_stride(vae),
        channels=vae.config.latent_channels,
        network_channels=vae.config.latent_channels,
        **options,
    )


def _patched(pipe: Any, **options: Any) -> PipelineFamily:
    """Spatial latents of which the transformer itself makes tokens."""
    patch = pipe.transformer.config.patch_size
    align = math.lcm(patch, _cells(8, _kl_stride(pipe.vae)))
    return _spatial(pipe, align=align, count_tokens=lambda h, w: (h // patch) * (w // patch), **options)


def _lumina2(pipe: Any) -> PipelineFamily:
    """It takes the latents' channels for their tokens, and 8 pixels for a latent cell whatever the VAE."""
    channels: int = pipe.vae.config.latent_channels
    align = math.lcm(pipe.transformer.config.patch_size, _cells(16, _kl_stride(pipe.vae)))
    return _spatial(pipe, align=align, count_tokens=lambda h, w: channels)


def _sana(pipe: Any) -> PipelineFamily:
    vae = pipe.vae
    stride = 2 ** (len(vae.config.encoder_block_out_channels) - 1)
    return PipelineFamily(
        name="Sana",
        codec=DeepCompressionCodec(vae),
        stride=stride,
        channels=vae.config.latent_channels,
        network_channels=vae.config.latent_channels,
        align=_cells(32, stride),
    )


def _packed(pipe: Any) -> PipelineFamily:
    """Flux.1, Chroma and Ovis-Image: 2 x 2 latent cells are one token."""
    vae = pipe.vae
    # Beside the latents those read the latents of a picture to go by.
    has_picture = "FluxControlPipeline" in (kind.__name__ for kind in type(pipe).__mro__)
    return PipelineFamily(
        name=type(pipe).__name__,
        codec=KLCodec(vae),
        stride=_kl_stride(vae),
        channels=vae.config.latent_channels,
        network_channels=None if has_picture else 4 * vae.config.latent_channels,
        align=2,
        pack=pack_blocks,
        unpack=unpack_blocks,
    )


def _qwen(pipe: Any, **options: Any) -> PipelineFamily:
    """Qwen-Image and Krea 2: a video VAE, and 2 x 2 latent cells are one token."""
    vae = pipe.vae
    return PipelineFamily(
        name=type(pipe).__name__,
        codec=VideoCodec(vae),
        stride=2 ** len(vae.temperal_downsample),
        channels=vae.config.z_dim,
        network_channels=4 * vae.config.z_dim,
        align=2,
        pack=pack_blocks,
        unpack=unpack_blocks,
        **options,
    )


def _krea2(pipe: Any) -> PipelineFamily:
    """Its distilled model has one shift for all sizes, which is written into the pipeline."""
    return _qwen(pipe, fixed_mu=1.15 if pipe.config.is_distilled else None)


def _flux2(pipe: Any) -> PipelineFamily:
    vae = pipe.vae
    return PipelineFamily(
        name="Flux2",
        codec=PatchNormCodec(vae),
        stride=2 * _kl_stride(vae),
        channels=4 * vae.config.latent_channels,
        network_channels=4 * vae.config.latent_channels,
        pack=pack_cells,
        unpack=fold_tokens,
        pack_argument=lambda x: x,
        count_tokens=lambda h, w: h * w,
    )


# What the host tells a pipeline.
_NEEDED = ("latents", "height", "width", "num_inference_steps", "output_type", "return_dict")
# Arguments, and parts of names, of pipelines that share a family's name and have another loop.
_OTHER_JOBS = ("strength", "mask_image", "control_mask", "max_area")
_OTHER_NAMES = (
    "AttendAndExcite",
    "Edit",
    "GLIGEN",
    "ImageVariation",
    "Inpaint",
    "KV",
    "LDM3D",
    "Layered",
    "Omni",
    "Panorama",
    "Paradigms",
    "Pix2Pix",
    "QwenImage21",
    "SAG",
    "Sprint",
    "UnCLIP",
    "Upscale",
    "Video",
    "WM",
)

_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[Any], PipelineFamily]], ...] = (
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


def _cells(pixels: int, stride: int) -> int:
    """Latent cells whose sides in pixels divide by `pixels`, which pipelines insist on whatever the VAE."""
    return pixels // math.gcd(pixels, stride)


def _kl_stride(vae: Any) -> int:
    return int(2 ** (len(vae.config.block_out_channels) - 1))
