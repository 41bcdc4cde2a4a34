"""Exchange a pipeline's scheduler for one that answers from the engine, for the length of a call.

A pipeline's loop asks its scheduler three things: at which timesteps to call the network, how to scale what
the network reads, and what to read next, given the network's output. The engine's scheduler is a copy of the
pipeline's own whose class is a subclass of the scheduler's own class, since some pipelines check it.
"""

from __future__ import annotations

import copy
import inspect
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import MaskGridError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskgrid.hosts.diffusers.loop_translator import LoopTranslator

__all__ = ["exchange_scheduler", "install_engine_scheduler"]


@contextmanager
def exchange_scheduler(pipe: Any, scheduler: Any) -> Iterator[None]:
    """Give a pipeline another scheduler; its own is put back whatever happens.

    Written past the pipeline's `__setattr__`, which would note the other's class in the pipeline's config.
    """
    original = pipe.scheduler
    object.__setattr__(pipe, "scheduler", scheduler)
    try:
        yield
    except BaseException:
        # A pipeline that is left in the middle of its loop does not take its networks off the device itself.
        if hasattr(pipe, "maybe_free_model_hooks"):
            pipe.maybe_free_model_hooks()
        raise
    finally:
        object.__setattr__(pipe, "scheduler", original)


@contextmanager
def install_engine_scheduler(pipe: Any, translator: LoopTranslator) -> Iterator[None]:
    """Have a pipeline's loop driven by the engine; its own scheduler is put back whatever happens."""
    scheduler = copy.copy(pipe.scheduler)
    own: Any = type(pipe.scheduler)
    scheduler.__class__ = _engine_scheduler_class(own)
    scheduler.translator = translator
    try:
        with exchange_scheduler(pipe, scheduler):
            yield
    finally:
        translator.close()


@cache
def _engine_scheduler_class(base: type) -> type:
    """The subclass of a scheduler's class that answers from the engine.

    Pipelines read the signatures of `set_timesteps` and `step` to decide what to pass, so both keep the
    base's.
    """
    set_timesteps_signature = inspect.signature(base.set_timesteps)  # type: ignore[attr-defined]

    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> None:
        given = set_timesteps_signature.bind(self, *args, **kwargs).arguments
        _set_timesteps(self, device=given.get("device"), mu=given.get("mu"))

    def step(
        self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        following = self.translator.answer(model_output)
        self._step_index = self.translator.calls
        # A pipeline may want its latents in the dtype of its embeddings, whatever the network's is.
        result = sample if following is None else following.to(sample)
        return (result,) if kwargs.get("return_dict", True) is False else _StepOutput(result)

    def scale_model_input(self: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return sample

    set_timesteps.__signature__ = set_timesteps_signature  # type: ignore[attr-defined]
    step.__signature__ = inspect.signature(base.step)  # type: ignore[attr-defined]
    members = {
        "set_timesteps": set_timesteps,
        "step": step,
        "scale_model_input": scale_model_input,
        "init_noise_sigma": 1.0,
        "order": 1,
        "__module__": __name__,
    }
    return type(f"Engine{base.__name__}", (base,), members)


class _StepOutput:
    """What `step` returns to those who ask for no tuple."""

    def __init__(self, prev_sample: Tensor) -> None:
        self.prev_sample = prev_sample

    def __getitem__(self, index: int) -> Tensor:
        return (self.prev_sample,)[index]


def _set_timesteps(scheduler: Any, *, device: Any, mu: float | None) -> None:
    """Set what pipelines read of a scheduler after `set_timesteps`."""
    translator: LoopTranslator = scheduler.translator
    # A pipeline may pass a mu that its scheduler was told to ignore.
    if translator.mu is not None and mu is not None and abs(mu - translator.mu) > 1e-6:
        raise MaskGridError(
            f"the pipeline shifts its noise by mu {mu}, the noise table was made with {translator.mu}; "
            "allowed: a pipeline that shifts by its image size alone"
        )
    scheduler.timesteps = translator.timesteps.to(device)
    scheduler.sigmas = torch.cat([translator.sigmas, torch.zeros(1)])
    scheduler.num_inference_steps = len(translator.sigmas)
    scheduler._step_index = None
    scheduler._begin_index = None
