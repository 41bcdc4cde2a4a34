"""The networks that can be shared, and where in each of them the canvas becomes tokens and is one again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maskgrid.errors import InvalidTypeError

__all__ = ["NetworkKind", "kind_of"]


@dataclass(frozen=True, kw_only=True)
class NetworkKind:
    """How one kind of network goes about its canvas.

    Attributes:
        align: What windows begin and end on multiples of, in latents; packed latents count as latents.
        entry: The layer that gives the canvas's tokens; None where the network works on maps.
        exit: The layer that gives each token's answer.
        positions: The layer that gives tokens their rotary embeddings, a row each; None without.
        text_first: Whether in joint attention the text's tokens come before the canvas's.
    """

    align: int
    entry: str | None = None
    exit: str | None = None
    positions: str | None = None
    text_first: bool = False

    @property
    def one_place_at_a_time(self) -> bool:
        """Whether all rows of a call have the same positions, so that windows can't share one."""
        return self.positions is not None


def kind_of(network: Any) -> NetworkKind:
    """The kind of a network, by its class.

    Raises:
        InvalidTypeError: One that is not known.
    """
    name = type(network).__name__
    if name in ("UNet2DConditionModel", "AutoencoderKL"):
        return NetworkKind(align=2 ** (len(network.config.block_out_channels) - 1))
    if name in ("PixArtTransformer2DModel", "SD3Transformer2DModel", "AuraFlowTransformer2DModel"):
        first = name == "AuraFlowTransformer2DModel"
        return NetworkKind(
            align=network.config.patch_size, entry="pos_embed", exit="proj_out", text_first=first
        )
    packed = {
        "FluxTransformer2DModel": (2, "x_embedder"),
        "ChromaTransformer2DModel": (2, "x_embedder"),
        "OvisImageTransformer2DModel": (2, "x_embedder"),
        "Flux2Transformer2DModel": (1, "x_embedder"),
        "QwenImageTransformer2DModel": (2, "img_in"),
    }
    if name in packed:
        align, entry = packed[name]
        return NetworkKind(align=align, entry=entry, exit="proj_out", positions="pos_embed", text_first=True)
    raise InvalidTypeError(
        f"a {name} can't be shared between forks; allowed: sharing=None, or a network of {', '.join(KNOWN)}"
    )


KNOWN = (
    "UNet2DConditionModel",
    "PixArtTransformer2DModel",
    "SD3Transformer2DModel",
    "AuraFlowTransformer2DModel",
    "FluxTransformer2DModel",
    "ChromaTransformer2DModel",
    "OvisImageTransformer2DModel",
    "Flux2Transformer2DModel",
    "QwenImageTransformer2DModel",
)
"""The classes of networks that can be shared."""
