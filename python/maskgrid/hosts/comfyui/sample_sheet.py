"""The sampler nodes: forks of a LATENT by ComfyUI's own samplers, and the sheet with all new cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.sample
import comfy.samplers
import torch

from maskgrid.hosts.comfyui.micro_batches import keep_generators
from maskgrid.hosts.comfyui.sheet_run import prepare_run

if TYPE_CHECKING:
    from maskgrid.hosts.comfyui.fork_options import ForkOptions

__all__ = ["cut_sigmas", "sample_sheet", "sample_with_guider"]

Latent = dict[str, Any]


def sample_with_guider(
    objects: tuple[Any, Any, Any, torch.Tensor],
    latent: Latent,
    mask: torch.Tensor,
    options: ForkOptions,
    *,
    start: int = 0,
) -> tuple[Latent, Latent]:
    """The forks of a sheet, with the objects of ComfyUI's custom sampling.

    Args:
        objects: NOISE, with `generate_noise(latent)` and `seed`; GUIDER; SAMPLER; and SIGMAS (steps + 1,).
        latent: The sheet, or unfinished forks with leftover noise.
        mask: The stencil, (B, H, W, C) or (B, H, W).
        options: What is asked for.
        start: The step that sigmas[0] is, for `fork_at`.

    Returns:
        The forks, fork after fork with B rows each; and the merged sheet, B rows.

    Raises:
        MaskGridError: What was asked for does not fit the latent, or is not possible.
    """
    with keep_generators(objects[1].model_patcher.load_device):
        return prepare_run(objects, latent, mask, options, start=start).results()


def sample_sheet(
    conditioned: tuple[Any, Any, Any],
    controls: dict[str, Any],
    latent: Latent,
    mask: torch.Tensor,
    options: ForkOptions,
) -> tuple[Latent, Latent]:
    """The forks of a sheet, with the controls of KSamplerAdvanced.

    Args:
        conditioned: MODEL, and the positive and negative CONDITIONING.
        controls: add_noise, noise_seed, steps, cfg, sampler_name, scheduler, start_at_step, end_at_step,
            return_with_leftover_noise, and denoise if it is not 1.
        latent: The sheet, or unfinished forks with leftover noise.
        mask: The stencil.
        options: What is asked for.

    Returns:
        As `sample_with_guider`.

    Raises:
        MaskGridError: As `sample_with_guider`.
    """
    model, positive, negative = conditioned
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(controls["cfg"])
    noise = _SeededNoise(controls["noise_seed"], add=controls["add_noise"] == "enable")
    sigmas = cut_sigmas(model, controls)
    sampler = comfy.samplers.sampler_object(controls["sampler_name"])
    start = controls["start_at_step"]
    return sample_with_guider((noise, guider, sampler, sigmas), latent, mask, options, start=start)


def cut_sigmas(model: Any, controls: dict[str, Any]) -> torch.Tensor:
    """The noise levels of a run with KSamplerAdvanced's controls; one or none where nothing is to be done."""
    names = controls["sampler_name"], controls["scheduler"]
    sigmas: torch.Tensor = comfy.samplers.KSampler(
        model, controls["steps"], model.load_device, *names, controls.get("denoise", 1.0), model.model_options
    ).sigmas
    if controls["end_at_step"] < len(sigmas) - 1:
        # A copy: the whole schedule may be somebody else's.
        sigmas = sigmas[: controls["end_at_step"] + 1].clone()
        if controls["return_with_leftover_noise"] != "enable":
            sigmas[-1] = 0
    return sigmas[min(controls["start_at_step"], max(len(sigmas) - 1, 0)) :]


@dataclass(slots=True)
class _SeededNoise:
    """A NOISE as KSamplerAdvanced makes it."""

    seed: int
    add: bool

    def generate_noise(self, latent: Latent) -> torch.Tensor:
        """Noise of the shape of the samples, or none."""
        samples: torch.Tensor = latent["samples"]
        if not self.add:
            return torch.zeros_like(samples, device="cpu")
        noise: torch.Tensor = comfy.sample.prepare_noise(samples, self.seed, latent.get("batch_index"))
        return noise
