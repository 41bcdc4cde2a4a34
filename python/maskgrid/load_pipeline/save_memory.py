"""Run a model that is larger than its accelerator: networks offloaded to host memory, a VAE in tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OFFLOADS", "check_memory_options", "decode_in_tiles", "offload_networks"]


def _by_group(pipe: Any, device: Any) -> None:
    # A stream fetches the next layers while the last ones compute.
    pipe.enable_group_offload(device, offload_type="leaf_level", use_stream=device.type == "cuda")


_WAYS: dict[str, Callable[[Any, Any], None]] = {
    "model": lambda pipe, device: pipe.enable_model_cpu_offload(device=device),
    "sequential": lambda pipe, device: pipe.enable_sequential_cpu_offload(device=device),
    "group": _by_group,
}
OFFLOADS = tuple(_WAYS)
"""What is on the accelerator at a time: a network, a layer, or a layer while the next is fetched."""


def check_memory_options(offload: Any, vae_tiling: Any) -> None:
    """Refuse an unknown way before a model is loaded.

    Raises:
        InvalidValueError: An unknown way of offloading.
        InvalidTypeError: A vae_tiling that is no truth value.
    """
    if offload is not None and offload not in OFFLOADS:
        raise InvalidValueError(f"offload is {offload!r}; allowed: {', '.join(OFFLOADS)}, or None")
    if not isinstance(vae_tiling, bool):
        raise InvalidTypeError(f"vae_tiling is {vae_tiling!r}; allowed: True or False")


def offload_networks(pipe: Any, offload: str, device: Any) -> None:
    """Keep a pipeline's networks in host memory, and bring them to a device when they compute.

    Args:
        pipe: The pipeline, in host memory.
        offload: One of `OFFLOADS`.
        device: Where it computes.
    """
    _WAYS[offload](pipe, device)


def decode_in_tiles(pipe: Any, model: str) -> None:
    """Have a pipeline's VAE work tile by tile, which needs less memory and may leave faint seams.

    Args:
        pipe: The pipeline.
        model: Its name, for messages.

    Raises:
        MaskGridError: Its VAE can't.
    """
    vae: Any = getattr(pipe, "vae", None)
    if not hasattr(vae, "enable_tiling"):
        raise MaskGridError(
            f"model {model!r} has a {type(vae).__name__} as its VAE, which knows no tiles; allowed: a model "
            "without vae_tiling"
        )
    vae.enable_tiling()
