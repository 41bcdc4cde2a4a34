"""DPM-Solver that makes its steps as large as its own error allows (arXiv 2206.00927)."""

import math

import torch
from torch import Tensor

from maskgrid.errors import MaskGridError
from maskgrid.sampling.samplers.dpm_solver import ends_of, two_orders
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["dpm_adaptive"]

_FIRST_LENGTH = 0.05
_ACCEPTED = 0.81
_AT_THE_END = 1e-5
# Below this a step is lost in the rounding of t.
_SHORTEST = 1e-6


def dpm_adaptive(x: Tensor, walk: Walk, *, rtol: float = 0.05, atol: float = 0.0078) -> Steps:
    """DPM-Solver-23 (Lu et al., arXiv 2206.00927): order 3, with order 2 for its error.

    A step's error is the difference of the two, each value of it in parts of max(atol, rtol * |x|), as the
    root of the mean square over the whole sheet. A step that errs too much is taken again, shorter. How many
    evaluations that makes is not known before. Of the schedule only the ends of the stretch count, see
    `dpm_solver`; every stretch begins with a short step.

    Args:
        x: (B, C, ...) at the walk's first sigma. All items have a say in the error, so forks go one by one.
        walk: What to walk along.
        rtol: Of x.
        atol: Of x.

    Raises:
        MaskGridError: The error stays too large, or is not a number, whatever the step.
    """
    if walk.start == walk.stop:
        return x
    t, end = ends_of(walk)
    if t == end:
        return (yield x, walk.sigmas[walk.start], walk.start) if walk.sigmas[walk.stop] == 0 else x
    length, before = _FIRST_LENGTH, x
    while t < end - _AT_THE_END:
        to = torch.minimum(end, t + length)
        low, high = yield from two_orders(x, walk, t, to)
        scale = (torch.maximum(low.abs(), before.abs()) * rtol).clamp(min=atol)
        error = float(((low - high) / scale).norm()) / (walk.sheet_size or x.numel()) ** 0.5
        factor = 1 + math.atan((error + 1e-8) ** (-1 / 3) - 1)
        if factor >= _ACCEPTED:
            x, t, before = high, to, low
        length *= factor
        if not length > _SHORTEST:
            raise MaskGridError(
                f"dpm_adaptive found no step at sigma {float(t.neg().exp()):.6g} that errs little enough, "
                f"the last by {error:g}; allowed: a network whose answers change smoothly with x and sigma"
            )
    return x
