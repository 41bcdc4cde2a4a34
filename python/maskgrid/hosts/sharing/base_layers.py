"""Convolutions and group norms that see, around a window, what the base had there.

While the base goes through the network each of these layers keeps what it read. When windows follow, a
convolution takes its border from the base's map, and a group norm takes the canvas's statistics with the
window's part exchanged. All other layers of the networks that are shared work element by element.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import conv2d

from maskgrid.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskgrid.hosts.sharing.exchange_forwards import Change
    from maskgrid.hosts.sharing.windows import Windows

__all__ = ["BaseLayers", "Tape"]

_FOREIGN = (
    nn.Conv1d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.modules.batchnorm._NormBase,
    nn.MaxPool2d,
    nn.AdaptiveAvgPool2d,
)
"""Layers that look beyond one element, and for which there is no rule."""


class Tape:
    """What goes through a network (the base, windows, or neither), and what its layers kept of the base.

    Attributes:
        windows: The windows that go through; None for anything else.
        rows: The row of the base that each window belongs to.
        records: Whether the base goes through.
        tokens: How many tokens a transformer makes of the canvas; 0 for networks of maps.
    """

    def __init__(self) -> None:
        self.windows: Windows | None = None
        self.rows: list[int] = []
        self.records = False
        self.tokens = 0
        self._kept: dict[Any, list[Any]] = {}
        self._turn: dict[Any, int] = {}

    @contextmanager
    def record(self) -> Iterator[None]:
        """Have layers keep what they read, instead of what they kept before."""
        self._kept, self.records = {}, True
        try:
            yield
        finally:
            self.records = False

    @contextmanager
    def replay(self, windows: Windows, rows: list[int]) -> Iterator[None]:
        """Have layers find around windows what they kept."""
        self.windows, self.rows, self._turn = windows, rows, {}
        try:
            yield
        finally:
            self.windows = None

    def keep(self, layer: Any, value: Any) -> None:
        """Keep what a layer read; it may be called several times in one pass."""
        self._kept.setdefault(layer, []).append(value)

    def recall(self, layer: Any) -> Any:
        """What a layer kept at this call of it."""
        turn = self._turn.get(layer, 0)
        self._turn[layer] = turn + 1
        return self._kept[layer][turn]

    def forget(self) -> None:
        """Give the memory of what was kept back."""
        self._kept = {}


class BaseLayers:
    """The convolutions and group norms of a network.

    Args:
        network: Whose layers.
        tape: Says what goes through, and keeps.

    Attributes:
        changes: How they have to be.

    Raises:
        InvalidTypeError: A layer that looks beyond one element in a way that is not known; it is named.
    """

    def __init__(self, network: nn.Module, tape: Tape) -> None:
        self._tape = tape
        self.changes: list[Change] = []
        for name, layer in network.named_modules():
            if isinstance(layer, _FOREIGN):
                raise _not_shared(name, layer)
            if isinstance(layer, nn.Conv2d):
                if layer.kernel_size == layer.stride or layer.kernel_size == (1, 1):
                    continue
                _check_convolution(name, layer)
                self.changes.append((layer, self._convolution))
            elif isinstance(layer, nn.GroupNorm):
                self.changes.append((layer, self._group_norm))

    def _convolution(self, layer: Any, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        tape = self._tape
        # What hooks wrap has weights that are elsewhere until it is called.
        is_plain = type(layer) is nn.Conv2d and "forward" not in layer.__dict__
        border = _half_kernel(layer)
        wide = (_round_up(border[0], layer.stride[0]), _round_up(border[1], layer.stride[1]))

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if tape.records:
                tape.keep(layer, x)
            if tape.windows is None:
                return plain(x, *args, **kwargs)
            base = tape.recall(layer)
            around = border if is_plain else wide
            patch = tape.windows.at(*base.shape[2:]).cut(base, tape.rows, border=around)
            (down, across), (height, width) = around, x.shape[2:]
            patch[:, :, down : down + height, across : across + width] = x
            if is_plain:
                options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
                return conv2d(patch, layer.weight, layer.bias, **options)
            down, across = down // layer.stride[0], across // layer.stride[1]
            result = plain(patch, *args, **kwargs)
            return result[:, :, down : result.shape[2] - down, across : result.shape[3] - across]

        return forward

    def _group_norm(self, layer: Any, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        tape = self._tape

        def forward(x: Tensor) -> Tensor:
            if tape.records:
                tape.keep(layer, (x, *_moments(x, layer.num_groups)))
            if tape.windows is None:
                return plain(x)
            base, mean, squares = tape.recall(layer)
            windows = tape.windows
            if base.ndim == 3:
                windows = windows.on_tokens(base.shape[2])
                base = base.unflatten(2, windows.canvas)
            else:
                windows = windows.at(*base.shape[2:])
            if windows.is_whole:
                return plain(x)
            return _exchange_moments(layer, x, windows.cut(base, tape.rows), mean, squares, tape.rows, base)

        return forward


def _exchange_moments(
    layer: Any, x: Tensor, old: Tensor, mean: Tensor, squares: Tensor, rows: list[int], base: Tensor
) -> Tensor:
    """Normalise windows x by the moments of their canvas, in which they take the place of `old`.

    With mu the base's mean and N its elements, the sums of (value - mu) and its square change by those of the
    window less those of what it replaces.
    """
    groups, count = layer.num_groups, base[0].numel() // layer.num_groups
    mu = mean[rows]
    new_sum, new_squares = _sums(x, groups, mu)
    old_sum, old_squares = _sums(old, groups, mu)
    shift = (new_sum - old_sum) / count
    variance = (squares[rows] + new_squares - old_squares) / count - shift.square()
    scale = torch.rsqrt(variance.clamp(min=0) + layer.eps)
    weight = torch.ones(x.shape[1], device=x.device) if layer.weight is None else layer.weight.float()
    bias = torch.zeros(x.shape[1], device=x.device) if layer.bias is None else layer.bias.float()
    per_channel = x.shape[1] // groups
    factor = scale.repeat_interleave(per_channel, 1) * weight
    offset = bias - (mu + shift).repeat_interleave(per_channel, 1) * factor
    axes = (1,) * (x.ndim - 2)
    factor, offset = factor.reshape(*factor.shape, *axes), offset.reshape(*offset.shape, *axes)
    return (
        torch.addcmul(offset.to(x.dtype), x, factor.to(x.dtype))
        if x.dtype == torch.float32
        else (x.float() * factor + offset).to(x.dtype)
    )


def _moments(x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The mean, and the sum of squared distances from it, of each group: (K, groups) float32."""
    mean = x.reshape(x.shape[0], groups, -1).float().mean(2)
    return mean, _sums(x, groups, mean)[1]


def _sums(x: Tensor, groups: int, mu: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of (value - mu) and of its square, of each group."""
    values = x.reshape(x.shape[0], groups, -1).float() - mu[..., None]
    return values.sum(2), vector_norm(values, dim=2).square()


def _half_kernel(layer: Any) -> tuple[int, int]:
    """How far a convolution looks to each side."""
    down, across = (
        spread * (kernel - 1) // 2 for spread, kernel in zip(layer.dilation, layer.kernel_size, strict=True)
    )
    return down, across


def _round_up(length: int, step: int) -> int:
    return -(-length // step) * step


def _check_convolution(name: str, layer: Any) -> None:
    """Refuse convolutions whose border is not half of their kernel."""
    half = _half_kernel(layer)
    odd = all(kernel % 2 for kernel in layer.kernel_size)
    padding = half if layer.padding == "same" else layer.padding
    if not odd or padding != half or layer.padding_mode != "zeros":
        raise _not_shared(name, layer)


def _not_shared(name: str, layer: nn.Module) -> InvalidTypeError:
    return InvalidTypeError(
        f"the layer {name} ({layer}) can't be shared between forks; allowed: sharing=None for this network"
    )
