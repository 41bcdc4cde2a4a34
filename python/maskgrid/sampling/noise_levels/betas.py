"""Beta schedules of discrete diffusion models, by the names of diffusers' scheduler settings.

A model trained on n discrete steps defines its noise by betas (n,), each in [0, 1]:
alphas_cumprod[t] = product of (1 - beta) up to t, the share of the signal's variance that is left at step t.
Everything here is float64 on the CPU; the table rounds once, at its end.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.argument_checks import unknown_name

__all__ = ["BETA_SCHEDULES", "alphas_cumprod_of", "make_betas", "rescale_zero_terminal_snr"]

# A terminal SNR of zero is an infinite sigma. This share of signal is kept at the last step instead (sigma
# 4518.8), the number that ComfyUI and its relatives use, so that their schedules come out the same.
_LAST_ALPHA_CUMPROD = 4.8973451890853435e-08
_MAX_BETA = 0.999


def _linear(steps: int, start: float, end: float) -> Tensor:
    return torch.linspace(start, end, steps, dtype=torch.float64)


def _scaled_linear(steps: int, start: float, end: float) -> Tensor:
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2


def _sigmoid(steps: int, start: float, end: float) -> Tensor:
    return torch.sigmoid(torch.linspace(-6, 6, steps, dtype=torch.float64)) * (end - start) + start


def _from_alpha_bar(alpha_bar: Callable[[float], float]) -> Callable[[int, float, float], Tensor]:
    """Betas whose product follows alpha_bar(t), t in [0, 1] (Nichol and Dhariwal, arXiv 2102.09672)."""

    def betas(steps: int, start: float, end: float) -> Tensor:
        shares = [alpha_bar(i / steps) for i in range(steps + 1)]
        return torch.tensor(
            [min(1 - after / before, _MAX_BETA) for before, after in pairwise(shares)],
            dtype=torch.float64,
        )

    return betas


def _laplace(t: float) -> float:
    """Alpha bar of the Laplace schedule (Hang et al., arXiv 2407.03297), as diffusers' DDPM has it."""
    log_snr = -0.5 * math.copysign(1, 0.5 - t) * math.log(1 - 2 * math.fabs(0.5 - t) + 1e-6)
    snr = math.exp(log_snr)
    return math.sqrt(snr / (1 + snr))


BETA_SCHEDULES: Mapping[str, Callable[[int, float, float], Tensor]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "squaredcos_cap_v2": _from_alpha_bar(lambda t: math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2),
    "sigmoid": _sigmoid,
    "laplace": _from_alpha_bar(_laplace),
    "exp": _from_alpha_bar(lambda t: math.exp(-12.0 * t)),
}


def make_betas(schedule: str, *, steps: int = 1000, start: float = 0.0001, end: float = 0.02) -> Tensor:
    """The betas of a model's noise, by the schedule's name.

    Args:
        schedule: A name in `BETA_SCHEDULES`.
        steps: Number of training steps, at least 2.
        start: First beta in (0, 1); read by linear, scaled_linear and sigmoid only.
        end: Last beta in (0, 1); likewise.

    Returns:
        (steps,) float64 in [0, 1].

    Raises:
        InvalidValueError: An unknown name, fewer than 2 steps, or a beta outside (0, 1).
    """
    if schedule not in BETA_SCHEDULES:
        raise unknown_name("beta_schedule", schedule, BETA_SCHEDULES)
    if steps < 2:
        raise InvalidValueError(f"num_train_timesteps is {steps}; allowed: 2 or more")
    if not (0 < start < 1 and 0 < end < 1):
        raise InvalidValueError(f"beta_start is {start} and beta_end {end}; allowed: both between 0 and 1")
    return BETA_SCHEDULES[schedule](steps, start, end)


def rescale_zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Stretch a noise schedule so that no signal is left at its last step.

    Algorithm 1 of Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv
    2305.08891): sqrt(alphas_cumprod) is shifted to end at zero and scaled to begin where it began.

    Args:
        alphas_cumprod: (n,) falling, in (0, 1].

    Returns:
        (n,) whose last entry is exactly 0.
    """
    root = alphas_cumprod.sqrt()
    first, last = root[0], root[-1]
    return ((root - last) * (first / (first - last))) ** 2


def alphas_cumprod_of(config: Mapping[str, Any]) -> Tensor:
    """Cumulative alphas from diffusers-style scheduler settings.

    Args:
        config: `beta_schedule` (default "linear"), `beta_start`, `beta_end`, `num_train_timesteps`, or
            `trained_betas` (n,), and `rescale_betas_zero_snr`; what is missing takes diffusers' default.

    Returns:
        (n,) float64, falling, all above zero: an entry of exactly zero, which would be an infinite sigma,
        becomes 4.9e-8 (sigma 4518.8).

    Raises:
        InvalidValueError: As `make_betas`; or betas that are not a list of numbers in [0, 1].
    """
    trained = config.get("trained_betas")
    if trained is not None:
        betas = _check_betas(trained)
    else:
        betas = make_betas(
            config.get("beta_schedule", "linear"),
            steps=config.get("num_train_timesteps", 1000),
            start=config.get("beta_start", 0.0001),
            end=config.get("beta_end", 0.02),
        )
    shares = torch.cumprod(1 - betas, dim=0)
    if config.get("rescale_betas_zero_snr"):
        shares = rescale_zero_terminal_snr(shares)
    return torch.where(shares == 0, _LAST_ALPHA_CUMPROD, shares)


def _check_betas(trained: Sequence[float] | Tensor) -> Tensor:
    betas = torch.as_tensor(trained, dtype=torch.float64).detach().cpu()
    if betas.ndim != 1 or len(betas) < 2:
        raise InvalidValueError(
            f"trained_betas has shape {tuple(betas.shape)}; allowed: (n,), n of 2 or more"
        )
    if not bool(((betas >= 0) & (betas <= 1)).all()):
        raise InvalidValueError(
            f"trained_betas spans {betas.min()} to {betas.max()}; allowed: numbers between 0 and 1"
        )
    return betas
