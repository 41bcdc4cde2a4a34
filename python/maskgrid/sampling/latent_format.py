"""The latent format: what a VAE's latents go through on their way into a model and out of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError

__all__ = ["LatentFormat"]


@dataclass(frozen=True, eq=False)
class LatentFormat:
    """What a VAE's latents go through on their way into a model: (latents - shift_factor) * scaling_factor.

    Attributes:
        scaling_factor: Not 0; a number or (C, 1, 1).
        shift_factor: A number or (C, 1, 1).

    Raises:
        InvalidValueError: Numbers that are not finite, or a scaling factor of 0.
    """

    scaling_factor: float | Tensor = 1.0
    shift_factor: float | Tensor = 0.0

    def __post_init__(self) -> None:
        for name in ("scaling_factor", "shift_factor"):
            value = torch.as_tensor(getattr(self, name))
            if not bool(value.isfinite().all()) or (name == "scaling_factor" and bool((value == 0).any())):
                raise InvalidValueError(
                    f"{name} is {value.tolist()}; allowed: finite numbers, a scaling_factor that is not 0"
                )

    def encode(self, latents: Tensor) -> Tensor:
        """The model's latents of the VAE's; all zeros, an empty latent, stays as it is, as in ComfyUI."""
        if not bool(latents.any()):
            return latents
        return (latents - self._like(self.shift_factor, latents)) * self._like(self.scaling_factor, latents)

    def decode(self, latents: Tensor) -> Tensor:
        """The VAE's latents of the model's."""
        return latents / self._like(self.scaling_factor, latents) + self._like(self.shift_factor, latents)

    @staticmethod
    def _like(factor: float | Tensor, latents: Tensor) -> float | Tensor:
        return factor.to(latents.device, latents.dtype) if isinstance(factor, Tensor) else factor
