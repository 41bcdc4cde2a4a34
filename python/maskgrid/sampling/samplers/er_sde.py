"""ER-SDE: extended reverse-time SDE solvers (Cui et al., arXiv 2309.06169)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskgrid.sampling.samplers.half_log_snr import snr_sigmas
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["er_sde"]

_POINTS = 200


def er_sde(x: Tensor, walk: Walk, *, order: int = 3) -> Steps:
    """ER-SDE-Solver-3 (Cui et al., arXiv 2309.06169), noise scale function ER-SDE 5.

    In w = sigma / alpha, with phi(w) = w * (exp(w^0.3) + 10) and r = phi(w') / phi(w):

        x' = (alpha' / alpha) * r * x + alpha' * (1 - r) * denoised + differences of denoised
             + alpha' * sqrt(w'^2 - w^2 r^2) * noise

    The integrals over 1 / phi that weigh the differences are sums over 200 points, as in the authors' code.
    """
    sigmas = snr_sigmas(walk)
    ws = walk.table.half_log_snr(sigmas).neg().exp()
    for step, sigma, following in walk.steps(sigmas):
        denoised = yield x, sigma, step
        past = walk.remember("denoised", denoised, most=order)
        if following == 0:
            x = denoised
        else:
            w, w_next, alpha_next = ws[step], ws[step + 1], walk.table.alpha(following)
            r = _noise_scale(w_next) / _noise_scale(w)
            x = x * (alpha_next / walk.table.alpha(sigma) * r) + denoised * (alpha_next * (1 - r))
            weights = _weights(w, w_next)
            for difference, weight in zip(_differences(past, ws[: step + 1]), weights, strict=False):
                x = x + difference * (alpha_next * weight)
            up = (w_next**2 - (w * r) ** 2).clamp(min=0).sqrt()
            x = x + walk.noise(sigma, following) * (alpha_next * up)
    return x


def _noise_scale(w: Tensor) -> Tensor:
    """The noise scale function of ER-SDE 5 (arXiv 2309.06169)."""
    return w * ((w**0.3).exp() + 10)


def _weights(w: Tensor, w_next: Tensor) -> tuple[Tensor, Tensor]:
    """What the first and the second difference of denoised weigh in a step from w to w_next."""
    span = w_next - w
    points = w_next - span / _POINTS * torch.arange(_POINTS)
    inverse = 1 / _noise_scale(points)
    scale = _noise_scale(w_next) * -span / _POINTS
    return span + inverse.sum() * scale, span**2 / 2 + ((points - w) * inverse).sum() * scale


def _differences(past: Sequence[Tensor], ws: Tensor) -> list[Tensor]:
    """The first and second divided difference of the last denoised, newest first, as many as there are.

    ws ends with the newest one's w.
    """
    if len(past) < 2:
        return []
    first = (past[0] - past[1]) / (ws[-1] - ws[-2])
    if len(past) < 3:
        return [first]
    before = (past[1] - past[2]) / (ws[-2] - ws[-3])
    return [first, (first - before) / ((ws[-1] - ws[-3]) / 2)]
