"""A VAE that decodes many forks of one sheet: the sheet once, then the window around each fork's cell.

    decoder = SharedDecoder(vae, codec.decode)
    for cell in decoder.decode(sheet, forks, cells, halo=4): ...

A cell of a fork is what decoding its whole canvas gives, but for what the cell does to its surroundings and
they to it again, which the halo holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.sharing.base_attention import BaseAttention
from maskgrid.hosts.sharing.base_layers import BaseLayers, Tape
from maskgrid.hosts.sharing.exchange_forwards import exchange_forwards
from maskgrid.hosts.sharing.windows import Rectangle, Windows, choose_windows, cut_into_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

__all__ = ["SharedDecoder", "can_share"]

_KNOWN = ("AutoencoderKL", "AutoencoderKLFlux2", "AutoencoderTiny")
"""Whose decoders have convolutions, group norms and torch's attention alone."""


def can_share(vae: Any) -> bool:
    """Whether a VAE can decode windows: one of a known kind, that does not tile by itself."""
    return type(vae).__name__ in _KNOWN and not getattr(vae, "use_tiling", False)


class SharedDecoder:
    """Decodes the cells of forks in windows, around which its layers find what the sheet has there.

    Args:
        vae: The VAE.
        decode: What makes pictures (n, 3, H, W) of latents (n, C, h, w) with it.

    Raises:
        InvalidTypeError: A VAE that can't decode windows.
    """

    def __init__(self, vae: Any, decode: Callable[[Tensor], Tensor]) -> None:
        if not can_share(vae):
            raise InvalidTypeError(
                f"a {type(vae).__name__} can't decode windows; allowed: {', '.join(_KNOWN)}, without tiling"
            )
        self._decode = decode
        self._tape = Tape()
        self._changes = [
            *BaseLayers(vae.decoder, self._tape).changes,
            *BaseAttention(self._tape, text_first=False).changes(vae.decoder),
        ]

    def decode(
        self, sheet: Tensor, forks: Callable[[int], Tensor], cells: Sequence[Rectangle], *, halo: int
    ) -> Iterator[Tensor]:
        """Decode each fork's cell in a window of the shared sheet.

        Args:
            sheet: (1, C, h, w) latents of the sheet as it was.
            forks: The latents (1, C, h, w) of fork n.
            cells: Where fork n differs from the sheet, in latents.
            halo: Latents around a cell that are decoded with it.

        Yields:
            (1, 3, ., .) the pixels of each cell's rectangle.
        """
        height, width = sheet.shape[-2:]
        outer = choose_windows(cells, (height, width), halo=(halo, halo), align=1)
        pieces = []
        for members in cut_into_pieces(outer, (height, width)):
            top, left, bottom, right = outer[members[0]]
            places = tuple(outer[fork][:2] for fork in members)
            pieces.append((members, Windows((height, width), (bottom - top, right - left), places)))
        with torch.no_grad(), exchange_forwards(self._changes):
            try:
                with self._tape.record([(windows, [0] * len(windows)) for _, windows in pieces]):
                    stride = self._decode(sheet).shape[-1] // width
                for number, (members, _) in enumerate(pieces):
                    latents = [_crop(forks(fork), outer[fork]) for fork in members]
                    with self._tape.replay(number):
                        decoded = self._decode(torch.cat(latents))
                    for fork, pixels in zip(members, decoded, strict=True):
                        top, left, *_ = outer[fork]
                        inner = zip(cells[fork], (top, left) * 2, strict=True)
                        yield _crop(pixels[None], [stride * (side - offset) for side, offset in inner])
            finally:
                self._tape.forget()


def _crop(maps: Tensor, rectangle: Sequence[int]) -> Tensor:
    top, left, bottom, right = rectangle
    return maps[..., top:bottom, left:right]
