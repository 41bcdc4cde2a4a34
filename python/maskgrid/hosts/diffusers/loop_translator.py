"""Translate between the engine's requests and the latents that go through a pipeline's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from maskgrid.errors import MaskGridError
from maskgrid.hosts.diffusers.planned_calls import plan_calls
from maskgrid.hosts.sharing.shared_network import SharedInput
from maskgrid.sampling import denoise

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskgrid.hosts.diffusers.guidance_halves import GuidanceWatch
    from maskgrid.sampling import NoiseTable, Request, State, Stretch

__all__ = ["LoopTranslator"]


class LoopTranslator:
    """A stretch of the engine on one side, a pipeline's loop on the other.

    Args:
        stretch: The steps to walk.
        table: The model's noise table.
        pack: The engine's latents (n, C, ..., h, w) as they go through the pipeline's loop.
        unpack: The inverse.
        mu: The dynamic shift that the table was made with; None without.
        watch: Sees what the network says without the condition, where the sampler needs it.

    Attributes:
        steps: The step of the whole schedule that each call belongs to.
        sigmas: (calls,) float32, that of each call.
        calls: How many were answered.
        end: Where the stretch ends; None until all were answered.
    """

    def __init__(
        self,
        stretch: Stretch,
        table: NoiseTable,
        *,
        pack: Callable[[Tensor], Tensor],
        unpack: Callable[[Tensor], Tensor],
        mu: float | None,
        watch: GuidanceWatch | None = None,
    ) -> None:
        planned = plan_calls(stretch)
        self.steps = [call.step for call in planned]
        self.sigmas = torch.stack([call.sigma for call in planned])
        self.table = table
        self.mu = mu
        self.calls = 0
        self._pack = pack
        self._watch = watch
        self._unpack = unpack
        self.end: State | None = None
        self._requests = denoise(stretch)
        self._request: Request | None = next(self._requests)

    @property
    def request(self) -> Request:
        """The engine's request that the pipeline's loop is to answer next.

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

    def shared_input(self) -> SharedInput | None:
        """What the rows that the network reads next have in common; None where they are one sheet."""
        request = self.request
        if request.base is None:
            return None
        base = self._pack(self.table.scale_input(request.base, request.sigma))
        height, width = request.base.shape[-2:]
        return SharedInput(base, (height, width), request.changed)

    def answer(self, output: Tensor) -> Tensor | None:
        """Tell the engine the network's output; returns the pipeline's next latents, None at the end."""
        request = self.request
        self.calls += 1
        prediction = self._unpack(output).to(request.x)
        uncond = None if self._watch is None else self._unpack(self._watch.take_uncond(output)).to(request.x)
        if prediction.shape != request.x.shape:
            raise MaskGridError(
                f"the pipeline's network answers with {tuple(prediction.shape)} at {request}; "
                f"allowed: the shape of the latents it is shown, {tuple(request.x.shape)}"
            )
        denoised = self.table.denoised(request.x, prediction, request.sigma)
        try:
            self._request = self._requests.send(
                denoised
                if uncond is None
                else (denoised, self.table.denoised(request.x, uncond, request.sigma))
            )
        except StopIteration as stop:
            self._request, self.end = None, stop.value
            return None
        return self._pack(self.network_input())

    def close(self) -> None:
        """End the engine's side; a stretch that was not walked to its end has no result."""
        self._requests.close()

    def complete(self) -> State:
        """Where the stretch ends, once all calls were made.

        Raises:
            MaskGridError: The pipeline's loop ended early.
        """
        if self.end is None:
            raise MaskGridError(
                f"the pipeline called its network {self.calls} times, not {len(self.sigmas)}; "
                "its loop does not follow scheduler.timesteps, so it can't be hosted"
            )
        return self.end
