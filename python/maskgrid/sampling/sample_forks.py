"""The way in: forks of a sheet of latents, with every control of KSamplerAdvanced."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, Unpack

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import ForkPlan
from maskgrid.sampling import original_node
from maskgrid.sampling.argument_checks import check_count
from maskgrid.sampling.controls import ControlOptions, Controls, choose_seeds
from maskgrid.sampling.forking.fork_masks import ForkMasks, as_fork_masks
from maskgrid.sampling.forking.fork_run import ForkRun, LatentFormat
from maskgrid.sampling.forking.fork_sampling import ForkSampling, answer_with, finish_forks
from maskgrid.sampling.forking.progress import Callback
from maskgrid.sampling.forking.request import Denoiser
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.result.fork_latents import ForkLatents
from maskgrid.sampling.samplers.noise import initial_noise
from maskgrid.sampling.samplers.registry import get_sampler

__all__ = ["continue_forks", "prepare_continuation", "prepare_forks", "sample_forks", "show_controls"]

_F = TypeVar("_F", bound=Callable[..., Any])


def show_controls(function: _F) -> _F:
    """Have a function that takes controls as keyword arguments show each of them, with type and default."""
    shown = inspect.signature(function)
    own = [each for each in shown.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    controls = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=ControlOptions.__annotations__[field.name],
        )
        for field in fields(Controls)
    ]
    named = {each.name for each in own}
    merged = [*own, *(each for each in controls if each.name not in named)]
    function.__signature__ = shown.replace(parameters=merged)  # type: ignore[attr-defined]
    return function


@show_controls
def sample_forks(
    denoiser: Denoiser,
    latents: Tensor,
    plan: ForkPlan | ForkMasks | Tensor,
    *,
    table: NoiseTable,
    rows: int | None = None,
    columns: int | None = None,
    scaling_factor: float | Tensor = 1.0,
    shift_factor: float | Tensor = 0.0,
    micro_batch: int | None = None,
    callback: Callback | None = None,
    **controls: Unpack[ControlOptions],
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
        scaling_factor: Of the latents, (latents - shift_factor) * scaling_factor being the model's; a number
            or (C, 1, 1).
        shift_factor: Likewise.
        micro_batch: The most forks in one batch, 1 or more; default all.
        callback: Told a `Progress` after each call of the network; returning False stops the run.
        **controls: The fields of `Controls`: sampler, schedule, steps, mode, fork_at, seed and the others.

    Returns:
        The forks, in the plan's order.

    Raises:
        InvalidTypeError: An object, a dtype or an argument that is not allowed.
        InvalidValueError: A number, shape or name that is not allowed.
        DenoiserError: The denoiser returned something unusable; the message says at which step and sigma.
            This, the next two and every exception of the denoiser's or the callback's own carry the forks
            that were finished as `result`.
        CancelledError: The callback stopped the run.
        RunInterrupted: Ctrl-C; a KeyboardInterrupt.
    """
    sampling = prepare_forks(
        latents,
        plan,
        Controls.from_options(controls),
        table=table,
        rows=rows,
        columns=columns,
        latent_format=LatentFormat(scaling_factor, shift_factor),
        micro_batch=micro_batch,
        callback=callback,
    )
    return sampling.complete(answer_with(denoiser))


def prepare_forks(
    latents: Tensor,
    plan: ForkPlan | ForkMasks | Tensor,
    controls: Controls,
    *,
    table: NoiseTable,
    rows: int | None = None,
    columns: int | None = None,
    latent_format: LatentFormat | None = None,
    micro_batch: int | None = None,
    callback: Callback | None = None,
    own_sheets: bool = False,
) -> ForkSampling:
    """The sampling that `sample_forks` completes, for whoever drives the network in another way.

    Args and errors are those of `sample_forks`; all that is wrong is said here, before anything is sampled.
    With `own_sheets` the forks are of a sheet each: latents is (N, B, C, ..., h, w), and they are never
    together.
    """
    masks = as_fork_masks(plan, rows, columns)
    walked = controls.sigma_range(table)
    if controls.compat:
        walked = original_node.cut_range(walked)
        masks = original_node.change_masks(masks, walked, controls.sampler)
    sheets = _check_latents(latents, masks, own_sheets=own_sheets)
    part_at = controls.part_at(walked)
    if len(masks.sheets) > 1 and part_at >= walked.stop < len(walked.sigmas) - 1:
        raise InvalidValueError(
            "return_with_leftover_noise can't keep several sheets, one for each try of the cells; "
            "allowed: one variant, or forks that part before the run stops"
        )
    if own_sheets and (part_at or controls.compat):
        raise InvalidValueError(
            "forks of a sheet each can't be sampled together; allowed: fork_at=0, no compat"
        )
    seeds = choose_seeds(controls.seed, controls.fork_seeds, len(masks))
    run = ForkRun(
        latents=sheets,
        masks=masks,
        table=table,
        sampler=controls.sampler,
        sigmas=walked.sigmas,
        first=walked.first,
        steps=walked.steps,
        fork_at=part_at,
        seeds=seeds,
        noise=_choose_start_noise(sheets[0], seeds, add_noise=controls.add_noise, noise=controls.noise),
        blend=controls.blend,
        sheet_conditioning=controls.sheet_conditioning,
        latent_format=latent_format or LatentFormat(),
    )
    finish = original_node.finish_as_original if controls.compat else finish_forks
    return ForkSampling(run, walked.stop, micro_batch=micro_batch, callback=callback, finish=finish)


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
    sampling = prepare_continuation(
        forks,
        sampler=sampler,
        end_at_step=end_at_step,
        return_with_leftover_noise=return_with_leftover_noise,
        micro_batch=micro_batch,
        callback=callback,
    )
    return sampling.complete(answer_with(denoiser))


def prepare_continuation(
    forks: ForkLatents,
    *,
    sampler: str | None = None,
    end_at_step: int | None = None,
    return_with_leftover_noise: bool = False,
    micro_batch: int | None = None,
    callback: Callback | None = None,
) -> ForkSampling:
    """The sampling that `continue_forks` completes; arguments and errors are the same."""
    if forks.run is None or forks.state is None:
        raise InvalidValueError(
            f"forks have sigma {forks.sigma:g} and no state to go on from; allowed: the result of a run that "
            "stopped before its last step with return_with_leftover_noise=True and compat=False"
        )
    run, state = forks.run, forks.state
    if sampler is not None and get_sampler(sampler).name != run.sampler:
        # One solver's history means nothing to another.
        run, state = replace(run, sampler=sampler), replace(state, memory={})
    stop = run.step_count
    if end_at_step is not None:
        low = run.first + state.step
        stop = min(check_count("end_at_step", end_at_step, low + 1) - run.first, stop)
    if stop < run.step_count and not return_with_leftover_noise:
        sigmas = run.sigmas[: stop + 1].clone()
        sigmas[-1] = 0
        run = replace(run, sigmas=sigmas, fork_at=min(run.fork_at, stop))
    return ForkSampling(
        run, stop, forks=forks.numbers, state=state, micro_batch=micro_batch, callback=callback
    )


def _check_latents(latents: object, masks: ForkMasks, *, own_sheets: bool) -> Tensor:
    """The clean sheets, if the masks fit them: a copy, as the result goes on saying what they were.

    Returns:
        (1, B, C, ..., h, w), or (N, ...) where forks have sheets of their own.
    """
    if not isinstance(latents, Tensor) or not latents.is_floating_point():
        kind = latents.dtype if isinstance(latents, Tensor) else type(latents).__name__
        raise InvalidTypeError(f"latents is {kind}; allowed: a tensor of floating numbers")
    sheets = latents if own_sheets else latents[None]
    if sheets.ndim not in (5, 6) or not sheets.numel():
        raise InvalidValueError(
            f"latents has shape {tuple(latents.shape)}; allowed: (B, C, h, w) or (B, C, T, h, w), not empty"
        )
    if len(sheets) not in {1, len(masks)}:
        raise InvalidValueError(f"latents has {len(sheets)} sheets; allowed: {len(masks)}, one for each fork")
    if tuple(latents.shape[-2:]) != masks.size:
        raise InvalidValueError(
            f"latents has shape {tuple(latents.shape)} and the masks are {masks.size[0]} x {masks.size[1]}; "
            "allowed: masks as large as the latents"
        )
    if not bool(latents.isfinite().all()):
        raise InvalidValueError("latents has NaN or infinities; allowed: finite numbers")
    return sheets.detach().clone(memory_format=torch.contiguous_format)


def _choose_start_noise(
    latents: Tensor, seeds: Sequence[int], *, add_noise: bool, noise: Tensor | None
) -> Tensor | None:
    """The noise that a run starts from, (1, B, C, ..., h, w) on the CPU; None when each fork draws its own.

    Args:
        latents: The clean sheet.
        seeds: One for all forks, or one for each.
        add_noise: False gives zeros.
        noise: Taken instead of a draw: of latents' shape, for all forks.

    Raises:
        InvalidTypeError: Noise that is no tensor.
        InvalidValueError: Noise of another shape.
    """
    if noise is not None:
        if not isinstance(noise, Tensor):
            raise InvalidTypeError(f"noise is {type(noise).__name__}; allowed: a tensor shaped like latents")
        if noise.shape != latents.shape:
            raise InvalidValueError(
                f"noise has shape {tuple(noise.shape)}; allowed: that of latents, {tuple(latents.shape)}"
            )
        return noise.detach()[None].cpu()
    if not add_noise:
        return torch.zeros((1, *latents.shape), dtype=latents.dtype)
    if len(seeds) > 1:
        return None
    return initial_noise(latents.shape, seeds[0], dtype=latents.dtype)[None]
