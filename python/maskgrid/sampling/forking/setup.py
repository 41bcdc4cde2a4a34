"""What stays the same from the first step of a run to its last, also when it is cut, saved and carried on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.controls import LatentFormat
from maskgrid.sampling.forking.blend import BLENDS, Blend
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.patches import Patches, arrange
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.samplers import get_sampler
from maskgrid.sampling.samplers.noise import StepNoise, check_seed, initial_noise, second_noise, step_noise

__all__ = ["SEED_RULES", "Setup", "SheetConditioning", "check_latents", "seeds_of_forks", "start_noise"]

SEED_RULES = ("same", "increment")
SheetConditioning = Literal["own", "cells"]
_SEEDS = 2**64


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """A run's constants.

    Fork n has the noise of its own seed, everywhere. While the forks are sampled together each cell of the
    sheet has the noise of its own fork, and what is in no cell that of fork 0.

    Attributes:
        latents: (B, C, ..., h, w) the clean sheet as it was given.
        masks: Where each fork may change.
        table: The model's noise table.
        sampler: The solver's name.
        sigmas: (S + 1,) float32 on the CPU, falling; all that the solver gets to see.
        first: The step of the schedule that sigmas[0] belongs to, by which steps are reported.
        fork_at: The step of `sigmas` at which the forks part, in [0, S].
        seeds: One for all forks, or one for each.
        noise: (1, B, C, ..., h, w) the noise that the run starts from, on the CPU; None when the forks have
            seeds of their own, which then say it.
        blend: A name in `blend.BLENDS`.
        sheet_conditioning: Whose conditioning the sheet has while the forks are together: its "own", or
            "cells": each cell that of its own fork.
        compat: Whether leftover noise comes out as the original gives it.
        latent_format: On the way into the model and out of it.
    """

    latents: Tensor
    masks: ForkMasks
    table: NoiseTable
    sampler: str
    sigmas: Tensor
    first: int
    fork_at: int
    seeds: tuple[int, ...]
    noise: Tensor | None
    blend: str = "lerp"
    sheet_conditioning: SheetConditioning = "own"
    compat: bool = False
    latent_format: LatentFormat

    @property
    def fork_count(self) -> int:
        """N."""
        return len(self.masks)

    @property
    def all_forks(self) -> tuple[int, ...]:
        """0 to N - 1."""
        return tuple(range(self.fork_count))

    @property
    def step_count(self) -> int:
        """S."""
        return len(self.sigmas) - 1

    @property
    def solver_dtype(self) -> torch.dtype:
        """What the solver computes in: float32 at least, so only the network's part is in half precision."""
        return torch.promote_types(self.latents.dtype, torch.float32)

    @cached_property
    def image_latents(self) -> Tensor:
        """(1, B, C, ..., h, w) the clean sheet as the model knows it, in the solver's dtype."""
        return self.latent_format.encode(self.latents.to(self.solver_dtype))[None]

    @property
    def gives_noisy_sheets(self) -> bool:
        """Whether forks come out as the original's noisy ones, which differ from the sheet everywhere."""
        last = max(float(self.sigmas[-1]), get_sampler(self.sampler).last_sigma)
        return self.compat and last > 0

    def patches(self, forks: Sequence[int]) -> Patches:
        """Where the solver walks for these forks."""
        if self.gives_noisy_sheets:
            return Patches.whole(len(forks), self.masks.size)
        return self.masks.patches.of(forks)

    def mask(self, forks: Sequence[int]) -> Tensor:
        """(n, height, width) the noise masks inside `patches`, where and as the solver computes."""
        values = self.masks.values[list(forks)]
        if self.gives_noisy_sheets:
            dense = values.new_zeros(len(forks), *self.masks.size)
            self.masks.patches.of(forks).paste(values, dense)
            values = dense
        return values.to(self.latents.device, self.solver_dtype)

    def noise_of(self, forks: Sequence[int], *, together: bool = False) -> Tensor:
        """(1 or n, B, C, ..., h, w) what these forks start from."""
        if self.noise is not None:
            return self._for_solver(self.noise)
        shape, dtype = self.latents.shape, self.latents.dtype
        drawn = (initial_noise(shape, seed, dtype=dtype) for seed in self.seeds_of(forks))
        return self.arranged(drawn, forks, together=together)

    def surrounding_noise_of(self, forks: Sequence[int], *, together: bool = False) -> Tensor:
        """(1 or n, B, C, ..., h, w) what the surroundings of these forks are noised with."""
        if not get_sampler(self.sampler).second_noise:
            return self.noise_of(forks, together=together)
        shape, dtype = self.latents.shape, self.latents.dtype
        drawn = (second_noise(shape, seed, dtype=dtype) for seed in self.seeds_of(forks))
        return self.arranged(drawn, forks, together=together)

    def step_noise_of(self, forks: Sequence[int], position: int) -> list[StepNoise]:
        """The step noise of these forks after `position` draws: one for all, or one for each."""
        kind = get_sampler(self.sampler).noise
        shape, dtype = self.latents.shape, self.latents.dtype
        return [
            step_noise(kind, shape, seed, self.sigmas, dtype=dtype, position=position)
            for seed in self.seeds_of(forks)
        ]

    def seeds_of(self, forks: Sequence[int]) -> tuple[int, ...]:
        """One seed when all forks have the same, else one for each of these."""
        return self.seeds if len(self.seeds) == 1 else tuple(self.seeds[i] for i in forks)

    def blend_of(self, forks: Sequence[int], *, together: bool = False) -> Blend:
        """The masked blend of these forks, or of the sheet of all of them."""
        patches, mask = self.patches(forks), self.mask(forks)
        if together:
            patches = Patches.whole(1, self.masks.size)
            mask = self.masks.together[None].to(mask)
        return Blend(
            self.image_latents,
            self.surrounding_noise_of(forks, together=together),
            mask,
            patches=patches,
            table=self.table,
            rule=BLENDS[self.blend],
            steps=self.step_count,
            dtype=self.latents.dtype,
        )

    def given_out(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Latents as the user knows them from the model's x at sigma."""
        return self.latent_format.decode(self.table.finish(x, sigma)).to(self.latents.dtype)

    def arranged(self, drawn: Iterable[Tensor], forks: Sequence[int], *, together: bool) -> Tensor:
        """Noise for the solver, of draws that were made with `seeds_of(forks)`.

        Args:
            drawn: (B, C, ..., h, w) each.
            forks: Which forks.
            together: Whether they are one sheet, which takes each cell from the draw of its fork.

        Returns:
            (1 or n, B, C, ..., h, w); 1 when all forks have the same noise or are one sheet.
        """
        if not together or len(self.seeds) == 1:
            return self._for_solver(torch.stack(list(drawn)))
        draws = iter(drawn)
        sheet = next(draws)[None].clone()
        for fork, draw in zip(forks[1:], draws, strict=True):
            arrange(draw[None], self.masks.writes[fork : fork + 1], sheet)
        return self._for_solver(sheet)

    def _for_solver(self, noise: Tensor) -> Tensor:
        return noise.to(self.latents.device, self.solver_dtype)


def check_latents(latents: object, masks: ForkMasks) -> Tensor:
    """The clean sheet, if it is one that the masks fit.

    Raises:
        InvalidTypeError: Not a tensor of real floating numbers.
        InvalidValueError: Another number of axes, another size than the masks', NaN or infinities.
    """
    if not isinstance(latents, Tensor) or not latents.is_floating_point():
        kind = latents.dtype if isinstance(latents, Tensor) else type(latents).__name__
        raise InvalidTypeError(f"latents is {kind}; allowed: a tensor of floating numbers")
    if latents.ndim not in (4, 5) or not latents.numel():
        raise InvalidValueError(
            f"latents has shape {tuple(latents.shape)}; allowed: (B, C, h, w) or (B, C, T, h, w), not empty"
        )
    if tuple(latents.shape[-2:]) != masks.size:
        raise InvalidValueError(
            f"latents has shape {tuple(latents.shape)} and the masks are {masks.size[0]} x {masks.size[1]}; "
            "allowed: masks as large as the latents"
        )
    if not bool(latents.isfinite().all()):
        raise InvalidValueError("latents has NaN or infinities; allowed: finite numbers")
    # A copy: the result goes on saying what the sheet was.
    return latents.detach().clone(memory_format=torch.contiguous_format)


def seeds_of_forks(seed: int, rule: str | Sequence[int], count: int) -> tuple[int, ...]:
    """The seeds of the forks: one when all have the same, else one for each.

    Args:
        seed: The run's.
        rule: "same", "increment" (seed + n, round the corner at 64 bits), or a list of one seed for each
            fork.
        count: Number of forks.

    Raises:
        InvalidTypeError: A seed that is not an integer.
        InvalidValueError: An unknown rule, a list of another length, a seed beyond 64 bits.
    """
    first = check_seed(seed)
    if isinstance(rule, str):
        if rule not in SEED_RULES:
            raise unknown_name("fork_seeds", rule, SEED_RULES)
        return (first,) if rule == "same" or not count else tuple((first + n) % _SEEDS for n in range(count))
    seeds = tuple(check_seed(each) for each in rule)
    if len(seeds) != count:
        raise InvalidValueError(f"fork_seeds has {len(seeds)} seeds; allowed: {count}, one for each fork")
    return seeds or (first,)


def start_noise(
    latents: Tensor, seeds: Sequence[int], *, add_noise: bool, noise: Tensor | None
) -> Tensor | None:
    """(1, B, C, ..., h, w) the noise that a run starts from, on the CPU; None when each fork draws its own.

    Args:
        latents: The clean sheet.
        seeds: One for all forks, or one for each.
        add_noise: False gives zeros.
        noise: Taken instead of a draw: of latents' shape, for all forks.

    Raises:
        InvalidValueError: Noise of another shape.
    """
    if noise is not None:
        if noise.shape != latents.shape:
            raise InvalidValueError(
                f"noise has shape {tuple(noise.shape)}; allowed: that of latents, {tuple(latents.shape)}"
            )
        return noise.detach()[None].cpu()
    if not add_noise:
        return torch.zeros((1, *latents.shape), dtype=latents.dtype)
    if len(seeds) > 1:
        return None
    return initial_noise(latents.shape, seeds[0], dtype=latents.dtype)[None]
