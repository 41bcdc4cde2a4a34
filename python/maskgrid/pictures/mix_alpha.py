"""New cells with an alpha of their own mixed into the old ones: a colour counts as much as it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from maskgrid.geometry import Grid

__all__ = ["mix_patches", "mix_with_alpha"]


def mix_patches(
    sheet: NDArray[np.uint8],
    patches: NDArray[np.uint8],
    cells: Sequence[int],
    grid: Grid,
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """New cells mixed into the sheet's, so that they show as they are wherever anything of them shows.

    Args:
        sheet: (H, W, 4) uint8.
        patches: (n, h, w, 4) uint8, the new cells.
        cells: The cell of each.
        grid: Where the cells lie.
        weight: (1 or n, h, w) float32 in [0, 1]: how much of a new cell shows.

    Returns:
        (n, h, w, 4) uint8, the mixed cells; and weights of 0 and 1 to paste them by, shaped as `weight`.
    """
    shares = np.broadcast_to(weight, patches.shape[:3])
    mixed = np.empty_like(patches)
    for result, patch, cell, share in zip(mixed, patches, cells, shares, strict=True):
        result[...] = mix_with_alpha(sheet[grid.cell_rect(cell).slices], patch, share)
    return mixed, (weight > 0).astype(np.float32)


def mix_with_alpha(
    below: NDArray[np.uint8], above: NDArray[np.uint8], weight: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Two pictures with alpha mixed as light mixes: a colour counts as much as it is seen.

    Args:
        below: (h, w, 4) uint8.
        above: (h, w, 4) uint8.
        weight: (h, w) in [0, 1]: how much of `above` there is; 0 is bit for bit `below`, 1 `above`.

    Returns:
        (h, w, 4) uint8.
    """
    share = weight[..., None].astype(np.float32)
    alphas = below[..., 3:] * (1 - share), above[..., 3:] * share
    total = alphas[0] + alphas[1]
    colours = (below[..., :3] * alphas[0] + above[..., :3] * alphas[1]) / np.maximum(total, 1e-6)
    mixed = np.rint(np.concatenate([colours, total], 2)).clip(0, 255).astype(np.uint8)
    mixed = np.where((share > 0) & (total > 0), mixed, below)
    result: NDArray[np.uint8] = np.where(share >= 1, above, mixed)
    return result
