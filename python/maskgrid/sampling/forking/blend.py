"""The masked blend: how everything outside the stencil stays the sheet while the inside is sampled.

With m the noise mask, z the clean sheet and noised(z, sigma) the same at noise level sigma:

    before the network   x        <- m * x + (1 - m) * noised(z, sigma)
    after the network    denoised <- m * denoised + (1 - m) * z

The solver keeps its own x, which only ever meets the blended denoised. This is the only place with this
arithmetic; it runs on the forks' patches, since outside them m is 0.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.noise_levels.noise_table import NoiseTable

__all__ = ["BLENDS", "Blend", "BlendName"]

BlendName = Literal["lerp", "differential"]


class MaskRule(Protocol):
    """What a noise mask means at a step."""

    def __call__(self, mask: Tensor, share: float) -> Tensor:
        """The mask to blend with, where `share` in [0, 1) of the steps are done."""


def _lerp(mask: Tensor, share: float) -> Tensor:
    return mask


def _differential(mask: Tensor, share: float) -> Tensor:
    return (mask >= 1 - share).to(mask.dtype)


BLENDS: Mapping[str, MaskRule] = {
    # A grey pixel is partly sampled at every step; what the original does.
    "lerp": _lerp,
    # Differential Diffusion (Levin and Fried, arXiv 2306.00950): a pixel's threshold is 1 - m. It stays the
    # sheet until the share of the steps done reaches its threshold, and is sampled like a white one from
    # there.
    "differential": _differential,
}
"""Every blend by its name."""


class Blend:
    """The masked blend of some forks.

    Args:
        image_latents: (1, B, C, ..., h, w) the clean sheet, in the solver's dtype.
        noise: (N or 1, B, C, ..., h, w) what the surroundings are noised with.
        mask: (N, height, width) the noise masks inside the patches.
        patches: Where they lie on the sheet.
        table: The model's noise table.
        rule: A value of `BLENDS`.
        steps: Steps of the whole run.
        dtype: The network's dtype.
    """

    def __init__(
        self,
        image_latents: Tensor,
        noise: Tensor,
        mask: Tensor,
        *,
        patches: Patches,
        table: NoiseTable,
        rule: MaskRule,
        steps: int,
        dtype: torch.dtype,
    ) -> None:
        # The batch, the channels and the frames of a fork share its mask.
        self._mask = mask.reshape(len(mask), *(1,) * (image_latents.ndim - 3), *mask.shape[-2:])
        self._image_latents = image_latents
        self._image_patches = patches.cut(image_latents)
        self._noise = noise
        self._noise_patches = patches.cut(noise)
        self._patches = patches
        self._table = table
        self._rule = rule
        self._steps = steps
        self._dtype = dtype
        self._shape = (len(patches), *image_latents.shape[1:])

    def surroundings(self, sigma: Tensor) -> Tensor:
        """(N or 1, B, C, ..., h, w) the sheet noised to sigma."""
        return self._table.noised(self._image_latents, self._noise, sigma)

    def inside(self, x: Tensor, sigma: Tensor, step: int) -> Tensor:
        """(N, B, C, ..., *size): x blended with its surroundings, inside the patches."""
        around = self._table.noised(self._image_patches, self._noise_patches, sigma)
        return torch.lerp(around, x, self._mask_at(step))

    def before(self, x: Tensor, sigma: Tensor, step: int, *, out: Tensor | None = None) -> Tensor:
        """What the network is shown: whole sheets.

        Args:
            x: (N or 1, B, C, ..., *size) the solver's x, inside the patches.
            sigma: 0-d, its noise level.
            step: The step of the run.
            out: What an earlier call returned, to be written over; default new memory.

        Returns:
            (N, B, C, ..., h, w) in the network's dtype.
        """
        around, mask, same = self.surroundings(sigma), self._mask_at(step), self._dtype == x.dtype
        if self._patches.is_whole:
            return torch.lerp(around, x, mask, out=out if same else None).to(self._dtype)
        if out is None:
            out = torch.empty(self._shape, dtype=self._dtype, device=around.device)
        out.copy_(around)
        window = self._patches.window(out) if same else None
        if window is None:
            self._patches.paste(self.inside(x, sigma, step), out)
        else:
            inside = (each.reshape(*window.shape[:2], *each.shape[1:]) for each in (x, mask))
            torch.lerp(window, *inside, out=window)
        return out

    def after(self, denoised: Tensor, step: int) -> Tensor:
        """What the solver is sent.

        Args:
            denoised: (N or 1, B, C, ..., h, w) from the network, in its dtype; not kept.
            step: The step of the run.

        Returns:
            (N, B, C, ..., *size) in the solver's dtype, inside the patches.
        """
        inside = self._patches.cut(denoised).to(self._image_patches.dtype)
        return torch.lerp(self._image_patches, inside, self._mask_at(step))

    def preview(self, blended: Tensor) -> Tensor:
        """Whole sheets of what `after` returned: (N, B, C, ..., h, w)."""
        if self._patches.is_whole:
            return blended
        sheets = self._image_latents.expand(self._shape).clone(memory_format=torch.contiguous_format)
        self._patches.paste(blended, sheets)
        return sheets

    def _mask_at(self, step: int) -> Tensor:
        return self._rule(self._mask, step / self._steps)
