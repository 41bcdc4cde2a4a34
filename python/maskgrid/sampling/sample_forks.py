"""The way in: forks of a sheet of latents, with every control of KSamplerAdvanced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.controls import Controls, LatentFormat, Span, check_count
from maskgrid.sampling.forking.blend import BLENDS, BlendName
from maskgrid.sampling.forking.fork_masks import ForkMasks, Plan, as_fork_masks
from maskgrid.sampling.forking.fork_run import ForkJob, run_job
from maskgrid.sampling.forking.request import Callback, Denoiser
from maskgrid.sampling.forking.setup import (
    Setup,
    SheetConditioning,
    check_latents,
    seeds_of_forks,
    start_noise,
)
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.result.fork_latents import ForkLatents
from maskgrid.sampling.samplers import get_sampler

__all__ = ["MODES", "ForkControls", "continue_forks", "continue_job", "fork_job", "sample_forks"]

MODES = {"Sample then Fork": True, "Fork then Sample": False, "sample": True, "fork": False}
"""Whether a mode samples the forks together."""
_SHEET_CONDITIONING = ("own", "cells")


@dataclass(frozen=True, kw_only=True, eq=False)
class ForkControls(Controls):
    """How to sample and how to fork; every field is an argument of `sample_forks`.

    Attributes:
        mode: "Sample then Fork" or "Fork then Sample"; "sample" and "fork" for short.
        fork_at: The step of the schedule at which the forks part, 0 to steps, in place of a mode: 0 is Fork
            then Sample, steps is Sample then Fork.
        fork_seeds: "same", "increment" (seed + n), or a list of one seed for each fork, in place of `seed`.
        noise: (B, C, ..., h, w) to start from, in place of a draw.
        sheet_conditioning: Whose conditioning the sheet has until the forks part. "own": its own, one row for
            each batch item. "cells": each cell that of its own fork; the network sees the sheet N times, at N
            times the cost, and each cell takes its part of its own fork's answer.
        blend: "lerp" (a grey pixel of a mask is partly sampled at every step, as the original does) or
            "differential" (a pixel of value m is sampled in the last m of the steps).
        compat: Give what the original gives where that is a defect: with leftover noise a noisy cell in clean
            surroundings, and in Sample then Fork the cells of the first batch item only.
        scaling_factor: Of the latents, (latents - shift_factor) * scaling_factor being the model's; a number
            or (C, 1, 1).
        shift_factor: Likewise.

    Raises:
        InvalidTypeError: A number that is not an integer where one is needed.
        InvalidValueError: An unknown name or a number out of range.
    """

    mode: str = "Sample then Fork"
    fork_at: int | None = None
    fork_seeds: str | Sequence[int] = "same"
    noise: Tensor | None = None
    sheet_conditioning: SheetConditioning = "own"
    blend: BlendName = "lerp"
    compat: bool = False
    scaling_factor: float | Tensor = 1.0
    shift_factor: float | Tensor = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("mode", MODES),
            ("sheet_conditioning", _SHEET_CONDITIONING),
            ("blend", BLENDS),
        ):
            if getattr(self, name) not in allowed:
                raise unknown_name(name, getattr(self, name), allowed)

    def part_at(self, span: Span) -> int:
        """The step of `span.sigmas` at which the forks part.

        `steps` and beyond is the end, also for a schedule that gives more or fewer steps than it is asked
        for.

        Raises:
            InvalidTypeError: A fork_at that is not an integer.
            InvalidValueError: One out of range.
        """
        last = max(len(span.sigmas) - 1, 0)
        if self.fork_at is None:
            return last if MODES[self.mode] else 0
        steps = self.steps if isinstance(self.schedule, str) else span.steps
        fork_at = check_count("fork_at", self.fork_at, 0, max(steps, span.steps))
        return last if fork_at >= steps else min(max(fork_at - span.first, 0), last)


def fork_job(
    latents: Tensor,
    plan: Plan | ForkMasks | Tensor,
    controls: ForkControls,
    *,
    table: NoiseTable,
    rows: int | None = None,
    columns: int | None = None,
    micro_batch: int | None = None,
    callback: Callback | None = None,
) -> ForkJob:
    """The run that `sample_forks` drives, for whoever drives the network in another way.

    Args and errors are those of `sample_forks`.
    """
    masks = as_fork_masks(plan, rows, columns)
    if controls.compat:
        masks = masks.as_original()
    sheet = check_latents(latents, masks)
    span = controls.span(table, compat=controls.compat)
    seeds = seeds_of_forks(controls.seed, controls.fork_seeds, len(masks))
    setup = Setup(
        latents=sheet,
        masks=masks,
        table=table,
        sampler=controls.sampler,
        sigmas=span.sigmas,
        first=span.first,
        fork_at=controls.part_at(span),
        seeds=seeds,
        noise=start_noise(sheet, seeds, add_noise=controls.add_noise, noise=controls.noise),
        blend=controls.blend,
        sheet_conditioning=controls.sheet_conditioning,
        compat=controls.compat,
        latent_format=LatentFormat(controls.scaling_factor, controls.shift_factor),
    )
    return ForkJob(setup, span.stop, micro_batch=micro_batch, callback=callback)


def sample_forks(
    denoiser: Denoiser,
    latents: Tensor,
    plan: Plan | ForkMasks | Tensor,
    *,
    table: NoiseTable,
    rows: int | None = None,
    columns: int | None = None,
    mode: str = "Sample then Fork",
    fork_at: int | None = None,
    sampler: str = "euler",
    schedule: str | Sequence[float] | Tensor = "normal",
    steps: int = 20,
    seed: int = 0,
    fork_seeds: str | Sequence[int] = "same",
    add_noise: bool = True,
    noise: Tensor | None = None,
    start_at_step: int = 0,
    end_at_step: int | None = None,
    return_with_leftover_noise: bool = False,
    denoise: float = 1.0,
    sheet_conditioning: SheetConditioning = "own",
    blend: BlendName = "lerp",
    compat: bool = False,
    scaling_factor: float | Tensor = 1.0,
    shift_factor: float | Tensor = 0.0,
    micro_batch: int | None = None,
    callback: Callback | None = None,
) -> ForkLatents:
    """Forks of a sheet: N copies, in each of which one cell is new and the rest is bit for bit the sheet.

        table = NoiseTable.stable_diffusion()
        forks = sample_forks(denoiser, latents, plan, table=table, steps=20, fork_at=8)
        forks.latents, forks[3], forks.merged()

    Forks share the noise of a single run unless they have seeds of their own, so all in one batch, in
    micro-batches or one by one they come out the same, to what the network's kernels leave of that.

    Args:
        denoiser: denoised = f(x, sigma), x (n * B, C, ..., h, w) in latents' dtype and on its device,
            fork-major; sigma 0-d float32 on the CPU. Or an object with `respond(request)`, see `Request`,
            which is told which forks the rows are. It runs without autograd.
        latents: (B, C, h, w) or (B, C, T, h, w) floating, finite: the clean sheet. Already noisy latents,
            with add_noise=False, are carried on with as the original does; `continue_forks` does it exactly.
        plan: A `ForkPlan`, `ForkMasks`, or noise masks (rows * columns, 1, h, w) with rows and columns.
        table: The model's noise table.
        rows: Rows of the grid, for a tensor of masks only.
        columns: Columns of the grid, for a tensor of masks only.
        mode: See `ForkControls`, as for all arguments down to shift_factor.
        fork_at: In place of a mode.
        sampler: A name in `samplers.SAMPLERS`.
        schedule: A name in `schedules.SCHEDULES`, or falling sigmas.
        steps: 1 or more.
        seed: In [0, 2^64).
        fork_seeds: "same", "increment" or a list.
        add_noise: Whether noise is added at the start.
        noise: In place of a draw.
        start_at_step: Steps to leave out at the start; at or past the end the latents come back as they came.
        end_at_step: The step to stop before; None is the end.
        return_with_leftover_noise: Whether a run that stops early gives noisy latents and a state to carry on
            with.
        denoise: In [0, 1].
        sheet_conditioning: "own" or "cells".
        blend: "lerp" or "differential".
        compat: Whether the original's defects are wanted.
        scaling_factor: Of the latent format.
        shift_factor: Of the latent format.
        micro_batch: The most forks in one batch, 1 or more; default all.
        callback: Told a `Progress` after each call of the network; returning False stops the run.

    Returns:
        The forks, in the plan's order.

    Raises:
        InvalidTypeError: An object or a dtype that is not allowed.
        InvalidValueError: A number, shape or name that is not allowed.
        DenoiserError: The denoiser returned something unusable; the message says at which step and sigma.
            This and the next two carry the forks that were finished as `result`.
        CancelledError: The callback stopped the run.
        RunInterrupted: Ctrl-C; a KeyboardInterrupt.
    """
    controls = ForkControls(
        mode=mode,
        fork_at=fork_at,
        sampler=sampler,
        schedule=schedule,
        steps=steps,
        seed=seed,
        fork_seeds=fork_seeds,
        add_noise=add_noise,
        noise=noise,
        start_at_step=start_at_step,
        end_at_step=end_at_step,
        return_with_leftover_noise=return_with_leftover_noise,
        denoise=denoise,
        sheet_conditioning=sheet_conditioning,
        blend=blend,
        compat=compat,
        scaling_factor=scaling_factor,
        shift_factor=shift_factor,
    )
    grid = {"rows": rows, "columns": columns}
    job = fork_job(latents, plan, controls, table=table, **grid, micro_batch=micro_batch, callback=callback)
    return run_job(job, denoiser)


def continue_job(
    forks: ForkLatents,
    *,
    sampler: str | None = None,
    end_at_step: int | None = None,
    return_with_leftover_noise: bool = False,
    micro_batch: int | None = None,
    callback: Callback | None = None,
) -> ForkJob:
    """The run that `continue_forks` drives; arguments and errors are the same."""
    if forks.state is None:
        raise InvalidValueError(
            f"forks have sigma {forks.sigma:g} and no state to go on from; allowed: the result of a run that "
            "stopped before its last step with return_with_leftover_noise=True and compat=False"
        )
    setup, start = forks.state.setup, forks.state.checkpoint
    if sampler is not None and get_sampler(sampler).name != setup.sampler:
        # One solver's history means nothing to another.
        setup, start = replace(setup, sampler=sampler), replace(start, memory={})
    stop = setup.step_count
    if end_at_step is not None:
        low = setup.first + start.step
        stop = min(check_count("end_at_step", end_at_step, low + 1) - setup.first, stop)
    if stop < setup.step_count and not return_with_leftover_noise:
        sigmas = setup.sigmas[: stop + 1].clone()
        sigmas[-1] = 0
        setup = replace(setup, sigmas=sigmas, fork_at=min(setup.fork_at, stop))
    return ForkJob(setup, stop, forks=forks.numbers, start=start, micro_batch=micro_batch, callback=callback)


def continue_forks(
    denoiser: Denoiser,
    forks: ForkLatents,
    *,
    sampler: str | None = None,
    end_at_step: int | None = None,
    return_with_leftover_noise: bool = False,
    micro_batch: int | None = None,
    callback: Callback | None = None,
) -> ForkLatents:
    """Carry on with a run that stopped with leftover noise, as if it had never stopped.

    Everything but these arguments is as it was: clean latents, masks, noise, sigmas, the solver's history and
    the step at which the forks part. Forks that were picked go on alone.

    Args:
        denoiser: As for `sample_forks`; it need not be the same.
        forks: What such a run gave, in this process or loaded from a file.
        sampler: Another solver to go on with; default the same.
        end_at_step: The step of the schedule to stop before; None is the end.
        return_with_leftover_noise: Whether a run that stops early again keeps its noise.
        micro_batch: The most forks in one batch; default all.
        callback: Told a `Progress` after each call of the network; returning False stops the run.

    Returns:
        The forks.

    Raises:
        InvalidValueError: Forks without a state, or a stop that is not after it.
        DenoiserError: As for `sample_forks`, like the next two.
        CancelledError: The callback stopped the run.
        RunInterrupted: Ctrl-C.
    """
    job = continue_job(
        forks,
        sampler=sampler,
        end_at_step=end_at_step,
        return_with_leftover_noise=return_with_leftover_noise,
        micro_batch=micro_batch,
        callback=callback,
    )
    return run_job(job, denoiser)
