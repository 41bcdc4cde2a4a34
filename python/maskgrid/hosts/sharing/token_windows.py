"""A transformer that is shown whole canvases and works on the tokens of windows alone.

Where the canvas becomes tokens those of each row's window are picked, so that each has the embedding of its
place; where tokens become a canvas again they are put back to it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskgrid.hosts.sharing.base_layers import Tape
    from maskgrid.hosts.sharing.network_kinds import NetworkKind

__all__ = ["TokenWindows"]


class TokenWindows:
    """The layers at which a transformer's tokens become fewer, changed while a context lasts.

    Args:
        network: The transformer.
        kind: Which layers.
        tape: Says which windows go through, and how many tokens the canvas has.
    """

    def __init__(self, network: nn.Module, kind: NetworkKind, tape: Tape) -> None:
        self._tape = tape
        changes = {kind.entry: self._pick, kind.exit: self._put_back, kind.positions: self._pick_positions}
        self._changed = [
            (network.get_submodule(name), change) for name, change in changes.items() if name is not None
        ]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The layers as they have to be; put back whatever happens."""
        handles = [layer.register_forward_hook(change) for layer, change in self._changed]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _indices(self, device: torch.device) -> Tensor:
        """(n, tokens) of each row's window; one window's tokens are a row."""
        assert self._tape.windows is not None, "asked while windows go through"
        return self._tape.windows.on_tokens(self._tape.tokens).token_indices(device)

    def _pick(self, layer: nn.Module, given: Any, tokens: Tensor) -> Tensor | None:
        """The tokens of windows, of those of canvases (n, tokens, C)."""
        if self._tape.windows is None:
            return None
        indices = self._indices(tokens.device)[..., None].expand(-1, -1, tokens.shape[2])
        return tokens.gather(1, indices)

    def _put_back(self, layer: nn.Module, given: Any, tokens: Tensor) -> Tensor | None:
        """Canvases with the tokens of windows, zero elsewhere."""
        if self._tape.windows is None:
            return None
        indices = self._indices(tokens.device)[..., None].expand(-1, -1, tokens.shape[2])
        return tokens.new_zeros(len(tokens), self._tape.tokens, tokens.shape[2]).scatter_(1, indices, tokens)

    def _pick_positions(self, layer: nn.Module, given: Any, found: Any) -> Any:
        """The rotary embeddings of the window that all rows have."""
        if self._tape.windows is None:
            return None
        indices = self._indices(torch.device("cpu"))[0]
        return _pick_rows(found, self._tape.tokens, indices)


def _pick_rows(value: Any, count: int, indices: Tensor) -> Any:
    """Rows of a table with one for each token of the canvas, with or without those of texts before them."""
    if isinstance(value, tuple):
        return tuple(_pick_rows(each, count, indices) for each in value)
    if not isinstance(value, Tensor) or len(value) < count:
        return value
    texts = len(value) - count
    return torch.cat([value[:texts], value[texts:][indices.to(value.device)]])
