"""Any SAMPLER of ComfyUI, run so that each fork among the rows of a batch gets what it would get alone."""

from __future__ import annotations

import copy
import functools
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.samplers
import torch

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.comfyui.single_run_draws import SingleRunDraws

if TYPE_CHECKING:
    from maskgrid.hosts.comfyui.together_calls import TogetherCalls

__all__ = ["ForkSampler"]

_MASK = "denoise_mask_function"


class ForkSampler(comfy.samplers.KSAMPLER):
    """Wraps a SAMPLER; the masked blend and the steps stay its own.

    Args:
        inner: The sampler.
        rows: Rows of one fork.
        together: What is shared before the forks part; None where they never were together.
        differential: Whether the mask is a level that a place waits for rather than a share, as in ComfyUI's
            Differential Diffusion.
        start: The noisy latents to go on from in place of the sheet with noise; as many rows as the run has.
    """

    def __init__(
        self,
        inner: Any,
        rows: int,
        *,
        together: TogetherCalls | None = None,
        differential: bool = False,
        start: torch.Tensor | None = None,
    ) -> None:
        # Those who wrap samplers look at these.
        function = getattr(inner, "sampler_function", None)
        extra, inpaint = getattr(inner, "extra_options", {}), getattr(inner, "inpaint_options", {})
        super().__init__(function, extra, inpaint)
        self._inner = inner if start is None else _going_on_from(inner, start)
        self._rows, self._together, self._differential = rows, together, differential

    def sample(
        self,
        model_wrap: Any,
        sigmas: torch.Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: torch.Tensor,
        latent_image: torch.Tensor | None = None,
        denoise_mask: torch.Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Any:
        """As ComfyUI's samplers; rows are forks, each `rows` of them."""
        forks = len(noise) // self._rows
        draws = SingleRunDraws(self._rows, forks) if forks > 1 else None
        watched = _WatchedModel(model_wrap, draws)
        options = extra_args["model_options"] = dict(extra_args["model_options"])
        if self._together is not None:
            given = {"noise": noise, "latent_image": latent_image, "denoise_mask": denoise_mask}
            self._together.install(
                options, watched.counter, model_wrap, {**given, "seed": extra_args.get("seed")}
            )
        if self._differential:
            _wait_for_levels(options)
        with draws or nullcontext():
            return self._inner.sample(
                watched, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar
            )


class _CallCounter:
    """Counts the network calls that ComfyUI's sampler begins."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0


class _WatchedModel:
    """A guider whose calls are counted, can be interrupted, and draw their own noise; all else is its own."""

    def __init__(self, inner: Any, draws: SingleRunDraws | None) -> None:
        self.__dict__.update(_inner=inner, _draws=draws, counter=_CallCounter())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.counter.calls += 1
        comfy.model_management.throw_exception_if_processing_interrupted()
        with self._draws.suspended() if self._draws is not None else nullcontext():
            result = self._inner(*args, **kwargs)
        comfy.model_management.throw_exception_if_processing_interrupted()
        return result


def _going_on_from(inner: Any, start: torch.Tensor) -> Any:
    """The sampler, beginning at noisy latents (rows, C, ...) as a LATENT holds them."""
    if not hasattr(inner, "sampler_function"):
        raise InvalidTypeError(
            f"the sampler is a {type(inner).__name__}, which can't go on from leftover noise; allowed: one "
            f"with "
            "a sampler_function, as all of ComfyUI's"
        )
    function = inner.sampler_function

    @functools.wraps(function)
    def go_on(model_k: Any, x: torch.Tensor, sigmas: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        model = model_k.inner_model.inner_model
        noisy = model.process_latent_in(start.to(x))
        x = model.model_sampling.noise_scaling(sigmas[0], torch.zeros_like(noisy), noisy, False)
        return function(model_k, x, sigmas, *args, **kwargs)

    result = copy.copy(inner)
    result.sampler_function = go_on
    return result


def _wait_for_levels(options: dict[str, Any]) -> None:
    """Make soft masks hard at each call: a place takes part once the time left falls below its value.

    The rule is that of Levin and Fried, Differential Diffusion, 2023, with times counted from the first to
    the last noise level of the run.
    """
    masked = options.get(_MASK)

    def mask_of_call(sigma: torch.Tensor, denoise_mask: torch.Tensor, extra_options: dict[str, Any]) -> Any:
        if masked is not None:
            denoise_mask = masked(sigma, denoise_mask, extra_options=extra_options)
        sampling, sigmas = extra_options["model"].inner_model.model_sampling, extra_options["sigmas"]
        last = torch.maximum(sigmas[-1], torch.as_tensor(sampling.sigma_min).to(sigmas))
        first_time, last_time = sampling.timestep(sigmas[0]), sampling.timestep(last)
        left = (sampling.timestep(sigma.flatten()[0]) - last_time) / (first_time - last_time)
        return (denoise_mask >= left.to(denoise_mask)).to(denoise_mask)

    options[_MASK] = mask_of_call
