"""Latents as tokens and back: how transformers that read 2 x 2 latent cells, or one, as a token get them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fold_tokens", "pack_blocks", "pack_cells", "unpack_blocks"]


def pack_blocks(x: Tensor) -> Tensor:
    """(n, C, h, w) as (n, h/2 * w/2, 4 C): a token is a block of 2 x 2 latent cells, channels first."""
    return torch.nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)


def unpack_blocks(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `pack_blocks` for a sheet of (h, w) latent cells: (n, C, h, w)."""
    return torch.nn.functional.pixel_shuffle(fold_tokens(tokens, (size[0] // 2, size[1] // 2)), 2)


def pack_cells(x: Tensor) -> Tensor:
    """(n, C, h, w) as (n, h * w, C): a token is a latent cell."""
    return x.flatten(2).transpose(1, 2)


def fold_tokens(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, h * w, C) tokens as (n, C, h, w), the inverse of `pack_cells`."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size)
