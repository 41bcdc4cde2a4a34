"""KSamplerAdvanced's controls: which sigmas a run walks, and where it begins and stops."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, SupportsFloat, SupportsIndex, TypedDict

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import check_schedule, make_sigmas
from maskgrid.sampling.samplers import get_sampler
from maskgrid.sampling.samplers.noise import check_seed

__all__ = [
    "ControlOptions",
    "Controls",
    "LatentFormat",
    "ModeName",
    "SamplerName",
    "ScheduleName",
    "Span",
    "check_count",
    "check_number",
]

ModeName = Literal["Sample then Fork", "Fork then Sample", "sample", "fork"]
SamplerName = Literal[
    "euler",
    "euler_ancestral",
    "heun",
    "heunpp2",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "dpmpp_sde_gpu",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_ancestral",
    "er_sde",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
]
ScheduleName = Literal[
    "normal",
    "karras",
    "exponential",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    "beta",
    "linear_quadratic",
    "kl_optimal",
]


class ControlOptions(TypedDict, total=False):
    """The controls of a run as keyword arguments, for type checkers."""

    sampler: SamplerName
    schedule: ScheduleName | Sequence[float] | Tensor
    steps: int
    seed: int
    add_noise: bool
    start_at_step: int
    end_at_step: int | None
    return_with_leftover_noise: bool
    denoise: float
    mode: ModeName
    fork_at: int | None
    fork_seeds: Literal["same", "increment"] | Sequence[int]
    noise: Tensor | None
    sheet_conditioning: Literal["own", "cells"]
    blend: Literal["lerp", "differential"]
    compat: bool


@dataclass(frozen=True, eq=False)
class Span:
    """The stretch of a schedule that a run walks.

    Attributes:
        sigmas: (S + 1,) float32 on the CPU: all that the solver gets to see; empty when there is nothing to
            walk.
        stop: The steps to walk are 0 to stop - 1 of these.
        first: The step of the schedule that sigmas[0] belongs to.
        steps: Steps of the whole schedule.
    """

    sigmas: Tensor
    stop: int
    first: int
    steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Controls:
    """How to sample; the names and meanings of ComfyUI's KSamplerAdvanced.

    Attributes:
        sampler: A name in `samplers.SAMPLERS`.
        schedule: A name in `schedules.SCHEDULES`, or falling sigmas, which steps and denoise then have no say
            in.
        steps: Steps of the schedule, 1 or more.
        seed: Of the noise, in [0, 2^64).
        add_noise: Whether noise is added at the start. Without, latents that already are noisy are carried on
            with.
        start_at_step: Steps of the schedule to leave out at its start.
        end_at_step: The step to stop before; None, or past the end, is the end.
        return_with_leftover_noise: Whether a run that stops early gives noisy latents. If not, its last step
            goes down to sigma 0.
        denoise: In [0, 1]: below 1 the run begins at lower noise, with just as many steps; 0 is no run.

    Raises:
        InvalidTypeError: A number that is not an integer where one is needed.
        InvalidValueError: An unknown name or a number out of range.
    """

    sampler: str = "euler"
    schedule: str | Sequence[float] | Tensor = "normal"
    steps: int = 20
    seed: int = 0
    add_noise: bool = True
    start_at_step: int = 0
    end_at_step: int | None = None
    return_with_leftover_noise: bool = False
    denoise: float = 1.0

    def __post_init__(self) -> None:
        get_sampler(self.sampler)
        check_seed(self.seed)
        check_count("start_at_step", self.start_at_step, 0)
        check_number("denoise", self.denoise)
        if isinstance(self.schedule, str):
            check_schedule(self.schedule, self.steps, self.denoise)
        if self.end_at_step is not None:
            check_count("end_at_step", self.end_at_step, 0)
            if self.start_at_step > self.end_at_step:
                raise InvalidValueError(
                    f"start_at_step is {self.start_at_step} and end_at_step {self.end_at_step}; "
                    "allowed: a start that is not after the end"
                )

    def span(self, table: NoiseTable, *, compat: bool = False) -> Span:
        """The sigmas to walk.

        A run that stops early and keeps its noise sees the whole list, so that it takes the steps that the
        uncut run takes; solvers that look at the list's end would otherwise take others.

        Args:
            table: The model's noise table.
            compat: Cut the list there as well, as the original does.

        Returns:
            The span; an empty one when the start is at or past the end.
        """
        sigmas = make_sigmas(self.schedule, table, self.steps, sampler=self.sampler, denoise=self.denoise)
        count = max(len(sigmas) - 1, 0)
        stop = count if self.end_at_step is None else min(self.end_at_step, count)
        if self.start_at_step >= stop:
            return Span(torch.zeros(0), 0, self.start_at_step, count)
        if stop < count and (compat or not self.return_with_leftover_noise):
            sigmas = sigmas[: stop + 1].clone()
        if stop < count and not self.return_with_leftover_noise:
            sigmas[-1] = 0
        return Span(sigmas[self.start_at_step :], stop - self.start_at_step, self.start_at_step, count)


@dataclass(frozen=True, eq=False)
class LatentFormat:
    """What a VAE's latents go through on their way into a model: (latents - shift_factor) * scaling_factor.

    Attributes:
        scaling_factor: Not 0; a number or (C, 1, 1).
        shift_factor: A number or (C, 1, 1).

    Raises:
        InvalidValueError: Numbers that are not finite, or a scaling factor of 0.
    """

    scaling_factor: float | Tensor = 1.0
    shift_factor: float | Tensor = 0.0

    def __post_init__(self) -> None:
        for name in ("scaling_factor", "shift_factor"):
            value = torch.as_tensor(getattr(self, name))
            if not bool(value.isfinite().all()) or (name == "scaling_factor" and bool((value == 0).any())):
                raise InvalidValueError(
                    f"{name} is {value.tolist()}; allowed: finite numbers, a scaling_factor that is not 0"
                )

    def encode(self, latents: Tensor) -> Tensor:
        """The model's latents of the VAE's; all zeros, an empty latent, stays as it is, as in ComfyUI."""
        if not bool(latents.any()):
            return latents
        return (latents - self._like(self.shift_factor, latents)) * self._like(self.scaling_factor, latents)

    def decode(self, latents: Tensor) -> Tensor:
        """The VAE's latents of the model's."""
        return latents / self._like(self.scaling_factor, latents) + self._like(self.shift_factor, latents)

    @staticmethod
    def _like(factor: float | Tensor, latents: Tensor) -> float | Tensor:
        return factor.to(latents.device, latents.dtype) if isinstance(factor, Tensor) else factor


def check_count(name: str, value: object, low: int, high: int | None = None) -> int:
    """An integer in [low, high].

    Raises:
        InvalidTypeError: Not an integer.
        InvalidValueError: Out of range.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise InvalidTypeError(f"{name} is {value!r}; allowed: an integer")
    number = operator.index(value)
    if number < low or (high is not None and number > high):
        raise InvalidValueError(
            f"{name} is {number}; allowed: {low} {'or more' if high is None else f'to {high}'}"
        )
    return number


def check_number(name: str, value: object) -> float:
    """A finite number.

    Raises:
        InvalidTypeError: Not a number.
        InvalidValueError: NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsFloat | SupportsIndex):
        raise InvalidTypeError(f"{name} is {value!r}; allowed: a number")
    number = float(value)
    if not math.isfinite(number):
        raise InvalidValueError(f"{name} is {number}; allowed: a finite number")
    return number
