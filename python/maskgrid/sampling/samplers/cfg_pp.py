"""CFG++: solvers that go to the guided denoised and put back the noise of the unguided (arXiv 2406.08070).

Chung et al. take classifier-free guidance for a correction of the image alone; what noise x holds the network
tells without the condition. So the noise in x is (x - alpha * uncond) / sigma, uncond being what the network
denoises without the condition, and a step is

    x' = alpha' * denoised + sigma' * (x - alpha * uncond) / sigma

in place of the same with denoised twice. A solver here is sent a pair, (denoised, uncond). All but the two
Euler solvers take the form of a variance-exploding model (alpha 1) for flow models, too, as ComfyUI does. A
step to sigma 0 gives denoised itself.
"""

import torch
from torch import Tensor

from maskgrid.sampling.noise_levels.rounding import halfway
from maskgrid.sampling.samplers.ancestral_step import ancestral_levels
from maskgrid.sampling.samplers.euler_step import derivative
from maskgrid.sampling.samplers.gradient_estimation import GAMMA
from maskgrid.sampling.samplers.res_multistep import res_weight
from maskgrid.sampling.samplers.walk import GuidedSteps, Walk

__all__ = [
    "dpmpp_2m_cfg_pp",
    "dpmpp_2s_ancestral_cfg_pp",
    "euler_ancestral_cfg_pp",
    "euler_cfg_pp",
    "gradient_estimation_cfg_pp",
    "res_multistep_ancestral_cfg_pp",
    "res_multistep_cfg_pp",
]


def euler_cfg_pp(x: Tensor, walk: Walk) -> GuidedSteps:
    """Euler's method with CFG++ (arXiv 2406.08070), see `euler`."""
    return euler_ancestral_cfg_pp(x, walk, eta=0.0)


def euler_ancestral_cfg_pp(x: Tensor, walk: Walk, *, eta: float = 1.0) -> GuidedSteps:
    """Euler's method with CFG++ to below the next sigma, then noise back up to it.

    The two levels add up in w = sigma / alpha (arXiv 2010.02502, eq. 16):
    up'^2 + down'^2 = w'^2, up' = eta * w' * sqrt(1 - (w' / w)^2).
    """
    for step, sigma, following in walk.steps():
        denoised, uncond = yield x, sigma, step
        alpha, alpha_next = walk.table.alpha(sigma), walk.table.alpha(following)
        # A flow model's alpha is 0 at sigma 1, and w infinite: the ratio of two w's is not.
        ratio = following * alpha / (sigma * alpha_next)
        up = following * torch.clamp(eta * (1 - ratio**2).sqrt(), max=1)
        down = (following**2 - up**2).sqrt()
        x = denoised * alpha_next + (x - uncond * alpha) * (down / sigma)
        if following > 0 and eta > 0:
            x = x + walk.noise(sigma, following) * up
    return x


def dpmpp_2s_ancestral_cfg_pp(x: Tensor, walk: Walk, *, eta: float = 1.0) -> GuidedSteps:
    """DPM-Solver++(2S) with CFG++ to below the next sigma, then noise back up to it.

    Each of its two moves, to the midpoint in lambda and over the whole step, shifts x by denoised - uncond.
    denoised is that of the step's beginning, uncond the newest, so that the whole step has the midpoint's.
    """
    for step, sigma, following in walk.steps():
        denoised, uncond = yield x, sigma, step
        down, up = ancestral_levels(sigma, following, eta)
        if down == 0:
            x = denoised
        else:
            middle = halfway(sigma, down)
            guided = x + (denoised - uncond)
            further, uncond = yield torch.lerp(denoised, guided, float(middle / sigma)), middle, step
            guided = x + (denoised - uncond)
            x = torch.lerp(further, guided, float(down / sigma))
        if following > 0 and eta > 0:
            x = x + walk.noise(sigma, following) * up
    return x


def dpmpp_2m_cfg_pp(x: Tensor, walk: Walk) -> GuidedSteps:
    """DPM-Solver++(2M) with CFG++, see `dpmpp_2m`.

    What is extrapolated is the change from the last step's uncond to this step's denoised.
    """
    for step, sigma, following in walk.steps():
        denoised, uncond = yield x, sigma, step
        ratio = following / sigma
        x = denoised + (x - uncond) * ratio
        if following > 0:
            for last in walk.recall("uncond"):
                r = (sigma / walk.sigmas[step - 1]).log() / ratio.log()
                x = x + (denoised - last) * ((1 - ratio) / (2 * r))
        walk.remember("uncond", uncond)
    return x


def res_multistep_cfg_pp(x: Tensor, walk: Walk) -> GuidedSteps:
    """RES, second order, with CFG++, see `res_multistep`."""
    return res_multistep_ancestral_cfg_pp(x, walk, eta=0.0)


def res_multistep_ancestral_cfg_pp(x: Tensor, walk: Walk, *, eta: float = 1.0) -> GuidedSteps:
    """RES, second order, with CFG++ to below the next sigma, then noise back up to it.

    Its first step is Euler's with CFG++. The others move x by the guidance, denoised - uncond, and walk from
    there with uncond in denoised's place.
    """
    for step, sigma, following in walk.steps():
        denoised, uncond = yield x, sigma, step
        down, up = ancestral_levels(sigma, following, eta)
        past = walk.recall("uncond")
        if down == 0 or not past:
            x = denoised + (x - uncond) * (down / sigma)
        else:
            x = torch.lerp(uncond, x + (denoised - uncond), float(down / sigma))
            x = x + (past[0] - uncond) * res_weight(walk, step, down, eta)
        if following > 0 and eta > 0:
            x = x + walk.noise(sigma, following) * up
        walk.remember("uncond", uncond)
    return x


def gradient_estimation_cfg_pp(x: Tensor, walk: Walk, *, gamma: float = GAMMA) -> GuidedSteps:
    """Gradient estimation with CFG++: of the derivative without the condition, see `gradient_estimation`."""
    for step, sigma, following in walk.steps():
        denoised, uncond = yield x, sigma, step
        d = derivative(x, sigma, uncond)
        x = denoised + d * following
        if following > 0:
            for last in walk.recall("derivatives"):
                x = x + (d - last) * ((gamma - 1) * (following - sigma))
        walk.remember("derivatives", d)
    return x
