"""The networks that can be shared, and where in each of them the canvas becomes tokens and is one again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

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
    make = _KINDS.get(type(network).__name__)
    if make is None:
        raise InvalidTypeError(
            f"a {type(network).__name__} can't be shared between forks; allowed: sharing=None, or a network "
            f"of {', '.join(_KINDS)}"
        )
    return make(network.config)


def _maps(config: Any) -> NetworkKind:
    """Convolutions, each level but the last at half the size of the one before."""
    return NetworkKind(align=2 ** (len(config.block_out_channels) - 1))


def _patches(config: Any, *, text_first: bool = False) -> NetworkKind:
    """Tokens of patches, with absolute embeddings."""
    return NetworkKind(align=config.patch_size, entry="pos_embed", exit="proj_out", text_first=text_first)


def _packed(side: int, entry: str = "x_embedder") -> Callable[[Any], NetworkKind]:
    """Latents that come as tokens of `side` x `side`, with rotary embeddings."""
    kind = NetworkKind(align=side, entry=entry, exit="proj_out", positions="pos_embed", text_first=True)
    return lambda config: kind


_KINDS: dict[str, Callable[[Any], NetworkKind]] = {
    "UNet2DConditionModel": _maps,
    "PixArtTransformer2DModel": _patches,
    "SD3Transformer2DModel": _patches,
    "AuraFlowTransformer2DModel": partial(_patches, text_first=True),
    "FluxTransformer2DModel": _packed(2),
    "ChromaTransformer2DModel": _packed(2),
    "OvisImageTransformer2DModel": _packed(2),
    "Flux2Transformer2DModel": _packed(1),
    "QwenImageTransformer2DModel": _packed(2, "img_in"),
}
"""The classes of networks that can be shared."""
