"""One call of a sampler node: what it samples, in which micro-batches, and the forks that come of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.sample
import comfy.utils
import torch

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.comfyui.carried_forks import CarriedForks, carried_by, latent_with
from maskgrid.hosts.comfyui.conditioning_rows import conds_of_forks, conds_of_one_fork
from maskgrid.hosts.comfyui.finish_forks import copy_cells, finish_forks, merge_forks
from maskgrid.hosts.comfyui.fork_options import seeds_of
from maskgrid.hosts.comfyui.fork_progress import ForkProgress
from maskgrid.hosts.comfyui.fork_sampler import ForkSampler
from maskgrid.hosts.comfyui.micro_batches import Generators, fitting_forks, run_in_batches
from maskgrid.hosts.comfyui.sampler_habits import find_habits
from maskgrid.hosts.comfyui.sheet_plan import over_time, plan_sheet, read_cells
from maskgrid.hosts.comfyui.single_run_draws import repeat_rows
from maskgrid.hosts.comfyui.together_calls import TogetherCalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskgrid.hosts.comfyui.fork_options import ForkOptions
    from maskgrid.hosts.comfyui.sheet_plan import SheetPlan

__all__ = ["SheetRun", "prepare_run"]

Latent = dict[str, Any]


def prepare_run(
    objects: tuple[Any, Any, Any, torch.Tensor],
    latent: Latent,
    mask: torch.Tensor,
    options: ForkOptions,
    *,
    start: int,
) -> SheetRun:
    """Check what was asked for, plan the forks and draw their noise.

    Args:
        objects: NOISE, GUIDER, SAMPLER and SIGMAS.
        latent: The sheet, or unfinished forks with leftover noise.
        mask: The stencil.
        options: What is asked for.
        start: The step that sigmas[0] is.

    Raises:
        MaskGridError: What was asked for does not fit the latent, or is not possible.
    """
    noise, guider, sampler, sigmas = objects
    latent = _with_samples(guider.model_patcher, latent)
    first = noise.generate_noise(latent)
    state = Generators(guider.model_patcher.load_device)
    carried = None if first.any() else carried_by(latent, options.rows, options.columns)
    if carried is None:
        plan = _plan(guider.model_patcher, latent["samples"], mask, options)
    else:
        plan, first = carried.plan, carried.noise
    seeds = seeds_of(options, noise.seed, len(plan.cells))
    seeds = [seeds[number] for number in plan.live]
    states = [state]
    if carried is None and len(set(seeds)) > 1 and first.any():
        first, states = _noise_of_seeds(noise, seeds, latent, guider.model_patcher.load_device)
    together = options.steps_together(start, max(0, len(sigmas) - 1))
    run = SheetRun(guider, sampler, sigmas, latent, plan, options, carried, first, seeds, states, together)
    _check(run)
    return run


@dataclass(frozen=True, slots=True)
class SheetRun:
    """A run of forks in ComfyUI, prepared: what `prepare_run` found.

    Attributes:
        guider: The GUIDER.
        sampler: The SAMPLER.
        sigmas: (steps + 1,) noise levels.
        latent: The LATENT that was given.
        plan: The forks.
        options: What is asked for.
        carried: What the latent carries, None for a sheet.
        noise: (B, ...) for all live forks, or (n * B, ...).
        seeds: Of each live fork.
        states: The global generators after the noise was drawn, for all live forks or for each.
        together: Steps before the forks part.
    """

    guider: Any
    sampler: Any
    sigmas: torch.Tensor
    latent: Latent
    plan: SheetPlan
    options: ForkOptions
    carried: CarriedForks | None
    noise: torch.Tensor
    seeds: list[int]
    states: list[Generators]
    together: int

    @property
    def sheet(self) -> torch.Tensor:
        """(B, C, [T], h, w): the clean latents."""
        samples: torch.Tensor = self.latent["samples"] if self.carried is None else self.carried.sheet
        return samples

    @property
    def steps(self) -> int:
        """How many steps a run of a sheet takes in ComfyUI."""
        return max(0, len(self.sigmas) - 1)

    def results(self) -> tuple[Latent, Latent]:
        """Sample; the LATENT of the forks and that of the merged sheet."""
        if not self.steps or not self.plan.live:
            rows = self.latent["samples"]
            forks = repeat_rows(rows, len(self.plan.cells)) if self.carried is None else rows
            merged = merge_forks(self.plan, rows[: len(self.sheet)], forks)
            return latent_with(self.latent, forks, self.carried), latent_with(self.latent, merged)
        noisy, compat = float(self.sigmas[-1]) > 0, self.options.compat
        sampled = self._sampled()
        sheet = self.sheet.to(sampled)
        if noisy and compat and self.together >= self.steps:
            forks, background = copy_cells(self.plan, sheet, sampled), sheet
        else:
            forks = finish_forks(self.plan, sheet, sampled, noisy=noisy)
            background = sampled[: len(sheet)] if noisy else sheet
        merged = merge_forks(self.plan, background, forks)
        carried = None
        if noisy and not compat:
            carried = CarriedForks(self.sheet, self.noise, self.plan, self.together >= self.steps)
        return latent_with(self.latent, forks, carried), latent_with(self.latent, merged)

    def _sampled(self) -> torch.Tensor:
        """(n * B, ...) of the live forks; (B, ...) where they never part."""
        patcher, count = self.guider.model_patcher, len(self.plan.live)
        progress = ForkProgress(patcher, over_time(self.plan.masks, self.sheet), self.steps)
        if self.together >= self.steps:
            callback = progress.of_batch(range(count), together=True)
            return self._sample(range(1), self.plan.union, None, callback)
        habits = find_habits(patcher, self.sampler, self.sigmas, tuple(self.sheet.shape))
        size = self.options.micro_batch or fitting_forks(patcher, self.sheet.shape, count)
        if habits.couples or (habits.draws and len(set(self.seeds)) > 1):
            size = 1
        shared = None
        if self.together:
            calls = None if habits.couples else habits.calls_before.get(self.together)
            union = over_time(self.plan.union, self.sheet)
            shared = TogetherCalls(union, len(self.sheet), calls, float(self.sigmas[self.together]))

        def run(forks: range) -> torch.Tensor:
            self.states[forks.start % len(self.states)].restore()
            masks = self.plan.masks[forks.start : forks.stop]
            return self._sample(forks, masks, shared, progress.of_batch(forks))

        return torch.cat(run_in_batches(count, size, run))

    def _sample(
        self, forks: range, masks: torch.Tensor, shared: TogetherCalls | None, callback: Any
    ) -> torch.Tensor:
        """One call of the guider: these live forks, or the sheet with the union mask as the first of them."""
        rows = len(self.sheet)
        start = None if self.carried is None else self._carried_rows(forks)
        sampler = ForkSampler(
            self.sampler,
            rows,
            together=shared,
            differential=self.options.blend == "differential",
            start=start,
        )
        noise = self.noise
        noise = repeat_rows(noise, len(forks)) if len(noise) == rows else self._rows(noise, forks)
        samples = self._guider(forks).sample(
            noise,
            repeat_rows(self.sheet, len(forks)),
            sampler,
            # uni_pc writes into them.
            self.sigmas.clone(),
            denoise_mask=over_time(masks, self.sheet).repeat_interleave(rows, 0),
            callback=callback,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=self.seeds[forks.start],
        )
        memory = comfy.model_management
        kind = memory.intermediate_dtype() if hasattr(memory, "intermediate_dtype") else samples.dtype
        result: torch.Tensor = samples.to(device=memory.intermediate_device(), dtype=kind)
        return result

    def _guider(self, forks: range) -> Any:
        """The guider with the conditioning of these forks; the user's own stays as it is."""
        guider = copy.copy(self.guider)
        conds = getattr(guider, "original_conds", None)
        if conds is None:
            return guider
        if self.options.prompt_per_fork:
            numbers = [self.plan.live[fork] for fork in forks]
            guider.original_conds = conds_of_forks(conds, numbers, len(self.plan.cells), len(self.sheet))
        else:
            guider.original_conds = conds_of_one_fork(conds, len(self.sheet))
        return guider

    def _carried_rows(self, forks: range) -> torch.Tensor:
        """The unfinished latents of live forks, which stand among those without anything to sample."""
        samples, rows = self.latent["samples"], len(self.sheet)
        numbers = [self.plan.live[fork] for fork in forks]
        return torch.cat([samples[number * rows : (number + 1) * rows] for number in numbers])

    def _rows(self, tensor: torch.Tensor, forks: range) -> torch.Tensor:
        rows = len(self.sheet)
        return tensor[forks.start * rows : forks.stop * rows]


def _with_samples(patcher: Any, latent: Latent) -> Latent:
    """The latent with the channels and axes that the model has.

    Raises:
        InvalidTypeError: Nested latents.
        InvalidValueError: Latents without height and width.
    """
    samples = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise InvalidTypeError(
            "the latent is nested, such as video with sound; allowed: the latent of the pictures alone"
        )
    names = ("downscale_ratio_spacial", "downscale_ratio_temporal")
    more = {name: latent[name] for name in names if latent.get(name) is not None}
    samples = comfy.sample.fix_empty_latent_channels(patcher, samples, **more)
    if samples.ndim not in (4, 5):
        raise InvalidValueError(
            f"the latent has shape {tuple(samples.shape)}; allowed: (B, C, h, w) or (B, C, T, h, w)"
        )
    return {**latent, "samples": samples}


def _plan(patcher: Any, sheet: torch.Tensor, mask: torch.Tensor, options: ForkOptions) -> SheetPlan:
    return plan_sheet(
        # The original node looks at the first mask only.
        mask[:1] if options.compat else mask,
        sheet.shape[-2:],
        options.rows,
        options.columns,
        stride=getattr(patcher.get_model_object("latent_format"), "spacial_downscale_ratio", None),
        coverage=options.coverage,
        cells=read_cells(options.cells, options.rows * options.columns),
    )


def _noise_of_seeds(
    noise: Any, seeds: Sequence[int], latent: Latent, device: Any
) -> tuple[torch.Tensor, list[Generators]]:
    """(n * B, ...) noise of each fork's own seed, and the global generators after each."""
    drawn, states = [], []
    for seed in seeds:
        seeded = copy.copy(noise)
        seeded.seed = seed
        drawn.append(seeded.generate_noise(latent))
        states.append(Generators(device))
    return torch.cat(drawn), states


def _check(run: SheetRun) -> None:
    """Refuse inputs of a sampler node that contradict each other."""
    if not run.together or not run.steps:
        return
    part = f"the forks part at step {run.together} of this run"
    if len(set(run.seeds)) > 1:
        raise InvalidValueError(
            f"{part}, up to where they have one noise, and seed_mode is {run.options.seed_mode!r}; allowed: "
            "seed_mode same, or mode Fork then Sample"
        )
    if run.options.prompt_per_fork:
        raise InvalidValueError(
            f"{part} and each fork has its own prompt; allowed: prompt_per_fork off, or mode Fork then Sample"
        )
    if run.carried is not None and not run.carried.together:
        raise InvalidValueError(
            f"{part}, but those that the latent carries have parted already; allowed: mode Fork then Sample"
        )
