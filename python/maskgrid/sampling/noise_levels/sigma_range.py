"""The part of a schedule that a run walks, where it begins late or stops early."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SigmaRange", "cut_sigmas"]


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
