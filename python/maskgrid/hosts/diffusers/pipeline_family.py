"""What the host has to know of a family of pipelines: its latents, its VAE, its dynamic shift."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from maskgrid.hosts.diffusers.vae_codecs import Codec

__all__ = ["PipelineFamily"]


@dataclass(frozen=True, kw_only=True)
class PipelineFamily:
    """A family's way with latents; the engine knows them as (n, C, h, w).

    Attributes:
        name: How it is called in messages.
        codec: Pixels to latents and back.
        stride: Pixels per latent cell of the engine.
        channels: C of the engine's latents.
        network_channels: Channels that the network reads, as its config counts them; None where the pipeline
            adds some of its own.
        align: What the sides of the latents have to be multiples of.
        pack: (n, C, h, w) as it goes through the pipeline's loop.
        unpack: The inverse, for a sheet of (h, w).
        pack_argument: (n, C, h, w) as the argument `latents` takes it; default `pack`.
        dtype: Of the latents in the loop; None is the network's.
        count_tokens: Tokens of a sheet of (h, w), by which dynamic shifting goes.
        max_shift: The largest shift, where the scheduler does not say.
        fixed_mu: The dynamic shift, where it is the same for every size.
        cfg: The pipeline's argument for the scale of classifier-free guidance.
    """

    name: str
    codec: Codec
    stride: int
    channels: int
    network_channels: int | None = None
    align: int = 1
    pack: Callable[[Tensor], Tensor] = lambda x: x
    unpack: Callable[[Tensor, tuple[int, int]], Tensor] = lambda x, size: x
    pack_argument: Callable[[Tensor], Tensor] | None = None
    dtype: torch.dtype | None = None
    count_tokens: Callable[[int, int], int] = lambda h, w: (h // 2) * (w // 2)
    max_shift: float = 1.15
    fixed_mu: float | None = None
    cfg: str = "guidance_scale"

    def latents_argument(self, latents: Tensor) -> Tensor:
        """(n, C, h, w) latents as the pipeline's argument `latents` takes them."""
        return (self.pack_argument or self.pack)(latents)

    def mu(self, pipe: Any, size: tuple[int, int], steps: int) -> float | None:
        """The dynamic shift of a sheet of (h, w), computed by the pipeline's own function; None without.

        Raises:
            InvalidTypeError: The pipeline shifts dynamically by a function that is not known.
        """
        config = pipe.scheduler.config
        if not config.get("use_dynamic_shifting", False):
            return None
        if self.fixed_mu is not None:
            return self.fixed_mu
        tokens = self.count_tokens(*size)
        empirical = _find_function_beside(pipe, "compute_empirical_mu")
        if empirical is not None:
            return float(empirical(image_seq_len=tokens, num_steps=steps))
        linear = _find_function_beside(pipe, "calculate_shift")
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


def _find_function_beside(pipe: Any, name: str) -> Callable[..., Any] | None:
    """A function of the module that a pipeline's class, or one that it extends, is written in."""
    modules = (sys.modules.get(kind.__module__) for kind in type(pipe).__mro__)
    found = (getattr(module, name, None) for module in modules)
    return next((function for function in found if function is not None), None)
