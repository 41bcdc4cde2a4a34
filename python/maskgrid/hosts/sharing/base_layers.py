"""Convolutions and group norms that see, around a window, what the base had there.

While the base goes through the network each of these layers keeps what it read. When windows follow, a
convolution takes its border from the base's map, and a group norm takes the canvas's statistics with the
window's part exchanged. All other layers of the networks that are shared work element by element.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import conv2d

from maskgrid.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


class Tape(threading.local):
    """What goes through a network (the base, windows, or neither), and what its layers kept of the base.

    Each thread sees its own, so that a clone that runs beside is not told of these windows.

    Attributes:
        pieces: The windows that are to follow the base, and the row of the base that each belongs to; those
            of one piece go through together.
        piece: The number of the one that goes through; None for anything else.
        records: Whether the base goes through.
        tokens: How many tokens a transformer makes of the canvas; 0 for networks of maps.
        in_use: Whether calls of the network are to be shared.
    """

    def __init__(self) -> None:
        self.pieces: Sequence[tuple[Windows, list[int]]] = ()
        self.piece: int | None = None
        self.records = False
        self.tokens = 0
        self.in_use = False
        self._kept: dict[Any, list[Any]] = {}
        self._turn: dict[Any, int] = {}

    @property
    def windows(self) -> Windows | None:
        """The windows that go through; None for anything else."""
        return None if self.piece is None else self.pieces[self.piece][0]

    @property
    def rows(self) -> list[int]:
        """The rows of the base of the windows that go through."""
        return [] if self.piece is None else self.pieces[self.piece][1]

    @contextmanager
    def record(self, pieces: Sequence[tuple[Windows, list[int]]]) -> Iterator[None]:
        """Have layers keep what these windows will want of what they read."""
        self.pieces, self._kept, self.records = pieces, {}, True
        try:
            yield
        finally:
            self.records = False

    @contextmanager
    def replay(self, piece: int) -> Iterator[None]:
        """Have layers find around the windows of a piece what they kept."""
        self.piece, self._turn = piece, {}
        try:
            yield
        finally:
            self.piece = None

    def keep(self, layer: Any, value: Any) -> None:
        """Keep something of what a layer read; it may be called several times in one pass."""
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
        around = border if is_plain else wide

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if tape.records:
                size = x.shape[2:]
                tape.keep(layer, [w.at(*size).cut_rims(x, rows, around) for w, rows in tape.pieces])
            if tape.piece is None:
                return plain(x, *args, **kwargs)
            patch = _surround(x, tape.recall(layer)[tape.piece], around)
            if is_plain:
                options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
                return conv2d(patch, layer.weight, layer.bias, **options)
            down, across = around[0] // layer.stride[0], around[1] // layer.stride[1]
            result = plain(patch, *args, **kwargs)
            return result[:, :, down : result.shape[2] - down, across : result.shape[3] - across]

        return forward

    def _group_norm(self, layer: Any, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        tape = self._tape
        is_plain = type(layer) is nn.GroupNorm and "forward" not in layer.__dict__ and layer.affine

        def forward(x: Tensor) -> Tensor:
            if tape.records:
                affine = (
                    (layer.weight.float(), layer.bias.float()) if is_plain else _ask_affine(layer, plain, x)
                )
                tape.keep(layer, (affine, _moments_outside(x, layer.num_groups, tape.pieces)))
            if tape.piece is None:
                return plain(x)
            affine, moments = tape.recall(layer)
            return _normalise(layer, x, affine, *moments[tape.piece])

        return forward


def _surround(x: Tensor, rims: tuple[Tensor, ...], border: tuple[int, int]) -> Tensor:
    """Windows (n, C, height, width) with their rims around them."""
    (down, across), (height, width) = border, x.shape[2:]
    patch = x.new_empty(*x.shape[:2], height + 2 * down, width + 2 * across)
    above, below, left, right = rims
    patch[:, :, :down], patch[:, :, down + height :] = above, below
    middle = patch[:, :, down : down + height]
    middle[..., :across], middle[..., across + width :] = left, right
    middle[..., across : across + width] = x
    return patch


def _moments_outside(
    base: Tensor, groups: int, pieces: Sequence[tuple[Windows, list[int]]]
) -> list[tuple[Tensor, Tensor, int]]:
    """The canvas's moments without what lies in windows, for each piece.

    Returns:
        The mean mu of each window's canvas (n, groups), the sums of (value - mu) and of its square over all
        that is outside the window (2, n, groups), and the canvas's elements in a group.
    """
    mean, squares = _moments(base, groups)
    count = base[0].numel() // groups
    outside = []
    for whole, rows in pieces:
        if base.ndim == 3:
            windows = whole.on_tokens(base.shape[2])
            maps = base.reshape(*base.shape[:2], *windows.canvas)
        else:
            windows, maps = whole.at(*base.shape[2:]), base
        mu = mean[rows]
        inside = _sums(windows.cut(maps, rows), groups, mu)
        outside.append((mu, torch.stack([-inside[0], squares[rows] - inside[1]]), count))
    return outside


def _ask_affine(layer: Any, plain: Callable[..., Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    """A group norm's weight and bias (C,) float32, asked of itself, for hooks may keep them elsewhere.

    Of the values 1 and -1 the mean is 0 and the variance 1.
    """
    probe = like.new_ones(1, like.shape[1], *(1,) * (like.ndim - 3), 2)
    probe[..., 1] = -1
    low, high = plain(probe).float().reshape(like.shape[1], 2).flip(1).unbind(1)
    return (high - low) / 2 * (1 + layer.eps) ** 0.5, (high + low) / 2


def _normalise(
    layer: Any, x: Tensor, affine: tuple[Tensor, Tensor], mu: Tensor, outside: Tensor, count: int
) -> Tensor:
    """Normalise windows by the moments of their canvas, of which they are the rest."""
    inside = _sums(x, layer.num_groups, mu)
    shift = (outside[0] + inside[0]) / count
    variance = (outside[1] + inside[1]) / count - shift.square()
    scale = torch.rsqrt(variance.clamp(min=0) + layer.eps)
    per_channel = x.shape[1] // layer.num_groups
    factor = scale.repeat_interleave(per_channel, 1)
    offset = -(mu + shift).repeat_interleave(per_channel, 1) * factor
    weight, bias = affine
    factor, offset = factor * weight, offset * weight + bias
    shape = (*factor.shape, *(1,) * (x.ndim - 2))
    return torch.addcmul(offset.reshape(shape), x.float(), factor.reshape(shape)).to(x.dtype)


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
