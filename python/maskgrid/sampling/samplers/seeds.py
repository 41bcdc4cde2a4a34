"""SEEDS and exponential Heun: single-step solvers of the reverse-time SDE over lambda = log(alpha / sigma).

SEEDS are Gonzalez et al.'s (arXiv 2305.14267): exponential Runge-Kutta steps in data prediction, whose stages
share the noise of one path.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.half_log_snr import phi_2, snr_sigmas
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["exp_heun_2_x0", "exp_heun_2_x0_sde", "seeds_2", "seeds_3"]


def seeds_2(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """SEEDS-2 (arXiv 2305.14267): the step takes denoised from its midpoint in lambda."""
    return _two_stages(x, walk, eta=eta, share=0.5, slope=False)


def exp_heun_2_x0(x: Tensor, walk: Walk) -> Steps:
    """The exponential Heun method in data prediction (Hochbruck and Ostermann, Acta Numerica 2010).

    A line through denoised at both ends of the step is integrated exactly.
    """
    return _two_stages(x, walk, eta=0.0, share=1.0, slope=True)


def exp_heun_2_x0_sde(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """The exponential Heun method with the noise of SEEDS, see `exp_heun_2_x0`."""
    return _two_stages(x, walk, eta=eta, share=1.0, slope=True)


def seeds_3(
    x: Tensor, walk: Walk, *, eta: float = 1.0, shares: tuple[float, float] = (1 / 3, 2 / 3)
) -> Steps:
    """SEEDS-3 (arXiv 2305.14267): stages after one and two thirds of the step in lambda."""
    first, second = shares
    for step, sigma, following in walk.steps(snr_sigmas(walk)):
        denoised = yield x, sigma, step
        if following == 0:
            x = denoised
            continue
        stages = _Stages(walk, sigma, following, eta)
        ahead = stages.drift(x, denoised, first) + stages.noise(first)
        change = (yield ahead, stages.sigma(first), step) - denoised
        ahead = stages.drift(x, denoised, second) + change * stages.slope(second, over=first)
        ahead = ahead + stages.noise(second)
        change = (yield ahead, stages.sigma(second), step) - denoised
        x = stages.drift(x, denoised, 1) + change * stages.slope(1, over=second) + stages.noise(1)
    return x


def _two_stages(x: Tensor, walk: Walk, *, eta: float, share: float, slope: bool) -> Steps:
    """Steps with a stage after a share of them.

    What denoised changes up to there is weighed as a line's slope, or as all there is: 1 / (2 * share) of it
    over the whole step.
    """
    for step, sigma, following in walk.steps(snr_sigmas(walk)):
        denoised = yield x, sigma, step
        if following == 0:
            x = denoised
            continue
        stages = _Stages(walk, sigma, following, eta)
        ahead = stages.drift(x, denoised, share) + stages.noise(share)
        further = yield ahead, stages.sigma(share), step
        if slope:
            x = stages.drift(x, denoised, 1) + (further - denoised) * stages.slope(1, over=share)
        else:
            x = stages.drift(x, torch.lerp(denoised, further, 1 / (2 * share)), 1)
        x = x + stages.noise(1)
    return x


class _Stages:
    """A step from sigma to following, of which a share in lambda may be gone.

    With h the whole step and c a share: x at c, where denoised is constant, is
    (sigma_c / sigma) * exp(-eta c h) * x + alpha_c * (1 - exp(-(1 + eta) c h)) * denoised.
    """

    def __init__(self, walk: Walk, sigma: Tensor, following: Tensor, eta: float) -> None:
        self._walk, self._first, self._last, self._eta = walk, sigma, following, eta
        self._lambda = walk.table.half_log_snr(sigma)
        self._h = walk.table.half_log_snr(following) - self._lambda
        self._noise: Tensor | None = None
        self._drawn_to = 0.0

    def sigma(self, share: float) -> Tensor:
        """Sigma after a share of a step of SEEDS."""
        if share in (0, 1):
            return self._last if share else self._first
        return self._walk.table.sigma_of_half_log_snr(self._lambda + share * self._h)

    def drift(self, x: Tensor, denoised: Tensor, share: float) -> Tensor:
        """Move x over a share of the step without its noise, if denoised stayed the same."""
        sigma, length = self.sigma(share), share * self._h
        weight = -self._walk.table.alpha(sigma) * torch.expm1(-length * (1 + self._eta))
        return x * (sigma / self._first * torch.exp(-length * self._eta)) + denoised * weight

    def slope(self, share: float, *, over: float) -> Tensor:
        """Weight in x, after a share of the step, of what denoised changes over another: a line's slope."""
        size = share * self._h * (1 + self._eta)
        return self._walk.table.alpha(self.sigma(share)) * phi_2(size) * (share / over)

    def noise(self, share: float) -> Tensor:
        """Draw the noise in x after a share of the step: the last stage's, faded, and that of the rest."""
        if self._eta == 0:
            return torch.zeros(())
        length = (share - self._drawn_to) * self._h * self._eta
        drawn = self._walk.noise(self.sigma(self._drawn_to), self.sigma(share))
        fresh = drawn * (-torch.expm1(-2 * length)).sqrt()
        self._noise = fresh if self._noise is None else self._noise * torch.exp(-length) + fresh
        self._drawn_to = share
        return self._noise * self.sigma(share)
