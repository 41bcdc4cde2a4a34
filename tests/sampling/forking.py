"""Sheets, masks and a small real network for the tests of forks."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from maskgrid.sampling import ForkMasks, NoiseTable, Request
from maskgrid.sampling.samplers import SAMPLERS

__all__ = [
    "DETERMINISTIC",
    "EXACTLY_CUT",
    "SD",
    "STOCHASTIC",
    "Network",
    "cell_masks",
    "grids",
    "relative",
    "sheet",
]

# Sheets are tiny here: threads would only wait for each other.
torch.set_num_threads(1)

SD = NoiseTable.stable_diffusion()
STOCHASTIC = sorted(name for name, info in SAMPLERS.items() if info.noise != "none")
DETERMINISTIC = sorted(set(SAMPLERS) - set(STOCHASTIC))
# The others take steps of their own between the ends of a stretch.
EXACTLY_CUT = sorted(name for name, info in SAMPLERS.items() if not info.own_steps)


class Network:
    """A convolution with random weights, as a denoiser: what a pixel becomes depends on its neighbours.

    Without the condition it is half as sure of itself.

    Attributes:
        asked: The shape of every x it was given.
    """

    def __init__(self, channels: int = 4, seed: int = 1) -> None:
        self.asked: list[tuple[int, ...]] = []
        generator = torch.Generator().manual_seed(seed)
        self._weight = torch.randn(channels, channels, 3, 3, generator=generator) / (9 * channels) ** 0.5

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.asked.append(tuple(x.shape))
        frames = x.float().movedim(1, -3).flatten(0, -4) if x.ndim == 5 else x.float()
        shown = frames / (sigma**2 + 1) ** 0.5
        padded = torch.nn.functional.pad(shown, (1, 1, 1, 1), mode="replicate")
        result = torch.tanh(torch.nn.functional.conv2d(padded, self._weight) * 2)
        if x.ndim == 5:
            result = result.unflatten(0, (x.shape[0], x.shape[2])).movedim(-3, 1)
        return result.to(x.dtype)

    def respond(self, request: Request) -> Tensor | tuple[Tensor, Tensor]:
        """The same, and what is denoised without the condition where a sampler wants it."""
        denoised = self(request.x, request.sigma)
        return (denoised, denoised * 0.5) if request.wants_uncond else denoised


def sheet(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random clean latents."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def cell_masks(
    rows: int, columns: int, size: tuple[int, int], *, kind: str = "soft", seed: int = 0
) -> ForkMasks:
    """A stencil in every cell of an evenly divided sheet: "full", "empty", or random, "soft" or "hard"."""
    count = rows * columns
    even = ForkMasks.from_tensor(torch.ones(count, 1, *size), rows=rows, columns=columns)
    masks = torch.rand((count, 1, *size), generator=torch.Generator().manual_seed(seed))
    if kind == "soft":
        masks = torch.where(masks < 0.3, 0.0, torch.where(masks > 0.8, 1.0, masks))
    elif kind == "hard":
        masks = (masks > 0.4).float()
    else:
        masks = torch.full_like(masks, kind == "full")
    for mask, (top, left, bottom, right) in zip(masks, even.writes.tolist(), strict=True):
        inside = torch.zeros(size, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        mask *= inside
    return ForkMasks.from_tensor(masks, rows=rows, columns=columns)


def relative(result: Tensor, expected: Tensor) -> float:
    """||result - expected|| / ||expected||."""
    return float((result - expected).double().norm() / expected.double().norm().clamp(min=1e-30))


@st.composite
def grids(draw: st.DrawFn) -> ForkMasks:
    """Grids of 1 to 9 cells on sheets that they mostly do not divide, with stencils of every kind."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size = (draw(st.integers(rows, 11)), draw(st.integers(columns, 11)))
    kind = draw(st.sampled_from(["soft", "hard", "full", "empty"]))
    return cell_masks(rows, columns, size, kind=kind, seed=draw(st.integers(0, 99)))
