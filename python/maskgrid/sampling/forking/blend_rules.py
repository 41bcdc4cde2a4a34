"""The blends: what a grey pixel of a noise mask means at a step."""

from collections.abc import Mapping
from typing import Literal, Protocol

from torch import Tensor

__all__ = ["BLENDS", "BlendName"]

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
