"""The controls of a run: what was asked for, by the names and meanings of ComfyUI's KSamplerAdvanced.

`Controls` is the one list of options. `sample_forks` and `MaskGrid` take them as keyword arguments, the
command line as flags, a manifest records them; `ControlOptions` is the same list for type checkers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling.argument_checks import check_count, check_number, unknown_name
from maskgrid.sampling.forking.fork_masks import BLENDS, BlendName
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import (
    ScheduleName,
    SigmaRange,
    check_schedule,
    cut_sigmas,
    make_sigmas,
)
from maskgrid.sampling.samplers.noise import check_seed
from maskgrid.sampling.samplers.registry import SamplerName, get_sampler

__all__ = [
    "CONTROL_NAMES",
    "MODES",
    "SEED_RULES",
    "ControlOptions",
    "Controls",
    "ModeName",
    "SheetConditioning",
    "choose_seeds",
]

ModeName = Literal["Sample then Fork", "Fork then Sample", "sample", "fork"]
SheetConditioning = Literal["own", "cells"]

MODES = {"Sample then Fork": True, "Fork then Sample": False, "sample": True, "fork": False}
"""Whether a mode samples the forks together."""
SEED_RULES = ("same", "increment")
"""How forks get their seeds where they are not listed."""
_SHEET_CONDITIONING = ("own", "cells")
_SEEDS = 2**64


class ControlOptions(TypedDict, total=False):
    """The fields of `Controls` as keyword arguments, for type checkers."""

    sampler: SamplerName
    schedule: ScheduleName | Sequence[float] | Tensor
    steps: int
    seed: int
    add_noise: bool
    start_at_step: int
    end_at_step: int | None
    return_with_leftover_noise: bool
    denoise: float
    mode: ModeName
    fork_at: int | None
    fork_seeds: Literal["same", "increment"] | Sequence[int]
    noise: Tensor | None
    sheet_conditioning: SheetConditioning
    blend: BlendName
    compat: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Controls:
    """What was asked of a run: how to sample and how to fork.

    Attributes:
        sampler: A name in `samplers.SAMPLERS`.
        schedule: A name in `schedules.SCHEDULES`, or falling sigmas, which steps and denoise then have no say
            in.
        steps: Steps of the schedule, 1 or more.
        seed: Of the noise, in [0, 2^64).
        add_noise: Whether noise is added at the start. Without, latents that already are noisy are carried on
            with.
        start_at_step: Steps of the schedule to leave out at its start.
        end_at_step: The step to stop before; None, or past the end, is the end.
        return_with_leftover_noise: Whether a run that stops early gives noisy latents. If not, its last step
            goes down to sigma 0.
        denoise: In [0, 1]: below 1 the run begins at lower noise, with just as many steps; 0 is no run.
        mode: "Sample then Fork" or "Fork then Sample"; "sample" and "fork" for short.
        fork_at: The step of the schedule at which the forks part, 0 to steps, in place of a mode: 0 is Fork
            then Sample, steps is Sample then Fork.
        fork_seeds: "same", "increment" (seed + n), or a list of one seed for each fork, in place of `seed`.
        noise: (B, C, ..., h, w) to start from, in place of a draw.
        sheet_conditioning: Whose conditioning the sheet has until the forks part. "own": its own, one row for
            each batch item. "cells": each cell that of its own fork; the network sees the sheet N times, at N
            times the cost, and each cell takes its part of its own fork's answer.
        blend: "lerp" (a grey pixel of a mask is partly sampled at every step, as the original does) or
            "differential" (a pixel of value m is sampled in the last m of the steps).
        compat: Give what the original node gives where that is a defect, see `original_node`.

    Raises:
        InvalidTypeError: A number that is not an integer where one is needed.
        InvalidValueError: An unknown name or a number out of range.
    """

    sampler: str = "euler"
    schedule: str | Sequence[float] | Tensor = "normal"
    steps: int = 20
    seed: int = 0
    add_noise: bool = True
    start_at_step: int = 0
    end_at_step: int | None = None
    return_with_leftover_noise: bool = False
    denoise: float = 1.0
    mode: str = "Sample then Fork"
    fork_at: int | None = None
    fork_seeds: str | Sequence[int] = "same"
    noise: Tensor | None = None
    sheet_conditioning: SheetConditioning = "own"
    blend: BlendName = "lerp"
    compat: bool = False

    @classmethod
    def from_options(cls, options: ControlOptions) -> "Controls":
        """The controls that keyword arguments ask for; the rest has its default.

        Raises:
            InvalidTypeError: An argument that there is not; and what `Controls` refuses.
        """
        given: dict[str, Any] = dict(options)
        for name in given:
            if name not in CONTROL_NAMES:
                raise InvalidTypeError(str(unknown_name("argument", name, CONTROL_NAMES)))
        return cls(**given)

    def __post_init__(self) -> None:
        get_sampler(self.sampler)
        check_seed(self.seed)
        check_count("start_at_step", self.start_at_step, 0)
        check_number("denoise", self.denoise)
        if isinstance(self.schedule, str):
            check_schedule(self.schedule, self.steps, self.denoise)
        if self.end_at_step is not None:
            check_count("end_at_step", self.end_at_step, 0)
            if self.start_at_step > self.end_at_step:
                raise InvalidValueError(
                    f"start_at_step is {self.start_at_step} and end_at_step {self.end_at_step}; "
                    "allowed: a start that is not after the end"
                )
        for name, allowed in (
            ("mode", MODES),
            ("sheet_conditioning", _SHEET_CONDITIONING),
            ("blend", BLENDS),
        ):
            if getattr(self, name) not in allowed:
                raise unknown_name(name, getattr(self, name), allowed)

    def sigma_range(self, table: NoiseTable) -> SigmaRange:
        """The sigmas to walk, for a model with this noise table; an empty range when there is nothing to."""
        sigmas = make_sigmas(self.schedule, table, self.steps, sampler=self.sampler, denoise=self.denoise)
        return cut_sigmas(
            sigmas, self.start_at_step, self.end_at_step, keep_noise=self.return_with_leftover_noise
        )

    def part_at(self, walked: SigmaRange) -> int:
        """The step at which the controls have the forks part, of `walked.sigmas`.

        `steps` and beyond is the end, also for a schedule that gives more or fewer steps than it is asked
        for.

        Raises:
            InvalidTypeError: A fork_at that is not an integer.
            InvalidValueError: One out of range.
        """
        last = max(len(walked.sigmas) - 1, 0)
        if self.fork_at is None:
            return last if MODES[self.mode] else 0
        steps = self.steps if isinstance(self.schedule, str) else walked.steps
        fork_at = check_count("fork_at", self.fork_at, 0, max(steps, walked.steps))
        return last if fork_at >= steps else min(max(fork_at - walked.first, 0), last)


CONTROL_NAMES = tuple(field.name for field in fields(Controls))
"""Every option of a run, in order."""


def choose_seeds(seed: int, rule: str | Sequence[int], count: int) -> tuple[int, ...]:
    """The seeds of the forks: one when all have the same, else one for each.

    Args:
        seed: The run's.
        rule: "same", "increment" (seed + n, round the corner at 64 bits), or a list of one seed for each
            fork.
        count: Number of forks.

    Raises:
        InvalidTypeError: A seed that is not an integer, or a rule that is neither a word nor a list.
        InvalidValueError: An unknown rule, a list of another length, a seed beyond 64 bits.
    """
    first = check_seed(seed)
    if isinstance(rule, str):
        if rule not in SEED_RULES:
            raise unknown_name("fork_seeds", rule, SEED_RULES)
        return (first,) if rule == "same" or not count else tuple((first + n) % _SEEDS for n in range(count))
    if not isinstance(rule, Sequence):
        raise InvalidTypeError(f"fork_seeds is {rule!r}; allowed: 'same', 'increment' or a list of seeds")
    seeds = tuple(check_seed(each) for each in rule)
    if len(seeds) != count:
        raise InvalidValueError(f"fork_seeds has {len(seeds)} seeds; allowed: {count}, one for each fork")
    return seeds or (first,)
