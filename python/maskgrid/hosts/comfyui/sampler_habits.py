"""What a sampler does with its network, found by running it on a latent of 2 x 2."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch

from maskgrid.hosts.comfyui.single_run_draws import SingleRunDraws

__all__ = ["SamplerHabits", "find_habits"]


@dataclass(frozen=True, slots=True)
class SamplerHabits:
    """What was found; the defaults are what is safe with a sampler that can't be tried.

    Attributes:
        calls_before: For each step the number of network calls before its first one; empty when unknown.
        draws: Whether it draws noise at its steps.
        couples: Whether the rows of a batch influence each other, as by an error norm over all of them.
    """

    calls_before: dict[int, int] = field(default_factory=dict)
    draws: bool = True
    couples: bool = True


class _TinyNetwork:
    """Stands for the masked model: a smooth function of each number alone, which notes its calls."""

    def __init__(self, patcher: Any) -> None:
        self.levels: list[float] = []
        self.first_calls: dict[int, int] = {}
        self.inner_model = SimpleNamespace(
            inner_model=patcher.model, model_patcher=patcher, cfg=1.0, model_options={}, conds={}
        )

    def __call__(
        self, x: torch.Tensor, sigma: torch.Tensor, *, model_options: dict[str, Any], **_: Any
    ) -> torch.Tensor:
        self.levels.append(float(sigma.flatten()[0]))
        denoised = torch.sin(x) * 0.8 + 0.1
        # The cfg_pp kind gets the unconditional prediction by a hook of its own.
        for hook in model_options.get("sampler_post_cfg_function", ()):
            denoised = hook(
                {
                    "denoised": denoised,
                    "cond_denoised": denoised,
                    "uncond_denoised": denoised * 0.9,
                    "cond": None,
                    "uncond": None,
                    "cond_scale": 1.0,
                    "model": self.inner_model.inner_model,
                    "sigma": sigma,
                    "model_options": model_options,
                    "input": x,
                }
            )
        return denoised

    def note_step(self, info: dict[str, Any]) -> None:
        """A sampler reports a step after the first call of it, or after its only one."""
        self.first_calls.setdefault(int(info["i"]), len(self.levels) - 1)


def find_habits(patcher: Any, sampler: Any, sigmas: torch.Tensor, shape: tuple[int, ...]) -> SamplerHabits:
    """Try a sampler on one row, and on two that differ.

    Args:
        patcher: ComfyUI's model patcher.
        sampler: A SAMPLER object.
        sigmas: (steps + 1,) the noise levels of the run.
        shape: The shape of the latents, whose axes and channels the trial has.

    Returns:
        Its habits; the safe ones for a sampler without a function of its own, or that can't run so.
    """
    if not hasattr(sampler, "sampler_function") or len(sigmas) < 2:
        return SamplerHabits()
    levels = sigmas.detach().float().cpu()
    row = torch.randn((1, *shape[1:-2], 2, 2), generator=torch.Generator().manual_seed(0))
    row = row * levels[0]
    try:
        alone, network, draws = _run(patcher, sampler, levels, row)
        both, other, _ = _run(patcher, sampler, levels, torch.cat([row, row.flip(1) * 3 + 1]))
    # A sampler may ask for anything of a real model; whatever it raises, it can't be tried.
    except Exception:
        logging.warning("maskgrid: this sampler can't be tried out, so its forks are sampled one by one")
        logging.debug("maskgrid: why it can't", exc_info=True)
        return SamplerHabits()
    # An adaptive sampler chooses its noise levels by all rows. What is not a number counts as coupled.
    same = network.levels == other.levels and bool(
        (alone[0] - both[0]).abs().max() <= 1e-5 * max(1.0, float(alone.abs().max()))
    )
    return SamplerHabits(network.first_calls, draws=draws > 0, couples=not same)


def _run(
    patcher: Any, sampler: Any, levels: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, _TinyNetwork, int]:
    network = _TinyNetwork(patcher)
    # One fork of one row is a batch of one, which every draw of the sampler has.
    with torch.random.fork_rng(devices=[]), SingleRunDraws(1, len(x)) as draws:
        torch.manual_seed(0)
        result = sampler.sampler_function(
            network,
            x.clone(),
            # Some write into it.
            levels.clone(),
            extra_args={"model_options": {}, "seed": 0, "denoise_mask": None},
            callback=network.note_step,
            disable=True,
            **sampler.extra_options,
        )
    return result, network, draws.draws
