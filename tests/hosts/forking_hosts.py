"""Forks of a sheet of latents, made by a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from families import GRID, SIZE, Conditioning
from torch import Tensor

from maskgrid.sampling import Controls, ForkLatents, prepare_forks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskgrid.hosts.diffusers import DiffusersHost
    from maskgrid.hosts.sharing.shared_network import Sharing

STEPS = 3


def sheet(host: DiffusersHost, seed: int = 1) -> Tensor:
    """(1, C, h, w) clean latents."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, host.family.channels, *SIZE, generator=generator)


def stencils() -> Tensor:
    """(N, 1, h, w): a box inside each cell, its left column grey."""
    height, width = (side // count for side, count in zip(SIZE, GRID, strict=True))
    masks = torch.zeros(GRID[0] * GRID[1], 1, *SIZE)
    for fork, mask in enumerate(masks):
        row, column = divmod(fork, GRID[1])
        top, left = row * height, column * width
        mask[:, top + 1 : top + height, left + 2 : left + width - 1] = 1
        mask[:, top + 1 : top + height, left + 2] = 0.5
    return masks


def fork_latents(
    host: DiffusersHost,
    conditioning: Mapping[str, Any],
    *,
    masks: Tensor | None = None,
    steps: int = STEPS,
    micro_batch: int | None = None,
    callback: Any = None,
    latents: Tensor | None = None,
    sharing: Sharing | None = None,
    **controls: Any,
) -> ForkLatents:
    """Forks of the sheet."""
    masks = stencils() if masks is None else masks
    rows, columns = GRID if len(masks) > 1 else (1, 1)
    sampling = prepare_forks(
        sheet(host) if latents is None else latents,
        masks,
        Controls(steps=steps, seed=3, **controls),
        table=host.table(SIZE, steps),
        rows=rows,
        columns=columns,
        micro_batch=micro_batch,
        callback=callback,
    )
    return host.run(sampling, steps, conditioning, sharing=sharing)


def conditioning_of(told: Conditioning, count: int) -> list[Conditioning]:
    """`count` conditionings that differ in their embeddings."""
    generator = torch.Generator().manual_seed(9)

    def changed(name: str, value: Any) -> Any:
        if "embeds" not in name or name.endswith("mask"):
            return value
        if isinstance(value, list):
            return [torch.randn(each.shape, generator=generator) for each in value]
        return torch.randn(value.shape, generator=generator)

    return [{name: changed(name, value) for name, value in told.items()} for _ in range(count)]


def relative(result: Tensor, expected: Tensor) -> float:
    """||result - expected|| / ||expected||."""
    return float((result - expected).double().norm() / expected.double().norm().clamp(min=1e-30))
