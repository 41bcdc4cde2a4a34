"""The hosted scheduler: how the engine drives a pipeline that knows nothing of it.

A pipeline's loop asks its scheduler three things: at which timesteps to call the network, how to scale what
the network reads, and what to read next, given the network's output. The hosted scheduler answers from a
stretch of the engine. It is a copy of the pipeline's own scheduler whose class is a subclass of the
scheduler's own class, since some pipelines check it, and it lives for one pipeline call.
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
from maskgrid.hosts.diffusers.planned_calls import plan_calls
from maskgrid.sampling.forking.denoise import denoise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskgrid.sampling.forking.denoise import Stretch
    from maskgrid.sampling.forking.request import Request
    from maskgrid.sampling.forking.state import State
    from maskgrid.sampling.noise_levels.noise_table import NoiseTable

__all__ = ["Conversation", "exchanged", "hosted"]


class Conversation:
    """A stretch, answered by a pipeline's loop.

    Args:
        stretch: The steps to walk.
        table: The model's noise table.
        pack: The engine's latents (n, C, ..., h, w) as they go through the pipeline's loop.
        unpack: The inverse.
        mu: The dynamic shift that the table was made with; None without.

    Attributes:
        steps: The step of the whole schedule that each call belongs to.
        sigmas: (calls,) float32, that of each call.
        calls: How many were answered.
        end: Where the stretch ends; None until all were.
    """

    def __init__(
        self,
        stretch: Stretch,
        table: NoiseTable,
        *,
        pack: Callable[[Tensor], Tensor],
        unpack: Callable[[Tensor], Tensor],
        mu: float | None,
    ) -> None:
        calls = plan_calls(stretch)
        self.steps = [step for step, _ in calls]
        self.sigmas = torch.stack([sigma for _, sigma in calls])
        self.table = table
        self.mu = mu
        self.calls = 0
        self._pack = pack
        self._unpack = unpack
        self.end: State | None = None
        self._requests = denoise(stretch)
        self._request: Request | None = next(self._requests)

    @property
    def request(self) -> Request:
        """What the engine waits for.

        Raises:
            MaskGridError: It waits for nothing more.
        """
        if self._request is None:
            raise MaskGridError(
                f"the pipeline calls its network more than the {len(self.sigmas)} times it was told; "
                "its loop does not follow scheduler.timesteps, so it can't be hosted"
            )
        return self._request

    @property
    def is_complete(self) -> bool:
        """Whether the engine waits for nothing more."""
        return self._request is None

    @property
    def timesteps(self) -> Tensor:
        """What the network is to be conditioned on at each call."""
        return self.table.timestep(self.sigmas)

    def network_input(self) -> Tensor:
        """(n, C, ..., h, w) what the network reads next, scaled."""
        request = self.request
        return self.table.scale_input(request.x, request.sigma)

    def answer(self, output: Tensor) -> Tensor | None:
        """Tell the engine the network's output; returns the pipeline's next latents, None at the end."""
        request = self.request
        self.calls += 1
        prediction = self._unpack(output).to(request.x)
        if prediction.shape != request.x.shape:
            raise MaskGridError(
                f"the pipeline's network answers with {tuple(prediction.shape)} at {request}; "
                f"allowed: the shape of the latents it is shown, {tuple(request.x.shape)}"
            )
        denoised = self.table.denoised(request.x, prediction, request.sigma)
        try:
            self._request = self._requests.send(denoised)
        except StopIteration as end:
            self._request, self.end = None, end.value
            return None
        return self._pack(self.network_input())

    def close(self) -> None:
        """End the engine's side; a stretch that was not walked to its end has no result."""
        self._requests.close()

    def complete(self) -> State:
        """Where the stretch ends.

        Raises:
            MaskGridError: The pipeline's loop ended early.
        """
        if self.end is None:
            raise MaskGridError(
                f"the pipeline called its network {self.calls} times, not {len(self.sigmas)}; "
                "its loop does not follow scheduler.timesteps, so it can't be hosted"
            )
        return self.end


@contextmanager
def exchanged(pipe: Any, scheduler: Any) -> Iterator[None]:
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
def hosted(pipe: Any, conversation: Conversation) -> Iterator[None]:
    """Exchange a pipeline's scheduler for the hosted one; it is put back whatever happens."""
    scheduler = copy.copy(pipe.scheduler)
    own: Any = type(pipe.scheduler)
    scheduler.__class__ = _hosted_class(own)
    scheduler.conversation = conversation
    try:
        with exchanged(pipe, scheduler):
            yield
    finally:
        conversation.close()


@cache
def _hosted_class(base: type) -> type:
    """The subclass of a scheduler's class that answers from a conversation.

    Pipelines read the signatures of `set_timesteps` and `step` to decide what to pass, so both keep the
    base's.
    """
    set_timesteps_signature = inspect.signature(base.set_timesteps)  # type: ignore[attr-defined]

    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> None:
        given = set_timesteps_signature.bind(self, *args, **kwargs).arguments
        _begin(self, device=given.get("device"), mu=given.get("mu"))

    def step(
        self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        following = self.conversation.answer(model_output)
        self._step_index = self.conversation.calls
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
    return type(f"Hosted{base.__name__}", (base,), members)


class _StepOutput:
    """What `step` returns to those who ask for no tuple."""

    def __init__(self, prev_sample: Tensor) -> None:
        self.prev_sample = prev_sample

    def __getitem__(self, index: int) -> Tensor:
        return (self.prev_sample,)[index]


def _begin(scheduler: Any, *, device: Any, mu: float | None) -> None:
    """Set what pipelines read after `set_timesteps`."""
    conversation: Conversation = scheduler.conversation
    # A pipeline may pass a mu that its scheduler was told to ignore.
    if conversation.mu is not None and mu is not None and abs(mu - conversation.mu) > 1e-6:
        raise MaskGridError(
            f"the pipeline shifts its noise by mu {mu}, the noise table was made with {conversation.mu}; "
            "allowed: a pipeline that shifts by its image size alone"
        )
    scheduler.timesteps = conversation.timesteps.to(device)
    scheduler.sigmas = torch.cat([conversation.sigmas, torch.zeros(1)])
    scheduler.num_inference_steps = len(conversation.sigmas)
    scheduler._step_index = None
    scheduler._begin_index = None
