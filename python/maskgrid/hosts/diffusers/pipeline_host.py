"""A diffusers pipeline as the one who runs the network."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import CancelledError, DenoiserError, InvalidValueError, in_one_line, is_out_of_memory
from maskgrid.hosts.diffusers.clone_pipeline import clone_pipeline
from maskgrid.hosts.diffusers.families import accepted_arguments, family_of, network_of
from maskgrid.hosts.diffusers.guidance_halves import GuidanceWatch, watch_guidance
from maskgrid.hosts.diffusers.loop_translator import LoopTranslator
from maskgrid.hosts.diffusers.pipeline_arguments import check_arguments, select_arguments
from maskgrid.hosts.diffusers.pipeline_turns import begin_run, take_turn
from maskgrid.hosts.diffusers.safety_checker import ask_safety_checker
from maskgrid.hosts.diffusers.scheduler_exchange import install_engine_scheduler
from maskgrid.hosts.diffusers.step_fractions import fit_fractions
from maskgrid.hosts.diffusers.vae_precision import run_vae
from maskgrid.hosts.sharing.shared_decoder import SharedDecoder, can_share
from maskgrid.hosts.sharing.shared_network import SharedNetwork
from maskgrid.sampling import ForkLatents, NoiseTable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from maskgrid.hosts.diffusers.pipeline_family import PipelineFamily
    from maskgrid.hosts.sharing.shared_network import Sharing
    from maskgrid.sampling import ForkSampling, State, Stretch

__all__ = ["DiffusersHost"]

_LOG = logging.getLogger(__name__)
_DECODED_AROUND = 2
"""Latents around a cell that are decoded with it."""


class DiffusersHost:
    """Runs the engine's jobs in a diffusers pipeline, which stays as it is.

    One run at a time uses a pipeline, however many hosts it has and whichever threads they run in.

    Args:
        pipe: A text-to-image pipeline of a family that is known; `docs/diffusers.md` lists them.
        wait: Whether a run waits for another thread's to end; if not, it raises PipelineBusyError.

    Attributes:
        pipe: The pipeline.
        family: What is known of its kind.
        wait: As it was given.

    Raises:
        InvalidTypeError: A pipeline of no known family; the message names what is missing.
    """

    def __init__(self, pipe: Any, *, wait: bool = True) -> None:
        self.pipe = pipe
        self.wait = wait
        self.family: PipelineFamily = family_of(pipe)
        self._accepts, self._takes_any = accepted_arguments(type(pipe))

    @property
    def name(self) -> str:
        """The hosted pipeline's class, for messages."""
        return type(self.pipe).__name__

    @property
    def stride(self) -> int:
        """Pixels per latent cell of the pipeline's VAE."""
        return self.family.stride

    @property
    def side(self) -> int:
        """Pixels a side of the pictures that the model was made for; 1024 where it does not say."""
        size = getattr(self.pipe, "default_sample_size", None) or self.network.config.get("sample_size")
        size = max(size) if isinstance(size, (list, tuple)) else size
        return int(size * self.pipe.vae_scale_factor) if size else 1024

    @property
    def network(self) -> Any:
        """The hosted pipeline's denoising network."""
        return network_of(self.pipe)

    @property
    def dtype(self) -> torch.dtype:
        """Of the latents that the pipeline is given; some cast them to the dtype of their embeddings."""
        return self.family.dtype or _find_latents_dtype(self.pipe, self.network)

    @property
    def device(self) -> torch.device:
        """The device on which the pipeline computes."""
        device: torch.device = self.pipe._execution_device
        return device

    @property
    def control_argument(self) -> str | None:
        """The argument for a ControlNet's or T2I-Adapter's picture; None where there is neither."""
        if all(getattr(self.pipe, part, None) is None for part in ("controlnet", "adapter")):
            return None
        return "control_image" if self.accepts("control_image") else "image"

    def accepts(self, argument: str) -> bool:
        """Whether the hosted pipeline's call has such an argument."""
        return argument in self._accepts

    def clone(self) -> DiffusersHost:
        """A host whose pipeline has a scheduler of its own over the same weights, to run beside this one.

        Raises:
            InvalidTypeError: A pipeline with hooks in its networks, such as those of offloading, which move
                or cast the weights that a clone would share.
            PipelineBusyError: The pipeline runs, in this thread; or in another and the host does not wait.
        """
        with begin_run(self.pipe, wait=self.wait):
            return DiffusersHost(clone_pipeline(self.pipe), wait=self.wait)

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Keep the pipeline for this thread, from encoding to decoding.

        Raises:
            PipelineBusyError: Another thread has it and the host does not wait.
        """
        with take_turn(self.pipe, wait=self.wait):
            yield

    def table(self, size: tuple[int, int], steps: int) -> NoiseTable:
        """The noise table for a sheet of (h, w) latents, from the settings of the pipeline's scheduler."""
        return NoiseTable.from_config(self.pipe.scheduler.config, mu=self.family.mu(self.pipe, size, steps))

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode pixels (B, 3, H, W) in [-1, 1] with the pipeline's VAE, as float32 latents (B, C, h, w).

        Raises:
            AutoencoderError: They have NaN or infinities, or did not fit into memory.
        """
        with self.reserve(), _log_time("encoded %d pictures", len(pixels)):
            given = pixels.to(self.device)
            return run_vae(self.pipe.vae, self.family.codec.encode, given, what="encode the sheet")

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) as (B, 3, H, W) float32 in [-1, 1], clamped.

        Raises:
            AutoencoderError: They have NaN or infinities, or did not fit into memory.
        """
        with self.reserve(), _log_time("decoded %d pictures", len(latents)):
            given = latents.to(self.device)
            picture = run_vae(self.pipe.vae, self.family.codec.decode, given, what="decode a picture")
            return picture.clamp(-1, 1)

    @property
    def decodes_cells(self) -> bool:
        """Whether cells can be decoded alone: the VAE can, and no safety checker wants whole pictures."""
        return can_share(self.pipe.vae) and getattr(self.pipe, "safety_checker", None) is None

    def decode_cells(
        self, forks: ForkLatents, cells: Sequence[tuple[int, int, int, int]]
    ) -> Generator[Tensor, None, None]:
        """Decode each fork's cell alone, in a window; see `maskgrid.hosts.sharing.shared_decoder`.

        The VAE is changed and kept for this thread until the last one is made, or the generator is closed.

        Args:
            forks: n forks of one sheet, B = 1.
            cells: Top, left, bottom, right of each one's cell, in latents.

        Yields:
            (1, 3, ., .) float32 in [-1, 1] of each cell's rectangle.

        Raises:
            InvalidTypeError: A VAE that can't.
            AutoencoderError: As for `decode`.
        """
        shared, numbers = SharedDecoder(self.pipe.vae, self.decode), forks.numbers
        # Clones of a pipeline share their VAE.
        with take_turn(self.pipe.vae):
            yield from shared.decode(
                forks.image_latents, lambda row: forks[numbers[row]], cells, halo=_DECODED_AROUND
            )

    def is_flagged(self, picture: Tensor) -> bool:
        """Whether the pipeline's safety checker flags a picture, (1, 3, H, W) in [-1, 1]; no without one."""
        with self.reserve():
            return ask_safety_checker(self.pipe, picture.to(self.device), dtype=self.dtype)

    def release(self) -> None:
        """Have a pipeline that offloads take its networks off the device, as it does at the end of a call."""
        if hasattr(self.pipe, "maybe_free_model_hooks"):
            with self.reserve():
                self.pipe.maybe_free_model_hooks()

    def run(
        self,
        sampling: ForkSampling,
        steps: int,
        conditioning: Mapping[str, Any],
        *,
        sharing: Sharing | None = None,
    ) -> ForkLatents:
        """Complete a sampling with the pipeline, which calls its network.

        Args:
            sampling: What to sample.
            steps: Steps of the schedule, as the pipeline is told.
            conditioning: Arguments of the pipeline. A list of prompts has one for each fork.
            sharing: Have the network run once over what forks share, and then over their windows alone;
                None has it run over each fork's whole canvas.

        Returns:
            The forks.

        Raises:
            InvalidTypeError: Arguments that the pipeline does not know, or a network that can't be shared.
            InvalidValueError: Conditioning that does not fit the forks, or cells that are sampled together
                with a conditioning each and do not go into one batch; a sampler whose calls are not known
                beforehand.
            PipelineBusyError: A run of this pipeline asked for another; or another thread has it and the host
                does not wait.
            DenoiserError: The network returned something unusable, or did not fit into memory; like the next
                two it carries the finished forks as `result`.
            CancelledError: A callback, or the pipeline's own `_interrupt`, stopped the run.
            RunInterrupted: Ctrl-C.
        """
        self.check_arguments(conditioning)
        shared = None if sharing is None else SharedNetwork(self.network, sharing)
        # Clones of a pipeline share its network, whose layers are exchanged meanwhile.
        turn = nullcontext() if shared is None else take_turn(self.network, wait=self.wait)
        with begin_run(self.pipe, wait=self.wait), turn, torch.no_grad():
            begun = time.perf_counter()
            forks = sampling.complete(lambda stretch: self._drive(stretch, steps, conditioning, shared))
            seconds = time.perf_counter() - begun
            _LOG.info("%s: %d forks in %.2f s", type(self.pipe).__name__, len(forks), seconds)
            return forks

    def check_arguments(self, conditioning: Mapping[str, Any]) -> None:
        """Refuse arguments that the pipeline does not take.

        Raises:
            InvalidTypeError: There are some; the message names them and what is taken.
            InvalidValueError: A text for a pipeline that has nothing to read texts with.
        """
        check_arguments(self.pipe, conditioning, self._accepts, takes_any=self._takes_any)

    def pipeline_arguments(
        self, latents: Tensor, steps: int, conditioning: Mapping[str, Any], forks: Sequence[int] = ()
    ) -> dict[str, Any]:
        """The arguments that the pipeline is called with.

        Args:
            latents: (n, C, h, w) what its network is to read first.
            steps: As for `run`.
            conditioning: As for `run`.
            forks: The forks whose conditioning is wanted, n / len(forks) items each; empty for a sheet.
        """
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
            **select_arguments(conditioning, forks, len(latents)),
            "latents": self.family.latents_argument(latents).to(self.device),
            "height": latents.shape[-2] * self.stride,
            "width": latents.shape[-1] * self.stride,
            "num_inference_steps": steps,
            "output_type": "latent",
            "return_dict": False,
        }

    def _drive(
        self,
        stretch: Stretch,
        steps: int,
        conditioning: Mapping[str, Any],
        shared: SharedNetwork | None,
    ) -> State:
        """Have the pipeline walk a stretch, in one call."""
        try:
            solver = stretch.run.solver
            network = network_of(self.pipe)
            with watch_guidance(network, solver.name, wanted=solver.needs_uncond) as watch:
                translator = self._translate(stretch, steps, watch)
                told = fit_fractions(self.pipe, conditioning, translator.steps, steps)
                with nullcontext() if shared is None else shared.installed(translator.shared_input):
                    return self._call(translator, stretch, steps, told)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise DenoiserError(_explain_memory(stretch, error)) from error

    def _translate(self, stretch: Stretch, steps: int, watch: GuidanceWatch | None) -> LoopTranslator:
        run, family = stretch.run, self.family
        size = run.masks.size
        return LoopTranslator(
            stretch,
            run.table,
            pack=family.pack,
            unpack=lambda output: family.unpack(output, size),
            mu=family.mu(self.pipe, size, steps),
            watch=watch,
        )

    def _call(
        self, translator: LoopTranslator, stretch: Stretch, steps: int, conditioning: Mapping[str, Any]
    ) -> State:
        """Call the pipeline, with the engine in its scheduler's place."""
        first = translator.network_input().to(self.dtype)
        forks = translator.request.rows
        if len(stretch.calls) > 1:
            count = len(stretch.region.forks)
            raise InvalidValueError(
                f"micro_batch is {len(forks)}, but with sheet_conditioning='cells' all {count} forks go "
                "through each step together, and a pipeline can't change its prompts between calls; "
                f"allowed: a micro_batch of {count} or more, or fork_at=0"
            )
        arguments = self.pipeline_arguments(first, steps, conditioning, forks)
        rows = "the sheet" if not forks else f"forks {forks[0]} to {forks[-1]}"
        with (
            _log_time(
                "%s: %s, %d calls of its network", type(self.pipe).__name__, rows, len(translator.sigmas)
            ),
            install_engine_scheduler(self.pipe, translator),
        ):
            self.pipe(**arguments)
            if getattr(self.pipe, "_interrupt", False) and not translator.is_complete:
                raise CancelledError(
                    f"the pipeline was told to stop (its _interrupt) after {translator.calls} "
                    f"of {len(translator.sigmas)} calls"
                )
            return translator.complete()


@contextmanager
def _log_time(words: str, *values: Any) -> Iterator[None]:
    """Tell how long something took that ended well."""
    begun = time.perf_counter()
    yield
    _LOG.debug(words + " in %.3f s", *values, time.perf_counter() - begun)


def _explain_memory(stretch: Stretch, error: Exception) -> str:
    """What to do about a call that did not fit."""
    items = max(len(rows) for rows in stretch.calls) or 1
    way = f"a micro_batch below {items}" if items > 1 else "half precision, or the pipeline's own offloading"
    reason = in_one_line(str(error).split(". ")[0])
    return f"out of memory with {items} in one call of the pipeline; allowed: {way} ({reason})"


def _find_latents_dtype(pipe: Any, network: Any) -> torch.dtype:
    """The network's, or where its weights are integers or 8-bit floats that of the texts' embeddings."""
    encoders = (part for name, part in pipe.components.items() if name.startswith("text_encoder"))
    for part in (network, *encoders):
        dtype = getattr(part, "dtype", None)
        if isinstance(dtype, torch.dtype) and dtype.is_floating_point and dtype.itemsize > 1:
            return dtype
    return torch.float32
