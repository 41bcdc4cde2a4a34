"""Schedules: which sigmas a run walks through, by ComfyUI's names.

A schedule turns a noise table and a number of steps into falling sigmas that end at 0:

    normal, sgm_uniform     even in training time (sgm_uniform stops one step short of the end)
    simple, ddim_uniform    entries of the table at an even stride, from its top or from its bottom
    karras                  even in sigma^(1/7)
    exponential             even in log sigma
    beta                    training times at the quantiles of a Beta(0.6, 0.6) distribution
    kl_optimal              even in arctan sigma
    linear_quadratic        a slow linear first half, a quadratic second half

Most give steps + 1 sigmas. ddim_uniform's stride is a whole number, so it gives more when the table does not
divide by the steps; beta leaves out a time that comes up twice, and so gives fewer when there are many steps.
simple and ddim_uniform can't resolve more steps than the table has entries (simple then repeats sigmas).
A run that begins late or stops early walks a part of them (`cut_sigmas`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.noise_levels import rounding
from maskgrid.sampling.noise_levels.noise_table import NoiseTable

__all__ = [
    "MAX_STEPS",
    "SCHEDULES",
    "ScheduleName",
    "SigmaRange",
    "check_schedule",
    "check_sigmas",
    "cut_sigmas",
    "make_sigmas",
    "schedule_sigmas",
]

ScheduleName = Literal[
    "normal",
    "karras",
    "exponential",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    "beta",
    "linear_quadratic",
    "kl_optimal",
]
"""The keys of `SCHEDULES`, for type checkers."""

MAX_STEPS = 10_000
"""The most steps a run may have."""

# By ComfyUI's convention these get a list of one step more, without its last sigma above 0.
_DROP_PENULTIMATE = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"})
_ALL_THE_WAY = 0.9999
_ZERO = 1e-5


def make_sigmas(
    schedule: str | Sequence[float] | Tensor,
    table: NoiseTable,
    steps: int = 20,
    *,
    sampler: str = "euler",
    denoise: float = 1.0,
) -> Tensor:
    """The sigmas of a run, before start_at_step and end_at_step cut them.

    A denoise of d < 1 takes the last `steps` steps of a list of int(steps / d). The samplers dpm_2,
    dpm_2_ancestral, uni_pc and uni_pc_bh2 get one step more without its last sigma above 0.

    Args:
        schedule: A name in `SCHEDULES`, or the sigmas themselves, which are checked and taken as they are
            (steps, sampler and denoise are then not read).
        table: The model's noise table.
        steps: In [1, 10000].
        sampler: The sampler's name.
        denoise: In [0, 1]; 0 is no run at all.

    Returns:
        (S + 1,) float32 on the CPU; S is mostly `steps`. Empty when denoise is 0.

    Raises:
        InvalidTypeError: Steps that are not an integer.
        InvalidValueError: An unknown schedule, steps or denoise out of range, or sigmas that `check_sigmas`
        refuses. MaskGridError: The beta schedule without scipy.
    """
    if not isinstance(schedule, str):
        return check_sigmas(schedule, table)
    check_schedule(schedule, steps, denoise)
    if denoise == 0:
        return torch.zeros(0)
    if denoise > _ALL_THE_WAY:
        return _sampler_sigmas(schedule, table, steps, sampler)
    return _sampler_sigmas(schedule, table, int(steps / denoise), sampler)[-(steps + 1) :]


def schedule_sigmas(schedule: str, table: NoiseTable, steps: int) -> Tensor:
    """The plain sigmas of a named schedule: falling, ending at 0.

    Args:
        schedule: A name in `SCHEDULES`.
        table: The model's noise table.
        steps: At least 1.

    Returns:
        (S + 1,) float32 on the CPU.

    Raises:
        InvalidValueError: An unknown schedule.
        MaskGridError: The beta schedule without scipy.
    """
    if schedule not in SCHEDULES:
        raise unknown_name("schedule", schedule, SCHEDULES)
    return SCHEDULES[schedule](table, steps)


def check_schedule(schedule: str, steps: int, denoise: float) -> None:
    """Whether there is such a run, whatever the model; arguments and errors are those of `make_sigmas`."""
    if schedule not in SCHEDULES:
        raise unknown_name("schedule", schedule, SCHEDULES)
    _check_steps(steps)
    if not 0 <= denoise <= 1:
        raise InvalidValueError(f"denoise is {denoise}; allowed: 0 to 1")


def check_sigmas(sigmas: Sequence[float] | Tensor, table: NoiseTable) -> Tensor:
    """A list of sigmas made by someone else, checked.

    Args:
        sigmas: Two or more finite numbers that fall strictly; the last may be 0 (a whole run) or above.
        table: The model's noise table; flow models have no sigma above 1.

    Returns:
        (S + 1,) float32 on the CPU.

    Raises:
        InvalidTypeError: Not a list of numbers.
        InvalidValueError: Any rule above broken.
    """
    try:
        values = torch.as_tensor(sigmas).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidTypeError(
            f"sigmas is {sigmas!r}; allowed: a schedule's name or a list of numbers"
        ) from error
    if values.ndim != 1 or len(values) < 2:
        raise InvalidValueError(
            f"sigmas has shape {tuple(values.shape)}; allowed: 2 or more numbers in a row"
        )
    if not bool(values.isfinite().all()) or float(values[-1]) < 0:
        raise InvalidValueError(f"sigmas is {values.tolist()}; allowed: finite numbers, none below 0")
    rising = (values.diff() >= 0).nonzero().flatten().tolist()
    if rising:
        at = rising[0]
        raise InvalidValueError(
            f"sigmas goes from {values[at]} to {values[at + 1]} at step {at}; allowed: falling sigmas"
        )
    if table.is_flow and float(values[0]) > 1:
        raise InvalidValueError(f"sigmas begins at {float(values[0])}; allowed for a flow model: 1 or less")
    return values


def _sampler_sigmas(schedule: str, table: NoiseTable, steps: int, sampler: str) -> Tensor:
    if sampler not in _DROP_PENULTIMATE:
        return schedule_sigmas(schedule, table, steps)
    sigmas = schedule_sigmas(schedule, table, steps + 1)
    return torch.cat([sigmas[:-2], sigmas[-1:]])


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise InvalidTypeError(f"steps is {steps!r}; allowed: an integer")
    if not 1 <= steps <= MAX_STEPS:
        raise InvalidValueError(f"steps is {steps}; allowed: 1 to {MAX_STEPS}")


def _end(sigmas: Tensor | Sequence[float]) -> Tensor:
    """The sigmas of a schedule in float32, with 0 appended."""
    return torch.cat([torch.as_tensor(sigmas, dtype=torch.float32), torch.zeros(1)])


def _normal(table: NoiseTable, steps: int) -> Tensor:
    first, last = _training_times(table)
    if _is_zero(table.sigma(last)):
        return table.sigma(torch.linspace(first, last, steps + 1))
    return _end(table.sigma(torch.linspace(first, last, steps)))


def _sgm_uniform(table: NoiseTable, steps: int) -> Tensor:
    first, last = _training_times(table)
    return _end(table.sigma(torch.linspace(first, last, steps + 1)[:-1]))


def _simple(table: NoiseTable, steps: int) -> Tensor:
    stride = len(table.sigmas) / steps
    return _end(table.sigmas[[-(1 + int(i * stride)) for i in range(steps)]])


def _ddim_uniform(table: NoiseTable, steps: int) -> Tensor:
    # A table that all but begins at 0 needs no 0 appended, and gets one step more instead.
    starts_at_zero = _is_zero(table.sigmas[1])
    stride = max(len(table.sigmas) // (steps + 1 if starts_at_zero else steps), 1)
    picked = table.sigmas[1::stride].flip(0)
    return picked.clone() if starts_at_zero else _end(picked)


def _karras(table: NoiseTable, steps: int, rho: float = 7.0) -> Tensor:
    """The karras schedule: equation 5 of Karras et al., arXiv 2206.00364."""
    low, high = table.sigma_min ** (1 / rho), table.sigma_max ** (1 / rho)
    return _end(rounding.power(high + torch.linspace(0, 1, steps) * (low - high), rho))


def _exponential(table: NoiseTable, steps: int) -> Tensor:
    return _end(rounding.exp(torch.linspace(math.log(table.sigma_max), math.log(table.sigma_min), steps)))


def _beta(table: NoiseTable, steps: int, shape: float = 0.6) -> Tensor:
    """Lee et al., "Beta Sampling is All You Need", arXiv 2407.12173."""
    try:
        from scipy.stats import beta
    except ImportError as error:
        raise MaskGridError(
            "the beta schedule needs scipy, which is not installed; allowed: pip install maskgrid[torch], "
            "or another schedule"
        ) from error
    quantiles = 1 - np.linspace(0, 1, steps, endpoint=False)
    last = len(table.sigmas) - 1
    times = [round(float(share) * last) for share in beta.ppf(quantiles, shape, shape)]
    kept = [time for i, time in enumerate(times) if i == 0 or time != times[i - 1]]
    return _end(table.sigmas[kept])


def _kl_optimal(table: NoiseTable, steps: int) -> Tensor:
    """Sabour et al., "Align Your Steps", arXiv 2404.14507: the best for Gaussian data, in closed form."""
    shares = torch.arange(steps, dtype=torch.float32) / max(steps - 1, 1)
    return _end((shares * math.atan(table.sigma_min) + (1 - shares) * math.atan(table.sigma_max)).tan())


def _linear_quadratic(table: NoiseTable, steps: int, threshold: float = 0.025) -> Tensor:
    """The schedule of Mochi 1 and Movie Gen (arXiv 2410.13720).

    The first half of the steps removes `threshold` of the noise in equal parts; the rest of the way is a
    parabola that goes on from there with the same slope and removes the last of it.
    """
    if steps == 1:
        return torch.tensor([table.sigma_max, 0.0])
    half = steps // 2
    rest = steps - half
    slope = threshold / half
    # removed(i) = threshold + slope * k + curve * k^2 with k = i - half; 1 at k = rest
    curve = (1 - threshold - slope * rest) / rest**2
    removed = [i * slope for i in range(half)]
    removed += [threshold + slope * k + curve * k * k for k in range(rest)]
    return torch.tensor([1 - share for share in [*removed, 1.0]]) * table.sigma_max


def _training_times(table: NoiseTable) -> tuple[float, float]:
    """The timesteps of the largest and of the smallest sigma."""
    return float(table.timestep(table.sigma_max)), float(table.timestep(table.sigma_min))


def _is_zero(sigma: Tensor) -> bool:
    return float(sigma) <= _ZERO


SCHEDULES: Mapping[str, Callable[[NoiseTable, int], Tensor]] = {
    "normal": _normal,
    "karras": _karras,
    "exponential": _exponential,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "ddim_uniform": _ddim_uniform,
    "beta": _beta,
    "linear_quadratic": _linear_quadratic,
    "kl_optimal": _kl_optimal,
}
"""Every schedule by its name."""


@dataclass(frozen=True, eq=False)
class SigmaRange:
    """The part of a schedule that a run walks.

    Attributes:
        sigmas: (S + 1,) float32 on the CPU: all that the solver gets to see; empty when there is nothing to
            walk.
        stop: The steps to walk are 0 to stop - 1 of these.
        first: The step of the schedule that sigmas[0] belongs to.
        steps: Steps of the whole schedule.
    """

    sigmas: Tensor
    stop: int
    first: int
    steps: int


def cut_sigmas(sigmas: Tensor, first: int, end: int | None, *, keep_noise: bool) -> SigmaRange:
    """Cut a schedule to the steps from `first` up to, and without, `end`.

    A run that stops early and keeps its noise sees the whole list, so that it takes the steps that the uncut
    run takes; solvers that look at the list's end would otherwise take others.

    Args:
        sigmas: (steps + 1,) falling; empty for no steps at all.
        first: Steps to leave out at the start.
        end: The step to stop before; None, or past the end, is the end.
        keep_noise: Whether a run that stops early keeps its noise; if not, its last step goes down to 0.

    Returns:
        The range; an empty one when the start is at or past the end.
    """
    steps = max(len(sigmas) - 1, 0)
    stop = steps if end is None else min(end, steps)
    if first >= stop:
        return SigmaRange(torch.zeros(0), 0, first, steps)
    if stop < steps and not keep_noise:
        sigmas = sigmas[: stop + 1].clone()
        sigmas[-1] = 0
    return SigmaRange(sigmas[first:], stop - first, first, steps)
