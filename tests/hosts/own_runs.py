"""A pipeline's own runs, which a white stencil is to give too."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import diffusers as d
import torch
from families import SIZE
from forking_hosts import fork_latents, relative, sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from maskgrid.hosts.diffusers import DiffusersHost

__all__ = ["distance_from_own_run", "own_run"]


def own_run(
    pipe: Any, told: Mapping[str, Any], latents: Tensor, size: tuple[int, int], **options: Any
) -> tuple[Any, Any]:
    """The pipeline's own run with Euler: what it returns, and the scheduler afterwards."""
    if "use_resolution_binning" in inspect.signature(pipe.__call__).parameters:
        options = {**options, "use_resolution_binning": False}
    before, pipe.scheduler = pipe.scheduler, _euler_of(pipe)
    try:
        result = pipe(**told, latents=latents, height=size[0], width=size[1], return_dict=False, **options)[0]
        return result, pipe.scheduler
    finally:
        pipe.scheduler = before


def distance_from_own_run(host: DiffusersHost, told: Mapping[str, Any]) -> float:
    """How far a white stencil's latents are from those of the pipeline's own run, relative; of both modes."""
    family, steps = host.family, 4
    noise = sheet(host, seed=5)
    pixels = (SIZE[0] * host.stride, SIZE[1] * host.stride)
    given = family.latents_argument(noise).to(host.dtype)
    packed, scheduler = own_run(
        host.pipe, told, given, pixels, num_inference_steps=steps, output_type="latent"
    )
    sigmas = scheduler.sigmas
    assert len(sigmas) == steps + 1

    # The noise with which our run starts from the same x, whatever the sheet.
    table, image = host.table(SIZE, steps), sheet(host)
    x = noise * getattr(scheduler, "init_noise_sigma", 1)
    unit = table.start(torch.zeros(()), torch.ones(()), sigmas[0])
    start = (x - table.start(image, torch.zeros_like(image), sigmas[0])) / unit
    white = {"masks": torch.ones(1, 1, *SIZE), "noise": start, "schedule": sigmas, "steps": steps}
    ours = (fork_latents(host, told, mode=mode, **white).latents for mode in ("sample", "fork"))
    expected = family.unpack(packed, SIZE).float()
    return max(relative(latents, expected) for latents in ours)


def _euler_of(pipe: Any) -> Any:
    """diffusers' Euler scheduler for the model of a pipeline."""
    config = pipe.scheduler.config
    if config.get("prediction_type") in ("epsilon", "v_prediction"):
        return d.EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    shift = config.get("flow_shift", config.get("shift"))
    return d.FlowMatchEulerDiscreteScheduler.from_config(config, shift=shift)
