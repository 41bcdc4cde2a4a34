"""Self-attention of windows to all of the canvas: the base's keys and values, the window's own exchanged.

Calls of torch's `scaled_dot_product_attention` are looked at. While the base goes through, its keys and
values are kept. The queries of windows are then asked together of one set of keys, the base's once and the
windows' own behind them; a mask hides from each window what it replaces and what belongs to others.
Attention to something else than the canvas, to texts alone, has as many keys in both passes and is left as
it is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from maskgrid.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from maskgrid.hosts.sharing.base_layers import Tape
    from maskgrid.hosts.sharing.exchange_forwards import Change
    from maskgrid.hosts.sharing.windows import Windows

__all__ = ["BaseAttention"]

_EXTRA = 4
"""Windows are asked together while their own keys are at most a part of this of the base's."""
_MASKS = 64
"""Masks that are kept."""


class BaseAttention(TorchFunctionMode):
    """Exchanges keys and values while windows go through a network.

    Args:
        tape: Says what goes through, and keeps.
        text_first: Whether in joint attention the text's tokens come before the canvas's.
    """

    def __init__(self, tape: Tape, *, text_first: bool) -> None:
        super().__init__()
        self._tape = tape
        self._text_first = text_first
        self._seen = 0
        self._masks: dict[Any, Tensor] = {}

    def changes(self, network: nn.Module) -> list[Change]:
        """How the attention layers of a network have to be: within them alone torch is looked at."""
        layers = ((name, layer) for name, layer in network.named_modules() if hasattr(layer, "processor"))
        return [(layer, partial(self._look_at, name)) for name, layer in layers]

    def _look_at(self, name: str, layer: nn.Module, plain: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            seen = self._seen
            with self:
                result = plain(*args, **kwargs)
            if self._tape.records and self._seen == seen:
                raise InvalidTypeError(
                    f"the attention {name} ({type(layer.processor).__name__}) does not ask torch's "
                    "scaled_dot_product_attention, so it can't be shared between forks; allowed: the "
                    "pipeline's own attention, without slicing and other backends, or sharing=None"
                )
            return result

        return forward

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Look at a call of torch."""
        kwargs = kwargs or {}
        if func is not scaled_dot_product_attention:
            return func(*args, **kwargs)
        if self._tape.records:
            given = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | kwargs
            self._seen += 1
            self._tape.keep(BaseAttention, (given["key"], given["value"], given.get("attn_mask")))
        elif self._tape.windows is not None:
            return self._attend(*args, **kwargs)
        return func(*args, **kwargs)

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        base_key, base_value, base_mask = self._tape.recall(BaseAttention)
        if key.shape[-2] == base_key.shape[-2]:
            return scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, **options)
        windows, texts = self._windows_of(base_key, key)
        rows = self._tape.rows
        if len(query) != len(rows) or len(base_key) <= max(rows) or is_causal or dropout_p:
            raise InvalidTypeError(
                f"attention with {len(query)} rows for {len(rows)} windows, or causal, or with dropout, "
                "can't be shared between forks; allowed: sharing=None for this network"
            )
        first = texts if self._text_first else 0
        canvas = slice(first, first + windows.canvas[0] * windows.canvas[1])
        result = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=query.device)
        size = max(1, (canvas.stop - first) // (_EXTRA * key.shape[2]))
        for number in range(len(base_key)):
            base = (base_key[number, :, canvas], base_value[number, :, canvas])
            members = [each for each, row in enumerate(rows) if row == number]
            for piece in (members[begin : begin + size] for begin in range(0, len(members), size)):
                hidden = None
                if attn_mask is not None:
                    own = attn_mask.expand(len(query), *attn_mask.shape[1:])[piece]
                    # A token of the canvas sees all others alike.
                    around = base_mask.expand(len(base_key), *base_mask.shape[1:])[number]
                    hidden = (around[:, min(first, around.shape[1] - 1), canvas], own)
                own_tokens = (query[piece], key[piece], value[piece])
                result[piece] = self._ask(windows.pick(piece), own_tokens, base, hidden, options)
        return result

    def _windows_of(self, base_key: Tensor, key: Tensor) -> tuple[Windows, int]:
        """The windows on this layer's tokens, and how many tokens of text are beside them."""
        windows = self._tape.windows
        assert windows is not None, "only windows ask the base"
        count = self._tape.tokens or base_key.shape[2]
        windows = windows.on_tokens(count)
        texts = base_key.shape[2] - count
        if texts < 0 or key.shape[2] - texts != windows.size[0] * windows.size[1]:
            raise InvalidTypeError(
                f"attention of {key.shape[2]} tokens of a window where the canvas has {base_key.shape[2]} "
                "can't be shared between forks; allowed: sharing=None for this network"
            )
        return windows, texts

    def _ask(
        self,
        windows: Windows,
        own: tuple[Tensor, Tensor, Tensor],
        base: tuple[Tensor, Tensor],
        hidden: tuple[Tensor, Tensor] | None,
        options: dict[str, Any],
    ) -> Tensor:
        """Windows' queries against one set of keys: the base's, then their own."""
        query, key, value = own
        count, heads, length, _ = query.shape
        keys, values = (
            torch.cat([whole, each.transpose(0, 1).flatten(1, 2)], 1)[None]
            for whole, each in zip(base, (key, value), strict=True)
        )
        mask = self._mask(windows, length, key.shape[2], query)
        if hidden is not None:
            mask = _narrow(mask, *hidden, length, key.shape[2])
        asked = query.transpose(0, 1).flatten(1, 2)[None]
        answer = scaled_dot_product_attention(asked, keys, values, mask, **options)
        return answer[0].reshape(heads, count, length, -1).transpose(0, 1)

    def _mask(self, windows: Windows, length: int, keys: int, like: Tensor) -> Tensor:
        """(1, 1, n * length, base + n * keys), added to the scores: -inf where queries don't see."""
        place = (windows, length, keys, like.device, like.dtype)
        if place not in self._masks:
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            seen = torch.ones(len(windows), windows.canvas[0] * windows.canvas[1], dtype=torch.bool)
            seen.scatter_(1, windows.token_indices(torch.device("cpu")), False)
            own = torch.eye(len(windows), dtype=torch.bool).repeat_interleave(keys, 1)
            both = torch.cat([seen, own], 1).repeat_interleave(length, 0)[None, None]
            added = torch.zeros(both.shape, dtype=like.dtype).masked_fill_(~both, float("-inf"))
            self._masks[place] = added.to(like.device)
        return self._masks[place]


def _narrow(mask: Tensor, around: Tensor, given: Tensor, length: int, keys: int) -> Tensor:
    """A block mask with what the network itself hides.

    Args:
        mask: (1, 1, n * length, base + n * keys), added to the scores.
        around: (1 or heads, base) of the base's tokens; bool, or added to the scores.
        given: (n, 1 or heads, 1 or length, keys) of each window's own, likewise.
        length: Queries of a window.
        keys: Its own keys.

    Returns:
        (1, 1 or heads, n * length, base + n * keys) like `given`.
    """
    count, heads = given.shape[:2]
    narrowed = torch.zeros_like(mask, dtype=given.dtype).expand(1, heads, -1, -1).clone()
    base = mask.shape[3] - count * keys
    narrowed[..., :base] = around[:, None]
    for number in range(count):
        queries = slice(number * length, (number + 1) * length)
        narrowed[0, :, queries, base + number * keys : base + (number + 1) * keys] = given[number]
    if given.dtype == torch.bool:
        return narrowed & (mask == 0)
    return narrowed + mask
