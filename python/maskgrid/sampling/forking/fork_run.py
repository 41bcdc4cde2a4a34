"""A run of forks: what stays the same from first step to last, also when it is cut, saved and carried on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.forking.fork_masks import BLENDS, ForkMasks
from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.forking.region import Region, RegionNoise
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers.noise import initial_noise, second_noise, step_noise
from maskgrid.sampling.samplers.registry import SamplerInfo, get_sampler
from maskgrid.sampling.samplers.walk import Walk

__all__ = ["ForkRun", "LatentFormat"]


@dataclass(frozen=True, eq=False)
class LatentFormat:
    """What a VAE's latents go through on their way into a model: (latents - shift_factor) * scaling_factor.

    Attributes:
        scaling_factor: Not 0; a number or (C, 1, 1).
        shift_factor: A number or (C, 1, 1).

    Raises:
        InvalidValueError: Numbers that are not finite, or a scaling factor of 0.
    """

    scaling_factor: float | Tensor = 1.0
    shift_factor: float | Tensor = 0.0

    def __post_init__(self) -> None:
        for name in ("scaling_factor", "shift_factor"):
            value = torch.as_tensor(getattr(self, name))
            if not bool(value.isfinite().all()) or (name == "scaling_factor" and bool((value == 0).any())):
                raise InvalidValueError(
                    f"{name} is {value.tolist()}; allowed: finite numbers, a scaling_factor that is not 0"
                )

    def encode(self, latents: Tensor) -> Tensor:
        """The model's latents of the VAE's; all zeros, an empty latent, stays as it is, as in ComfyUI."""
        if not bool(latents.any()):
            return latents
        return (latents - self._like(self.shift_factor, latents)) * self._like(self.scaling_factor, latents)

    def decode(self, latents: Tensor) -> Tensor:
        """The VAE's latents of the model's, by the latent format."""
        return latents / self._like(self.scaling_factor, latents) + self._like(self.shift_factor, latents)

    @staticmethod
    def _like(factor: float | Tensor, latents: Tensor) -> float | Tensor:
        return factor.to(latents.device, latents.dtype) if isinstance(factor, Tensor) else factor


@dataclass(frozen=True, kw_only=True, eq=False)
class ForkRun:
    """A run's constants, and what follows from them for a region.

    Fork n has the noise of its own seed, everywhere. While the forks are sampled together each cell of the
    sheet has the noise of its own fork, and what is in no cell that of fork 0.

    Attributes:
        latents: (1, B, C, ..., h, w) the clean sheet as it was given; or (N, ...) one for each fork, which
            then are never together.
        masks: Where each fork may change.
        table: The model's noise table.
        sampler: The solver's name.
        sigmas: (S + 1,) float32 on the CPU, falling; all that the solver gets to see.
        first: The step of the schedule that sigmas[0] belongs to, by which steps are reported.
        steps: Steps of the whole schedule.
        fork_at: The step of `sigmas` at which the forks part, in [0, S].
        seeds: One for all forks, or one for each.
        noise: (1, B, C, ..., h, w) the noise that the run starts from, on the CPU; None when the forks have
            seeds of their own, which then say it.
        blend: A name in `BLENDS`.
        sheet_conditioning: Whose conditioning the sheet has while the forks are together: its "own", or
            "cells": each cell that of its own fork.
        latent_format: On the way into the model and out of it.
    """

    latents: Tensor
    masks: ForkMasks
    table: NoiseTable
    sampler: str
    sigmas: Tensor
    first: int
    steps: int
    fork_at: int
    seeds: tuple[int, ...]
    noise: Tensor | None
    blend: str = "lerp"
    sheet_conditioning: str = "own"
    latent_format: LatentFormat

    @property
    def forks(self) -> tuple[int, ...]:
        """All forks of a run, 0 to N - 1."""
        return tuple(range(len(self.masks)))

    @property
    def step_count(self) -> int:
        """The number of steps that a run walks, S."""
        return len(self.sigmas) - 1

    @property
    def solver(self) -> SamplerInfo:
        """The solver and what it wants from the run."""
        return get_sampler(self.sampler)

    @property
    def solver_dtype(self) -> torch.dtype:
        """What the solver computes in: float32 at least, so only the network's part is in half precision."""
        return torch.promote_types(self.latents.dtype, torch.float32)

    @cached_property
    def image_latents(self) -> Tensor:
        """The clean sheets as the model knows them, (1 or N, B, C, ..., h, w) in the solver's dtype."""
        return self.latent_format.encode(self.latents.to(self.solver_dtype))

    @property
    def sheet_shape(self) -> torch.Size:
        """The shape of a sheet of latents, (B, C, ..., h, w)."""
        return self.latents.shape[1:]

    def sheets_of(self, region: Region) -> Tensor:
        """The clean sheets of a region's rows as the model knows them, (1 or n, B, C, ..., h, w)."""
        return self.image_latents if len(self.image_latents) == 1 else self.image_latents[list(region.rows)]

    def given_sheets(self, forks: Sequence[int]) -> Tensor:
        """The clean sheets of some forks as they were given, (1 or n, B, C, ..., h, w)."""
        return self.latents if len(self.latents) == 1 else self.latents[list(forks)]

    def sheet_region(self, fork: int = 0) -> Region:
        """The region that is a sheet together: one row, in which the cells of all its forks change.

        Args:
            fork: One of its forks; where cells have several tries, each try is a sheet of its own.
        """
        forks = next(sheet for sheet in self.masks.sheets if fork in sheet)
        patches = Patches.whole(1, self.masks.size)
        return self._region(forks, (), patches, self.masks.together[None])

    def fork_region(self, forks: Sequence[int]) -> Region:
        """The region that has a row for each of these forks."""
        chosen = tuple(forks)
        return self._region(chosen, chosen, self.masks.patches.of(chosen), self.masks.values[list(chosen)])

    def mask(self, region: Region, step: int) -> Tensor:
        """The mask that a region's rows are blended with at a step, (n, 1, ..., height, width)."""
        return BLENDS[self.blend](region.mask, step / self.step_count)

    def start(self, region: Region) -> Tensor:
        """The x that a region's rows start from, (1 or n, B, C, ..., *patch)."""
        x = self.table.start(self.sheets_of(region), self._start_noise(region), self.sigmas[0])
        return region.cut(x)

    def surrounding_noise(self, region: Region) -> Tensor:
        """The noise that the surroundings of a region's rows are noised with, (1 or n, B, C, ..., h, w)."""
        if not self.solver.second_noise:
            return self._start_noise(region)
        return self._noise_of(region, second_noise)

    def walk(self, region: Region, state: State | None, stop: int) -> Walk:
        """What the solver walks along in a region, from a state (None: the beginning) to the step `stop`."""
        items = [
            step_noise(
                self.solver.noise,
                self.sheet_shape,
                seed,
                self.sigmas,
                dtype=self.latents.dtype,
                position=0 if state is None else state.draws,
            )
            for seed in self._seeds_of(region)
        ]
        noise = RegionNoise(items, region, self.latents.device, self.solver_dtype)
        start, memory = (0, None) if state is None else (state.step, state.memory)
        size = self.sheet_shape.numel()
        return Walk(self.sigmas, self.table, noise, start=start, stop=stop, memory=memory, sheet_size=size)

    def hand_out(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The latents that a run hands out, of the model's x at sigma."""
        return self.latent_format.decode(self.table.finish(x, sigma)).to(self.latents.dtype)

    def _region(
        self, forks: tuple[int, ...], rows: tuple[int, ...], patches: Patches, values: Tensor
    ) -> Region:
        # The batch, the channels and the frames of a fork share its mask.
        mask = values.to(self.latents.device, self.solver_dtype)
        mask = mask.reshape(len(mask), *(1,) * (len(self.sheet_shape) - 2), *mask.shape[-2:])
        return Region(forks, rows, self.masks.writes[list(forks)], patches, mask)

    def _start_noise(self, region: Region) -> Tensor:
        if self.noise is not None:
            return self._for_solver(self.noise)
        return self._noise_of(region, initial_noise)

    def _noise_of(self, region: Region, draw: Callable[..., Tensor]) -> Tensor:
        shape, dtype = self.sheet_shape, self.latents.dtype
        drawn: Iterable[Tensor] = (draw(shape, seed, dtype=dtype) for seed in self._seeds_of(region))
        return self._for_solver(region.gather(drawn))

    def _seeds_of(self, region: Region) -> tuple[int, ...]:
        """One seed when all forks have the same, else one for each of the region's."""
        return self.seeds if len(self.seeds) == 1 else tuple(self.seeds[fork] for fork in region.forks)

    def _for_solver(self, noise: Tensor) -> Tensor:
        return noise.to(self.latents.device, self.solver_dtype)
