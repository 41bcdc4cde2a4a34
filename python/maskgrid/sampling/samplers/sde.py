"""Solvers of the reverse-time SDE in data prediction, over lambda = log(alpha / sigma).

alpha is what the image is scaled by in x: 1 for epsilon and v models, 1 - sigma for flow models. A step of
length h > 0 in lambda with noise share eta, where denoised is constant, is

    x' = (sigma' / sigma) * exp(-eta h) * x + alpha' * (1 - exp(-(1 + eta) h)) * denoised
         + sigma' * sqrt(1 - exp(-2 eta h)) * noise

(Lu et al., arXiv 2211.01095; Gonzalez et al., arXiv 2305.14267). A step to sigma 0 gives denoised itself.
"""

import torch
from torch import Tensor

from maskgrid.sampling.samplers.steps import ancestral_levels
from maskgrid.sampling.samplers.walk import Run, Steps

__all__ = ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "dpmpp_sde", "er_sde"]

# A flow model's lambda at sigma 1 is minus infinity: a run from there starts this share of the way on.
_FIRST_SHARE = 1e-4
_ER_POINTS = 200


def dpmpp_sde(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++ SDE: the stochastic DPM-Solver++(2S) of k-diffusion (arXiv 2211.01095).

    Two ancestral steps in sigma / alpha, the first to the midpoint in lambda; the whole step takes denoised
    from there.
    """
    table = run.table
    for _, sigma, following in run.steps(_snr_sigmas(run)):
        denoised = yield x, sigma
        if following == 0:
            x = denoised
            continue
        # The Brownian path is only so fine that the last bit of the midpoint shows: this order of operations
        # is everybody's.
        lam = table.half_log_snr(sigma)
        middle = table.sigma_of_half_log_snr(lam + 0.5 * (table.half_log_snr(following) - lam))
        denoised = yield _ancestral(x, denoised, run, (sigma, middle), eta), middle
        x = _ancestral(x, denoised, run, (sigma, following), eta)
    return x


def dpmpp_2m_sde(x: Tensor, run: Run, *, eta: float = 1.0, heun: bool = False) -> Steps:
    """DPM-Solver++(2M) SDE (arXiv 2211.01095).

    denoised is extrapolated along lambda by its change since the last step; `heun` weighs that change by the
    integral of its line, the midpoint form by half of the step's weight.
    """
    sigmas, table = _snr_sigmas(run), run.table
    last = run.recall("denoised")
    for i, sigma, following in run.steps(sigmas):
        denoised = yield x, sigma
        if following == 0:
            x = denoised
        else:
            h = table.half_log_snr(following) - table.half_log_snr(sigma)
            x = _linear_step(x, denoised, run, (sigma, following, h), eta)
            if last is not None:
                r = (table.half_log_snr(sigma) - table.half_log_snr(sigmas[i - 1])) / h
                weight = _phi_2(h * (1 + eta)) if heun else -0.5 * torch.expm1(-h * (1 + eta))
                x = x + (denoised - last) * (table.alpha(following) * weight / r)
            x = _with_noise(x, run, (sigma, following, h), eta)
        last = run.memory["denoised"] = denoised
    return x


def dpmpp_2m_sde_heun(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(2M) SDE with Heun's weights, see `dpmpp_2m_sde`."""
    return dpmpp_2m_sde(x, run, eta=eta, heun=True)


def dpmpp_3m_sde(x: Tensor, run: Run, *, eta: float = 1.0) -> Steps:
    """DPM-Solver++(3M) SDE of k-diffusion: three denoised, in Newton's form along lambda.

    The differences are those of arXiv 2211.01095 (DPM-Solver++(3M)), with an SDE's weights. The second
    difference there has half the weight that a parabola through the three gives it, so the order stays 2,
    with a smaller error than the two-step solver's.
    """
    sigmas, table = _snr_sigmas(run), run.table
    past = run.recall_list("denoised")
    for i, sigma, following in run.steps(sigmas):
        denoised = yield x, sigma
        if following == 0:
            x = denoised
        else:
            lams = [table.half_log_snr(sigmas[i - k]) for k in range(len(past) + 1)]
            h = table.half_log_snr(following) - lams[0]
            x = _linear_step(x, denoised, run, (sigma, following, h), eta)
            alpha, size = table.alpha(following), h * (1 + eta)
            if len(past) == 1:
                x = x + (denoised - past[0]) * (alpha * _phi_2(size) * h / (lams[0] - lams[1]))
            elif len(past) == 2:
                r0, r1 = (lams[0] - lams[1]) / h, (lams[1] - lams[2]) / h
                first, second = (denoised - past[0]) / r0, (past[0] - past[1]) / r1
                bend = (first - second) / (r0 + r1)
                x = x + (first + bend * r0) * (alpha * _phi_2(size)) - bend * (alpha * _phi_3(size))
            x = _with_noise(x, run, (sigma, following, h), eta)
        past = [denoised, *past][:2]
        run.memory["denoised"] = past
    return x


def er_sde(x: Tensor, run: Run, *, order: int = 3) -> Steps:
    """ER-SDE-Solver-3 (Cui et al., arXiv 2309.06169), noise scale function ER-SDE 5.

    In w = sigma / alpha, with phi(w) = w * (exp(w^0.3) + 10) and r = phi(w') / phi(w):

        x' = (alpha' / alpha) * r * x + alpha' * (1 - r) * denoised + differences of denoised
             + alpha' * sqrt(w'^2 - w^2 r^2) * noise

    The integrals over 1 / phi that weigh the differences are sums over 200 points, as in the authors' code.
    """
    sigmas = _snr_sigmas(run)
    ws = run.table.half_log_snr(sigmas).neg().exp()
    past = run.recall_list("denoised")
    for i, sigma, following in run.steps(sigmas):
        denoised = yield x, sigma
        past = [denoised, *past][:order]
        if following == 0:
            x = denoised
        else:
            w, w_next, alpha_next = ws[i], ws[i + 1], run.table.alpha(following)
            r = _er_phi(w_next) / _er_phi(w)
            x = x * (alpha_next / run.table.alpha(sigma) * r) + denoised * (alpha_next * (1 - r))
            weights = _er_weights(w, w_next)
            for difference, weight in zip(_differences(past, ws, i), weights, strict=False):
                x = x + difference * (alpha_next * weight)
            up = (w_next**2 - (w * r) ** 2).clamp(min=0).sqrt()
            x = x + run.noise(sigma, following) * (alpha_next * up)
        run.memory["denoised"] = past
    return x


def _snr_sigmas(run: Run) -> Tensor:
    """The run's sigmas; a flow model's that begin at 1 begin a little below it, where lambda is finite."""
    if not run.table.is_flow or run.sigmas[0] < 1:
        return run.sigmas
    sigmas = run.sigmas.clone()
    sigmas[0] = run.table.sigma_at(_FIRST_SHARE)
    return sigmas


def _linear_step(
    x: Tensor, denoised: Tensor, run: Run, step: tuple[Tensor, Tensor, Tensor], eta: float
) -> Tensor:
    """The step without its noise, as if denoised stayed the same; step is (sigma, following, h)."""
    sigma, following, h = step
    weight = -run.table.alpha(following) * torch.expm1(-h * (1 + eta))
    return x * (following / sigma * torch.exp(-h * eta)) + denoised * weight


def _with_noise(x: Tensor, run: Run, step: tuple[Tensor, Tensor, Tensor], eta: float) -> Tensor:
    """The step's noise added; step is (sigma, following, h)."""
    if eta == 0:
        return x
    sigma, following, h = step
    return x + run.noise(sigma, following) * (following * (-torch.expm1(-2 * h * eta)).sqrt())


def _ancestral(x: Tensor, denoised: Tensor, run: Run, step: tuple[Tensor, Tensor], eta: float) -> Tensor:
    """An ancestral step in w = sigma / alpha from one sigma to another, step is (sigma, to)."""
    sigma, to = step
    alpha, alpha_to = run.table.alpha(sigma), run.table.alpha(to)
    down, up = ancestral_levels(sigma / alpha, to / alpha_to, eta)
    share = down * alpha / sigma
    x = x * (alpha_to / alpha * share) + denoised * (alpha_to * (1 - share))
    if eta == 0:
        return x
    return x + run.noise(sigma, to) * (alpha_to * up)


def _phi_2(size: Tensor) -> Tensor:
    """The integral of a line that is 0 at the step's start, under the weight of its end."""
    return torch.expm1(-size) / size + 1


def _phi_3(size: Tensor) -> Tensor:
    return _phi_2(size) / size - 0.5


def _er_phi(w: Tensor) -> Tensor:
    """The noise scale function of ER-SDE 5 (arXiv 2309.06169)."""
    return w * ((w**0.3).exp() + 10)


def _er_weights(w: Tensor, w_next: Tensor) -> tuple[Tensor, Tensor]:
    """What the first and the second difference of denoised weigh in a step from w to w_next."""
    span = w_next - w
    points = w_next - span / _ER_POINTS * torch.arange(_ER_POINTS)
    inverse = 1 / _er_phi(points)
    scale = _er_phi(w_next) * -span / _ER_POINTS
    return span + inverse.sum() * scale, span**2 / 2 + ((points - w) * inverse).sum() * scale


def _differences(past: list[Tensor], ws: Tensor, i: int) -> list[Tensor]:
    """The first and second divided difference of the last denoised, newest first, as many as there are."""
    if len(past) < 2:
        return []
    first = (past[0] - past[1]) / (ws[i] - ws[i - 1])
    if len(past) < 3:
        return [first]
    before = (past[1] - past[2]) / (ws[i - 1] - ws[i - 2])
    return [first, (first - before) / ((ws[i] - ws[i - 2]) / 2)]
