"""DPM-Solver-fast: DPM-Solver of order 3 with as many evaluations as there are steps (arXiv 2206.00927)."""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.dpm_solver import ends_of, first_order, second_order, third_order
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["dpm_fast"]

_STEPS = {1: first_order, 2: second_order, 3: third_order}


def dpm_fast(x: Tensor, walk: Walk) -> Steps:
    """DPM-Solver-fast (Lu et al., arXiv 2206.00927).

    A stretch of n steps is n evaluations, spent on steps of order 3 that are even in log sigma; what is left
    of n goes into a last one or two of order 2 or 1. Of the schedule only the ends of the stretch count, see
    `dpm_solver`, so a cut run takes other steps than the uncut one.
    """
    if walk.start == walk.stop:
        return x
    start, end = ends_of(walk)
    if start == end:
        return (yield x, walk.sigmas[walk.start], walk.start) if walk.sigmas[walk.stop] == 0 else x
    orders = _orders(walk.stop - walk.start)
    times = torch.linspace(float(start), float(end), len(orders) + 1, dtype=start.dtype)
    for order, t, to in zip(orders, times[:-1], times[1:], strict=True):
        x = yield from _STEPS[order](x, walk, t, to)
    return x


def _orders(evaluations: int) -> list[int]:
    """The orders of the steps: 3 as often as leaves something for the end."""
    thirds, left = divmod(evaluations, 3)
    return [3] * thirds + [left] if left else [3] * (thirds - 1) + [2, 1]
