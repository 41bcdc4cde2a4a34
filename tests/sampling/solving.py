"""Denoisers with known answers, and the loop that drives a sampler with them."""

from collections.abc import Callable

import torch
from torch import Tensor

from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers import SAMPLERS
from maskgrid.sampling.samplers.noise import step_noise
from maskgrid.sampling.samplers.walk import Memory, Solver, Steps, Walk

Denoiser = Callable[[Tensor, Tensor], Tensor]


def drive(steps: Steps, denoiser: Denoiser) -> Tensor:
    """Answer a sampler until it returns."""
    try:
        x, sigma, _ = next(steps)
        while True:
            x, sigma, _ = steps.send(denoiser(x, sigma))
    except StopIteration as end:
        result: Tensor = end.value
        return result


def take_steps(
    name: str,
    x: Tensor,
    sigmas: Tensor,
    table: NoiseTable,
    denoiser: Denoiser,
    *,
    start: int = 0,
    stop: int | None = None,
    memory: Memory | None = None,
    position: int = 0,
    seed: int = 3,
) -> tuple[Tensor, Walk]:
    """The end of a stretch with a named sampler, and its walk; noise is drawn for the first item's shape."""
    info = SAMPLERS[name]
    noise = step_noise(info.noise, (1, *x.shape[1:]), seed, sigmas, position=position)
    walk = Walk(sigmas, table, noise, start=start, stop=stop, memory=memory)
    return drive(info.solve(x, walk), denoiser), walk


def solve(solver: Solver, x: Tensor, walk: Walk, denoiser: Denoiser) -> Tensor:
    """Walk with a solver."""
    return drive(solver(x, walk), denoiser)


def crooked(x: Tensor, sigma: Tensor) -> Tensor:
    """A small nonlinear network."""
    return torch.tanh(x * 0.3 + 0.1 * sigma) * 0.7 + x.mean(1, keepdim=True) * 0.05


def gaussian_std(table: NoiseTable, sigma: Tensor) -> Tensor:
    """The standard deviation of x at sigma, for images of independent standard normal latents."""
    return (table.alpha(sigma) ** 2 + sigma**2).sqrt()


def gaussian_denoiser(table: NoiseTable) -> Denoiser:
    """The exact denoiser of such images, E[image | x] = alpha / (alpha^2 + sigma^2) * x.

    The probability flow through it only scales x: x(sigma) is x(sigma_0) * std(sigma) / std(sigma_0).
    """
    return lambda x, sigma: x * (table.alpha(sigma) / gaussian_std(table, sigma) ** 2)
