"""SA-Solver: a stochastic Adams method of predictor and corrector (Xue et al., arXiv 2309.05019)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maskgrid.sampling.samplers.half_log_snr import snr_sigmas
from maskgrid.sampling.samplers.linear_multistep import weighted_sum
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["sa_solver", "sa_solver_pece"]

_PREDICTOR_ORDER = 3
_CORRECTOR_ORDER = 4
# Noise is added after this share of the way from pure noise to clean, up to that one.
_NOISY_SHARES = (0.2, 0.8)


def sa_solver(x: Tensor, walk: Walk, *, tau: float = 1.0, pece: bool = False) -> Steps:
    """SA-Solver (arXiv 2309.05019, algorithm 1), in data prediction over lambda = log(alpha / sigma).

    A polynomial through the last denoised is integrated under the SDE's weight. An evaluation does two
    things: it corrects the x that it was made at, by a polynomial of order 4 that its own denoised is a node
    of, and predicts the next x with order 3. `tau` is how much noise there is, 0 being the probability flow;
    it is 0 in the first and the last fifth of the way from noise to image. The orders fall to 1 where the
    list of sigmas ends at 0. A step to 0 gives denoised itself.

    Args:
        x: (B, C, ...) at the walk's first sigma.
        walk: What to walk along.
        tau: In [0, 1].
        pece: Whether x is evaluated again where it was corrected (predict, evaluate, correct, evaluate); then
            the last x is corrected, too.
    """
    adams = _StochasticAdams(walk, tau)
    for step, sigma, following in walk.steps(adams.sigmas):
        denoised = yield x, sigma, step
        past = walk.remember("denoised", denoised, most=_CORRECTOR_ORDER)
        if following > 0 or pece:
            for before in walk.recall("corrected"):
                x = adams.arrive(before, past[: adams.limit(step)], step) + adams.noise(step)
                if pece:
                    denoised = yield x, sigma, step
                    past = walk.memory["denoised"] = (denoised, *past[1:])
        walk.remember("corrected", x)
        if following == 0:
            x = denoised
        else:
            x = adams.leave(x, past[: min(_PREDICTOR_ORDER, adams.limit(step + 1))], step)
            x = x + adams.draw(step + 1)
    return x


def sa_solver_pece(x: Tensor, walk: Walk, *, tau: float = 1.0) -> Steps:
    """SA-Solver that evaluates what it corrected, see `sa_solver`."""
    return sa_solver(x, walk, tau=tau, pece=True)


class _StochasticAdams:
    """What the steps between the sigmas of a walk need: step n ends at sigma n here."""

    def __init__(self, walk: Walk, tau: float) -> None:
        self.sigmas = snr_sigmas(walk)
        self._walk = walk
        self._lambdas = walk.table.half_log_snr(self.sigmas)
        high, low = (walk.table.sigma_at(share) for share in _NOISY_SHARES)
        self._taus = torch.where((self.sigmas <= high) & (self.sigmas >= low), tau, 0.0)

    def limit(self, n: int) -> int:
        """Highest order of the polynomial for the step that ends at sigma n: the last are of low order."""
        return _CORRECTOR_ORDER if self.sigmas[-1] > 0 else len(self.sigmas) - 1 - n

    def leave(self, x: Tensor, past: Sequence[Tensor], step: int) -> Tensor:
        """Predict x after a step, without its noise, by the denoised at its start and before."""
        return self._integrate(x, past, step + 1, newest=step)

    def arrive(self, before: Tensor, past: Sequence[Tensor], step: int) -> Tensor:
        """Correct x at the start of a step, without noise, by the denoised there and before."""
        return self._integrate(before, past, step, newest=step)

    def draw(self, n: int) -> Tensor:
        """Draw the noise of the step that ends at sigma n, and remember it for the correction there."""
        if self._taus[n] == 0:
            return torch.zeros(())
        h = self._lambdas[n] - self._lambdas[n - 1]
        size = self.sigmas[n] * (-torch.expm1(-2 * self._taus[n] ** 2 * h)).sqrt()
        noise = self._walk.noise(self.sigmas[n - 1], self.sigmas[n]) * size
        self._walk.remember("noise", noise)
        return noise

    def noise(self, n: int) -> Tensor:
        """Recall the noise of the step that ends at sigma n."""
        return torch.zeros(()) if self._taus[n] == 0 else self._walk.recall("noise")[0]

    def _integrate(self, x: Tensor, past: Sequence[Tensor], n: int, *, newest: int) -> Tensor:
        """Move x to sigma n by a polynomial through the denoised of step `newest` and of those before it.

        x' = (sigma' / sigma) * exp(-tau^2 h) * x + alpha' * sum of b_k * denoised_k
        """
        start, tau = self._lambdas[n - 1].double(), float(self._taus[n])
        h = float(self._lambdas[n].double() - start)
        nodes = [float(self._lambdas[newest - k].double() - start) for k in range(len(past))]
        alpha = float(self._walk.table.alpha(self.sigmas[n]))
        weights = [alpha * weight for weight in _adams_weights(nodes, h, 1 + tau**2)]
        decay = float(self.sigmas[n] / self.sigmas[n - 1]) * math.exp(-(tau**2) * h)
        return x * decay + weighted_sum(weights, past)


def _adams_weights(nodes: Sequence[float], h: float, speed: float) -> list[float]:
    """Weights of SA-Solver: speed * exp(speed * (u - h)) * L_k(u) integrated over u from 0 to h (eq. 15).

    L_k are Lagrange's polynomials over the nodes. The integrals of u^p follow from each other by parts, and
    the weights are those that give them when u^p is taken at the nodes.
    """
    moments = [-math.expm1(-speed * h)]
    for power in range(1, len(nodes)):
        moments.append(h**power - power / speed * moments[-1])
    rows = np.vander(nodes, increasing=True).T
    weights: list[float] = np.linalg.solve(rows, moments).tolist()
    return weights
