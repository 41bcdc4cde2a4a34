"""DPM-Solver++ SDE: solvers of the reverse-time SDE in data prediction, over lambda = log(alpha / sigma).

alpha is what the image is scaled by in x: 1 for epsilon and v models, 1 - sigma for flow models. A step of
length h > 0 in lambda with noise share eta, where denoised is constant, is

    x' = (sigma' / sigma) * exp(-eta h) * x + alpha' * (1 - exp(-(1 + eta) h)) * denoised
         + sigma' * sqrt(1 - exp(-2 eta h)) * noise

(Lu et al., arXiv 2211.01095; Gonzalez et al., arXiv 2305.14267). A step to sigma 0 gives denoised itself.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.ancestral_step import ancestral_levels
from maskgrid.sampling.samplers.half_log_snr import phi_2, phi_3, snr_sigmas
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "dpmpp_sde"]


def dpmpp_sde(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++ SDE: the stochastic DPM-Solver++(2S) of k-diffusion (arXiv 2211.01095).

    Two ancestral steps in sigma / alpha, the first to the midpoint in lambda; the whole step takes denoised
    from there.
    """
    table = walk.table
    for step, sigma, following in walk.steps(snr_sigmas(walk)):
        denoised = yield x, sigma, step
        if following == 0:
            x = denoised
            continue
        # The Brownian path is only so fine that the last bit of the midpoint shows: this order of operations
        # is everybody's.
        lam = table.half_log_snr(sigma)
        middle = table.sigma_of_half_log_snr(lam + 0.5 * (table.half_log_snr(following) - lam))
        denoised = yield _ancestral(x, denoised, walk, (sigma, middle), eta), middle, step
        x = _ancestral(x, denoised, walk, (sigma, following), eta)
    return x


def dpmpp_2m_sde(x: Tensor, walk: Walk, *, eta: float = 1.0, heun: bool = False) -> Steps:
    """DPM-Solver++(2M) SDE (arXiv 2211.01095).

    denoised is extrapolated along lambda by its change since the last step; `heun` weighs that change by the
    integral of its line, the midpoint form by half of the step's weight.
    """
    sigmas, table = snr_sigmas(walk), walk.table
    for step, sigma, following in walk.steps(sigmas):
        denoised = yield x, sigma, step
        past = walk.recall("denoised")
        if following == 0:
            x = denoised
        else:
            h = table.half_log_snr(following) - table.half_log_snr(sigma)
            x = _linear_step(x, denoised, walk, (sigma, following, h), eta)
            if past:
                r = (table.half_log_snr(sigma) - table.half_log_snr(sigmas[step - 1])) / h
                weight = phi_2(h * (1 + eta)) if heun else -0.5 * torch.expm1(-h * (1 + eta))
                x = x + (denoised - past[0]) * (table.alpha(following) * weight / r)
            x = _with_noise(x, walk, (sigma, following, h), eta)
        walk.remember("denoised", denoised)
    return x


def dpmpp_2m_sde_heun(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(2M) SDE with Heun's weights, see `dpmpp_2m_sde`."""
    return dpmpp_2m_sde(x, walk, eta=eta, heun=True)


def dpmpp_3m_sde(x: Tensor, walk: Walk, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(3M) SDE of k-diffusion: three denoised, in Newton's form along lambda.

    The differences are those of arXiv 2211.01095 (DPM-Solver++(3M)), with an SDE's weights. The second
    difference there has half the weight that a parabola through the three gives it, so the order stays 2,
    with a smaller error than the two-step solver's.
    """
    sigmas, table = snr_sigmas(walk), walk.table
    for step, sigma, following in walk.steps(sigmas):
        denoised = yield x, sigma, step
        past = walk.recall("denoised")
        if following == 0:
            x = denoised
        else:
            lams = [table.half_log_snr(sigmas[step - k]) for k in range(len(past) + 1)]
            h = table.half_log_snr(following) - lams[0]
            x = _linear_step(x, denoised, walk, (sigma, following, h), eta)
            alpha, size = table.alpha(following), h * (1 + eta)
            if len(past) == 1:
                x = x + (denoised - past[0]) * (alpha * phi_2(size) * h / (lams[0] - lams[1]))
            elif len(past) == 2:
                r0, r1 = (lams[0] - lams[1]) / h, (lams[1] - lams[2]) / h
                first, second = (denoised - past[0]) / r0, (past[0] - past[1]) / r1
                bend = (first - second) / (r0 + r1)
                x = x + (first + bend * r0) * (alpha * phi_2(size)) - bend * (alpha * phi_3(size))
            x = _with_noise(x, walk, (sigma, following, h), eta)
        walk.remember("denoised", denoised, most=2)
    return x


def _linear_step(
    x: Tensor, denoised: Tensor, walk: Walk, levels: tuple[Tensor, Tensor, Tensor], eta: float
) -> Tensor:
    """The step without its noise, as if denoised stayed the same; levels are (sigma, following, h)."""
    sigma, following, h = levels
    weight = -walk.table.alpha(following) * torch.expm1(-h * (1 + eta))
    return x * (following / sigma * torch.exp(-h * eta)) + denoised * weight


def _with_noise(x: Tensor, walk: Walk, levels: tuple[Tensor, Tensor, Tensor], eta: float) -> Tensor:
    """The step's noise added; levels are (sigma, following, h)."""
    if eta == 0:
        return x
    sigma, following, h = levels
    return x + walk.noise(sigma, following) * (following * (-torch.expm1(-2 * h * eta)).sqrt())


def _ancestral(x: Tensor, denoised: Tensor, walk: Walk, levels: tuple[Tensor, Tensor], eta: float) -> Tensor:
    """An ancestral step in w = sigma / alpha from one sigma to another, levels are (sigma, to)."""
    sigma, to = levels
    alpha, alpha_to = walk.table.alpha(sigma), walk.table.alpha(to)
    down, up = ancestral_levels(sigma / alpha, to / alpha_to, eta)
    share = down * alpha / sigma
    x = x * (alpha_to / alpha * share) + denoised * (alpha_to * (1 - share))
    if eta == 0:
        return x
    return x + walk.noise(sigma, to) * (alpha_to * up)
