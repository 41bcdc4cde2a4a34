"""The steps of DPM-Solver, orders 1 to 3, that dpm_fast and dpm_adaptive share (Lu et al., arXiv 2206.00927).

Time is t = -log(sigma), and the network's epsilon = (x - denoised) / sigma is what is integrated. These
solvers take steps of their own between the two ends of a stretch; the schedule's sigmas in between mean
nothing to them. An evaluation belongs to the step of the schedule that its sigma lies in.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from maskgrid.sampling.noise_levels.rounding import exp, log
from maskgrid.sampling.samplers.walk import Question, Walk

__all__ = ["Evaluation", "ends_of", "evaluate", "first_order", "second_order", "third_order", "two_orders"]

Evaluation = Generator[Question, Tensor, Tensor]


def ends_of(walk: Walk) -> tuple[Tensor, Tensor]:
    """Times t = -log(sigma) at which a stretch starts and ends; one to sigma 0 ends at its last sigma above.

    Where it has nothing but a single step to 0 they are the same.
    """
    last = walk.sigmas[walk.stop]
    last = walk.sigmas[walk.stop - 1] if last == 0 else last
    return log(walk.sigmas[walk.start]).neg(), log(last).neg()


def evaluate(x: Tensor, t: Tensor, walk: Walk) -> Evaluation:
    """Evaluate the network for epsilon = (x - denoised) / sigma at time t."""
    sigma = exp(t.neg())
    denoised = yield x, sigma, walk.step_at(sigma)
    return (x - denoised) / sigma


def first_order(x: Tensor, walk: Walk, t: Tensor, to: Tensor) -> Evaluation:
    """Take a step of DPM-Solver-1 from time t on, which is Euler's."""
    epsilon = yield from evaluate(x, t, walk)
    return x + epsilon * _constant(to, to - t)


def second_order(x: Tensor, walk: Walk, t: Tensor, to: Tensor, *, share: float = 1 / 2) -> Evaluation:
    """Take a step of DPM-Solver-2 from time t on (arXiv 2206.00927), its stage after a share of it."""
    h = to - t
    epsilon = yield from evaluate(x, t, walk)
    stage = t + share * h
    change = (yield from evaluate(x + epsilon * _constant(stage, share * h), stage, walk)) - epsilon
    return x + (epsilon + change / (2 * share)) * _constant(to, h)


def third_order(x: Tensor, walk: Walk, t: Tensor, to: Tensor) -> Evaluation:
    """Take a step of DPM-Solver-3 from time t on (arXiv 2206.00927), its stages after one and two thirds."""
    _, x = yield from two_orders(x, walk, t, to)
    return x


def two_orders(
    x: Tensor, walk: Walk, t: Tensor, to: Tensor
) -> Generator[Question, Tensor, tuple[Tensor, Tensor]]:
    """Take a step of DPM-Solver-3 and, on the first two of its three evaluations, one of DPM-Solver-2."""
    r1, r2 = 1 / 3, 2 / 3
    h = to - t
    epsilon = yield from evaluate(x, t, walk)
    first, second = t + r1 * h, t + r2 * h
    change = (yield from evaluate(x + epsilon * _constant(first, r1 * h), first, walk)) - epsilon
    low = x + (epsilon + change / (2 * r1)) * _constant(to, h)
    ahead = x + epsilon * _constant(second, r2 * h) + change * (_linear(second, r2 * h) * (r2 / r1))
    change = (yield from evaluate(ahead, second, walk)) - epsilon
    high = x + epsilon * _constant(to, h) + change * (_linear(to, h) / r2)
    return low, high


def _constant(to: Tensor, length: Tensor) -> Tensor:
    """What a constant epsilon weighs in x after a way of this length to t = `to`: -sigma * h * phi_1(h)."""
    return -to.neg().exp() * torch.expm1(length)


def _linear(to: Tensor, length: Tensor) -> Tensor:
    """What an epsilon weighs that rises from 0 to 1 on that way: -sigma * h * phi_2(h)."""
    return -to.neg().exp() * (torch.expm1(length) / length - 1)
