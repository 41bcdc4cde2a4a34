"""A self-test of a pipeline as a host: can what it gives be trusted?"""

from __future__ import annotations

import functools
import importlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, MaskGridError, in_one_line
from maskgrid.hosts.diffusers.pipeline_host import DiffusersHost
from maskgrid.hosts.diffusers.scheduler_exchange import exchange_scheduler
from maskgrid.sampling import Controls, prepare_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Finding", "Report", "check"]

_STEPS = 2
_GRID = (2, 2)
# Relative; half precision keeps 8 to 11 bits, and a pipeline's own loop rounds to them at every step.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2
_MARKS = {True: "yes", False: "NO", None: "not tried"}


@dataclass(frozen=True)
class Finding:
    """One thing that `check` looked at, and what it found.

    Attributes:
        passed: None when it could not be tried.
        words: A sentence.
    """

    passed: bool | None
    words: str

    def __str__(self) -> str:
        return f"[{_MARKS[self.passed]}] {self.words}"


@dataclass(frozen=True)
class Report:
    """What `check` found; `str()` is sentences to read.

    Attributes:
        pipeline: The class's name.
        findings: In the order they were tried.
    """

    pipeline: str
    findings: tuple[Finding, ...]

    @property
    def trusted(self) -> bool:
        """Whether nothing was found to be wrong."""
        return all(finding.passed is not False for finding in self.findings)

    def __str__(self) -> str:
        verdict = "can be trusted" if self.trusted else "can't be trusted"
        return "\n".join([f"{self.pipeline} {verdict} as a host.", *map(str, self.findings)])


def check(pipe: Any, **conditioning: Any) -> Report:
    """Try a pipeline out: two steps on tiny latents, at the cost of about a dozen network calls.

    Args:
        pipe: A pipeline of diffusers; it stays as it is.
        **conditioning: Arguments of the pipeline for one image. Without a prompt or prompt_embeds the prompt
            is "a picture"; without a picture, ControlNets and T2I-Adapters are shown noise.

    Returns:
        What was found. A pipeline that can't be run is a finding too, no error.
    """
    name = type(pipe).__name__
    try:
        trial = _Trial(DiffusersHost(pipe), conditioning)
    except InvalidTypeError as error:
        return Report(name, (Finding(False, str(error)),))
    questions = (_codec, _outside, _batched, _own_run, _left_as_it_was)
    return Report(name, tuple(_asked(question, trial) for question in questions))


class _Trial:
    """What all questions need: a sheet of 2 x 2 cells, a stencil in each, and the pipeline as it was."""

    def __init__(self, host: DiffusersHost, conditioning: Mapping[str, Any]) -> None:
        self.host = host
        self.scheduler = host.pipe.scheduler
        self.config = dict(host.pipe.config)
        told = any(conditioning.get(name) is not None for name in ("prompt", "prompt_embeds"))
        self.conditioning = dict(conditioning) if told else {"prompt": "a picture", **conditioning}
        # A multiple of what U-nets halve their input by.
        cell = math.lcm(8, host.family.align)
        self.size = (_GRID[0] * cell, _GRID[1] * cell)
        self.masks = torch.zeros(_GRID[0] * _GRID[1], 1, *self.size)
        for fork, mask in enumerate(self.masks):
            top, left = (cell * place for place in divmod(fork, _GRID[1]))
            mask[:, top + 1 : top + cell - 1, left + 2 : left + cell - 1] = 1
        self.latents = self.random(host.family.channels, *self.size).to(host.device)
        if host.control_argument and self.conditioning.get(host.control_argument) is None:
            self.conditioning[host.control_argument] = self.control_image()
        exact = host.network.dtype in (torch.float32, torch.float64)
        self.tolerance = _TOLERANCE if exact else _HALF_TOLERANCE

    def control_image(self) -> Any:
        """Noise as large as the sheet, as a picture; a list of it for several ControlNets."""
        pictures: Any = importlib.import_module("PIL.Image")
        pixels = self.random(3, *(side * self.host.stride for side in self.size))[0].clamp(0, 1) * 255
        picture = pictures.fromarray(pixels.byte().permute(1, 2, 0).contiguous().numpy())
        nets = getattr(getattr(self.host.pipe, "controlnet", None), "nets", None)
        return picture if nets is None else [picture] * len(nets)

    @functools.cached_property
    def together(self) -> Tensor:
        """Forks by Sample then Fork, for the self-test."""
        return self.forks(self.masks, mode="sample")

    @functools.cached_property
    def alone(self) -> Tensor:
        """Forks by Fork then Sample in one batch, for the self-test."""
        return self.forks(self.masks, mode="fork")

    def forks(self, masks: Tensor, *, micro_batch: int | None = None, **controls: Any) -> Tensor:
        """(n, C, h, w) forks of the self-test's sheet."""
        latents = controls.pop("latents", self.latents)
        rows, columns = _GRID if len(masks) > 1 else (1, 1)
        sampling = prepare_forks(
            latents,
            masks,
            Controls(steps=_STEPS, **controls),
            table=self.host.table(self.size, _STEPS),
            rows=rows,
            columns=columns,
            micro_batch=micro_batch,
        )
        return self.host.run(sampling, _STEPS, self.conditioning).latents

    @staticmethod
    def random(channels: int, height: int, width: int) -> Tensor:
        """(1, channels, height, width), the same at every call."""
        return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0))


def _asked(question: Callable[[_Trial], Finding], trial: _Trial) -> Finding:
    """A question's finding; an error is one too."""
    try:
        return question(trial)
    except Exception as error:
        topic = (question.__doc__ or "").rstrip(".")
        words = f"{topic}: this could not be tried, {type(error).__name__}: {in_one_line(error)}"
        return Finding(False, words)


def _codec(trial: _Trial) -> Finding:
    """The VAE makes latents of the size that its family says, and pictures of them."""
    host = trial.host
    height, width = (side * host.stride for side in trial.size)
    pixels = trial.random(3, height, width).clamp(-1, 1)
    latents = host.encode(pixels)
    picture = host.decode(latents)
    wanted = (1, host.family.channels, *trial.size)
    words = f"A sheet of {height} x {width} pixels has latents {tuple(latents.shape)}"
    if tuple(latents.shape) != wanted or picture.shape != pixels.shape:
        found = f"they decode to {tuple(picture.shape)}"
        return Finding(False, f"{words} and {found}; its family says {wanted}.")
    if not bool(latents.isfinite().all() and picture.isfinite().all()):
        return Finding(False, f"{words}, and NaN or infinities are among them.")
    return Finding(True, f"{words}, {host.stride} pixels a latent cell, and they decode to its size.")


def _outside(trial: _Trial) -> Finding:
    """Both modes change the stencil and nothing else."""
    keep = (trial.masks == 0).to(trial.latents.device)
    for mode, forks in (("Sample then Fork", trial.together), ("Fork then Sample", trial.alone)):
        changed = (forks != trial.latents) & keep
        if bool(changed.any()):
            return Finding(False, f"{mode} changed {int(changed.sum())} values outside the stencil.")
        if bool(((forks == trial.latents) | keep).flatten(1).all(1).any()):
            return Finding(False, f"{mode} left a fork as it was inside the stencil.")
    return Finding(True, "Both modes change the stencil, and bit for bit nothing else.")


def _batched(trial: _Trial) -> Finding:
    """Forks in one batch are the forks one at a time."""
    serial = trial.forks(trial.masks, mode="fork", micro_batch=1)
    distance = _relative(trial.alone, serial)
    words = f"Forks in one pipeline call differ from forks one by one by {distance:.1e}"
    if distance <= trial.tolerance:
        return Finding(True, f"{words}, the rounding of their kernels.")
    return Finding(False, f"{words}, more than {trial.tolerance:g}: they influence each other in a batch.")


def _own_run(trial: _Trial) -> Finding:
    """A stencil that is white all over gives the pipeline's own picture."""
    try:
        start, expected, sigmas = _pipelines_own(trial)
    except Exception as error:
        words = f"The pipeline's own run with Euler failed, {type(error).__name__}: {in_one_line(error)}"
        return Finding(None, words)
    table = trial.host.table(trial.size, _STEPS)
    unit = table.start(torch.zeros(()), torch.ones(()), sigmas[0])
    ours = trial.forks(
        torch.ones(1, 1, *trial.size),
        latents=torch.zeros_like(trial.latents),
        noise=start / unit.to(start),
        schedule=sigmas,
    )
    distance = _relative(ours, expected)
    words = f"With a white stencil the latents differ from those of the pipeline's own run by {distance:.1e}"
    if distance <= trial.tolerance:
        return Finding(True, f"{words}.")
    return Finding(
        False, f"{words}, more than {trial.tolerance:g}: its noise or its output means another thing."
    )


def _left_as_it_was(trial: _Trial) -> Finding:
    """The pipeline is afterwards as it was."""
    pipe = trial.host.pipe
    if pipe.scheduler is not trial.scheduler:
        return Finding(
            False, f"The pipeline was left with another scheduler, {type(pipe.scheduler).__name__}."
        )
    if dict(pipe.config) != trial.config:
        return Finding(False, "The pipeline was left with another config.")
    return Finding(True, "The pipeline is as it was: the same scheduler, the same config.")


def _pipelines_own(trial: _Trial) -> tuple[Tensor, Tensor, Tensor]:
    """Run the pipeline with diffusers' Euler: the x of its first step, its last latents, its sigmas."""
    host = trial.host
    scheduler = _euler_like(trial.scheduler, is_flow=host.table(trial.size, _STEPS).is_flow)
    steps: list[tuple[Tensor, Tensor]] = []
    own_step = scheduler.step

    @functools.wraps(own_step)
    def step(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = own_step(model_output, timestep, sample, *args, **kwargs)
        steps.append((sample, result[0]))
        return result

    scheduler.step = step
    noise = trial.random(host.family.channels, *trial.size).to(host.dtype)
    with torch.no_grad(), exchange_scheduler(host.pipe, scheduler):
        host.pipe(**host.pipeline_arguments(noise, _STEPS, trial.conditioning))
    if len(steps) != _STEPS:
        raise MaskGridError(f"it made {len(steps)} steps, not {_STEPS}")
    first, last = (host.family.unpack(x, trial.size).float() for x in (steps[0][0], steps[-1][1]))
    return first, last, scheduler.sigmas


def _euler_like(scheduler: Any, *, is_flow: bool) -> Any:
    """Diffusers' Euler scheduler for the model that a scheduler is for."""
    library: Any = importlib.import_module("diffusers")
    config = scheduler.config
    if is_flow:
        shift = config.get("shift", config.get("flow_shift", 1.0))
        return library.FlowMatchEulerDiscreteScheduler.from_config(
            config, shift=shift, stochastic_sampling=False
        )
    # At these timesteps no interpolation is needed, which the two make differently.
    plain = {"timestep_spacing": "linspace", "interpolation_type": "linear", "final_sigmas_type": "zero"}
    spread = dict.fromkeys(("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"), False)
    return library.EulerDiscreteScheduler.from_config(config, **plain, **spread)


def _relative(result: Tensor, expected: Tensor) -> float:
    return float((result - expected.to(result)).norm() / expected.norm().clamp(min=1e-12))
