"""A diffusers pipeline as the one who runs the network."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import (
    CancelledError,
    DenoiserError,
    InvalidTypeError,
    InvalidValueError,
    in_one_line,
    is_out_of_memory,
)
from maskgrid.hosts.diffusers.families import Layout, accepted_arguments, layout_of, network_of
from maskgrid.hosts.diffusers.hosted_scheduler import Conversation, hosted
from maskgrid.hosts.diffusers.step_fractions import fractions_of_stretch
from maskgrid.sampling import ForkLatents, NoiseTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maskgrid.sampling import ForkSampling, State, Stretch

__all__ = ["TEXTS", "DiffusersHost"]

TEXTS = ("prompt", "negative_prompt", "prompt_2", "negative_prompt_2", "prompt_3", "negative_prompt_3")
"""Arguments of pipelines that may have a text for each fork."""


class DiffusersHost:
    """Runs the engine's jobs in a diffusers pipeline, which stays as it is.

    Args:
        pipe: Any text-to-image pipeline that there is a layout for.

    Raises:
        InvalidTypeError: There is none; the message names what is missing.
    """

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.layout: Layout = layout_of(pipe)
        self._accepts, self._takes_any = accepted_arguments(pipe)

    @property
    def stride(self) -> int:
        """Pixels per latent cell."""
        return self.layout.stride

    @property
    def side(self) -> int:
        """Pixels a side of the pictures that the model was made for; 1024 where it does not say."""
        size = getattr(self.pipe, "default_sample_size", None) or self.network.config.get("sample_size")
        size = max(size) if isinstance(size, (list, tuple)) else size
        return int(size * self.pipe.vae_scale_factor) if size else 1024

    @property
    def network(self) -> Any:
        """The pipeline's denoising network."""
        return network_of(self.pipe)

    def accepts(self, argument: str) -> bool:
        """Whether the pipeline's call has such an argument."""
        return argument in self._accepts

    @property
    def control_argument(self) -> str | None:
        """The argument for a ControlNet's or T2I-Adapter's picture; None where there is neither."""
        if all(getattr(self.pipe, part, None) is None for part in ("controlnet", "adapter")):
            return None
        return "control_image" if self.accepts("control_image") else "image"

    def table(self, size: tuple[int, int], steps: int) -> NoiseTable:
        """The noise table for a sheet of (h, w) latents, from the settings of the pipeline's scheduler."""
        return NoiseTable.from_config(self.pipe.scheduler.config, mu=self.layout.mu(self.pipe, size, steps))

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] as float32 latents (B, C, h, w), on the pipeline's device."""
        with torch.no_grad(), _without_overflow(self.pipe.vae) as vae:
            return self.layout.codec.encode(pixels.to(self.device, vae.dtype)).float()

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) as (B, 3, H, W) float32 in [-1, 1], clamped."""
        with torch.no_grad(), _without_overflow(self.pipe.vae) as vae:
            return self.layout.codec.decode(latents.to(self.device, vae.dtype)).float().clamp(-1, 1)

    def release(self) -> None:
        """Have a pipeline that offloads take its networks off the device, as it does at the end of a call."""
        if hasattr(self.pipe, "maybe_free_model_hooks"):
            self.pipe.maybe_free_model_hooks()

    @property
    def dtype(self) -> torch.dtype:
        """Of the latents that the pipeline is given; some cast them to the dtype of their embeddings."""
        return self.layout.dtype or _latents_dtype(self.pipe, self.network)

    @property
    def device(self) -> torch.device:
        """Where the pipeline computes."""
        device: torch.device = self.pipe._execution_device
        return device

    def run(self, sampling: ForkSampling, steps: int, conditioning: Mapping[str, Any]) -> ForkLatents:
        """Complete a sampling.

        Args:
            sampling: What to sample.
            steps: Steps of the schedule, as the pipeline is told.
            conditioning: Arguments of the pipeline. A list of prompts has one for each fork.

        Returns:
            The forks.

        Raises:
            InvalidTypeError: Arguments that the pipeline does not know.
            InvalidValueError: Conditioning that does not fit the forks, or cells that are sampled together
                with a conditioning each and do not go into one batch.
            DenoiserError: The network returned something unusable, or did not fit into memory; like the next
                two it carries the finished forks as `result`.
            CancelledError: A callback, or the pipeline's own `_interrupt`, stopped the run.
            RunInterrupted: Ctrl-C.
        """
        self.check_arguments(conditioning)
        with torch.no_grad():
            return sampling.complete(lambda stretch: self._drive(stretch, steps, conditioning))

    def pipeline_arguments(
        self, latents: Tensor, steps: int, conditioning: Mapping[str, Any], forks: Sequence[int] = ()
    ) -> dict[str, Any]:
        """What the pipeline is called with.

        Args:
            latents: (n, C, h, w) what its network is to read first.
            steps: As for `run`.
            conditioning: As for `run`.
            forks: The forks whose conditioning is wanted, n / len(forks) items each; empty for a sheet.
        """
        given = self.layout.given or self.layout.pack
        # Some have a text by default, which they refuse beside embeddings.
        texts: dict[str, Any] = {
            name: None
            for name in ("prompt", "negative_prompt")
            if name in self._accepts and conditioning.get(f"{name}_embeds") is not None
        }
        # Binning would have the pipeline believe in another image size.
        binning = {"use_resolution_binning": False} if "use_resolution_binning" in self._accepts else {}
        return {
            **binning,
            **texts,
            **_for_forks(conditioning, forks, len(latents)),
            "latents": given(latents).to(self.device),
            "height": latents.shape[-2] * self.stride,
            "width": latents.shape[-1] * self.stride,
            "num_inference_steps": steps,
            "output_type": "latent",
            "return_dict": False,
        }

    def _drive(self, stretch: Stretch, steps: int, conditioning: Mapping[str, Any]) -> State:
        size = stretch.run.masks.size
        layout = self.layout
        conversation = Conversation(
            stretch,
            stretch.run.table,
            pack=layout.pack,
            unpack=lambda output: layout.unpack(output, size),
            mu=layout.mu(self.pipe, size, steps),
        )
        conditioning = fractions_of_stretch(self.pipe, conditioning, conversation.steps, steps)
        first = conversation.network_input().to(self.dtype)
        forks = conversation.request.rows
        if len(stretch.calls) > 1:
            count = len(stretch.region.forks)
            raise InvalidValueError(
                f"micro_batch is {len(forks)}, but with sheet_conditioning='cells' all {count} forks go "
                "through each step together, and a pipeline can't change its prompts between calls; "
                f"allowed: a micro_batch of {count} or more, or fork_at=0"
            )
        arguments = self.pipeline_arguments(first, steps, conditioning, forks)
        with hosted(self.pipe, conversation):
            try:
                self.pipe(**arguments)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                raise DenoiserError(_too_much(len(first), error)) from error
            if getattr(self.pipe, "_interrupt", False) and not conversation.is_complete:
                raise CancelledError(
                    f"the pipeline was told to stop (its _interrupt) after {conversation.calls} "
                    f"of {len(conversation.sigmas)} calls"
                )
            return conversation.complete()

    def check_arguments(self, conditioning: Mapping[str, Any]) -> None:
        """Refuse arguments that the pipeline does not take.

        Raises:
            InvalidTypeError: There are some; the message names them and what is taken.
        """
        name = type(self.pipe).__name__
        ours = [argument for argument in conditioning if argument in _OURS]
        if ours:
            said = "; ".join(f"{argument}: {_OURS[argument]}" for argument in ours)
            raise InvalidTypeError(f"{', '.join(ours)} can't be given to {name} here ({said})")
        unknown = sorted(set(conditioning) - self._accepts)
        if unknown and not self._takes_any:
            allowed = ", ".join(sorted(self._accepts - set(_OURS)))
            raise InvalidTypeError(f"{name} does not take {', '.join(unknown)}; allowed: {allowed}")


def _too_much(items: int, error: Exception) -> str:
    """What to do about a call that did not fit."""
    way = f"a micro_batch below {items}" if items > 1 else "half precision, or the pipeline's own offloading"
    reason = in_one_line(str(error).split(". ")[0])
    return f"out of memory with {items} in one call of the pipeline; allowed: {way} ({reason})"


# Arguments of pipelines that the host itself speaks for.
_OURS = {
    **dict.fromkeys(("latents", "height", "width"), "the sheet's"),
    **dict.fromkeys(("num_inference_steps", "timesteps", "sigmas", "mu"), "use steps and schedule"),
    "num_images_per_prompt": "the number of forks",
    "output_type": "latents, always",
    "return_dict": "never",
    "denoising_end": "use end_at_step",
    "eta": "use sampler",
}


def _for_forks(conditioning: Mapping[str, Any], forks: Sequence[int], count: int) -> dict[str, Any]:
    """The pipeline's arguments for a batch of `count` items: the same for all, or those of these forks.

    Pipelines repeat texts themselves, which encodes them once, but only some repeat embeddings; so embeddings
    are repeated here, and texts beside them too.
    """
    chosen = {name: value for name, value in conditioning.items() if value is not None or name in TEXTS}
    listed = [name for name in TEXTS if isinstance(chosen.get(name), (list, tuple))]
    embeddings = [name for name in chosen if _is_embedding(name) and chosen[name] is not None]
    rows = list(forks) if listed else []
    if embeddings:
        rows = [fork for fork in forks for _ in range(count // len(forks))] or [0] * count
    for name in TEXTS if rows or listed else ():
        if chosen.get(name) is not None:
            chosen[name] = _texts(chosen[name], name, rows, own=bool(forks))
    for name in embeddings:
        chosen[name] = _repeated(chosen[name], name, rows, own=bool(forks))
    chosen["num_images_per_prompt"] = count // max(len(rows), 1)
    return chosen


def _is_embedding(name: str) -> bool:
    kind = "embeds" in name or "attention_mask" in name
    return kind and "ip_adapter" not in name


def _texts(value: Any, name: str, rows: Sequence[int], *, own: bool) -> list[str]:
    """A text for each row: the same, or that of its fork."""
    if isinstance(value, str):
        return [value] * len(rows)
    _check_own(name, len(value), rows, own=own)
    return [value[row] for row in rows]


def _repeated(value: Any, name: str, rows: Sequence[int], *, own: bool) -> Any:
    """Embeddings for each row: the same, or those of its fork."""
    if len(value) == 1:
        return (
            list(value) * len(rows) if isinstance(value, list) else value.expand(len(rows), *value.shape[1:])
        )
    _check_own(name, len(value), rows, own=own)
    return [value[row] for row in rows] if isinstance(value, list) else value[list(rows)]


def _check_own(name: str, count: int, rows: Sequence[int], *, own: bool) -> None:
    """Whether forks can have a conditioning of their own."""
    if not own:
        raise InvalidValueError(
            f"{name} has {count} items, one for each fork, but the forks are sampled together as one sheet; "
            "allowed: one for all, fork_at=0, or sheet_conditioning='cells'"
        )
    if max(rows) >= count:
        raise InvalidValueError(f"{name} has {count} items; allowed: one for all, or one for each fork")


def _latents_dtype(pipe: Any, network: Any) -> torch.dtype:
    """The network's, or where its weights are integers or 8-bit floats that of the texts' embeddings."""
    encoders = (part for name, part in pipe.components.items() if name.startswith("text_encoder"))
    for part in (network, *encoders):
        dtype = getattr(part, "dtype", None)
        if isinstance(dtype, torch.dtype) and dtype.is_floating_point and dtype.itemsize > 1:
            return dtype
    return torch.float32


@contextmanager
def _without_overflow(vae: Any) -> Iterator[Any]:
    """SDXL's VAE overflows in float16, which its config says: it computes in float32 for the time being."""
    if vae.dtype != torch.float16 or not getattr(vae.config, "force_upcast", False):
        yield vae
        return
    vae.to(dtype=torch.float32)
    try:
        yield vae
    finally:
        vae.to(dtype=torch.float16)
