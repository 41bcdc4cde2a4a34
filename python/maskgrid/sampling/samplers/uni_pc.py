"""UniPC, the unified predictor-corrector (Zhao et al., arXiv 2302.04867), multistep, in data prediction."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["LAST_SIGMA", "uni_pc", "uni_pc_bh2"]

_ORDER = 3
# lambda is infinite at sigma 0; a run to 0 ends here, and x is handed out as of here.
LAST_SIGMA = 0.001


def uni_pc(x: Tensor, walk: Walk, *, bh2: bool = False) -> Steps:
    """UniPC-3 with B(h) = h, or expm1(h) for bh2 (arXiv 2302.04867).

    An evaluation does two things. It corrects the x that it was made at, by the denoised before it and by its
    own; and it predicts the next x. The order rises from 1 at the start and falls to 1 at the end of the list
    of sigmas, where x is not evaluated and so not corrected. Flow models take the same form as the others.
    """
    levels = _Levels(walk.sigmas)
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        past = walk.recall("denoised")
        for corrected in walk.recall("corrected"):
            arriving = _Step(levels, step, len(past), bh2)
            x = arriving.base(corrected, past[0]) - arriving.correction(past, denoised)
        walk.remember("corrected", x)
        past = walk.remember("denoised", denoised, most=_ORDER)
        leaving = _Step(levels, step + 1, len(past), bh2)
        x = leaving.base(x, denoised)
        if leaving.order > 1:
            x = x - leaving.prediction(past)
        if following == 0:
            x = walk.table.finish(x, LAST_SIGMA)
    return x


def uni_pc_bh2(x: Tensor, walk: Walk) -> Steps:
    """UniPC-3 with B(h) = expm1(h), see `uni_pc`."""
    return uni_pc(x, walk, bh2=True)


class _Levels:
    """What a step needs to know of the sigmas (S + 1,).

    lambda is -log(sigma) and the width is sigma, both by way of a variance-preserving alpha as in the
    authors' code: in float32 that is visibly not the same at small sigmas, and so part of the result.
    """

    def __init__(self, sigmas: Tensor) -> None:
        sigmas = torch.where(sigmas == 0, LAST_SIGMA, sigmas)
        log_alpha = 0.5 * torch.log(1 / (sigmas * sigmas + 1))
        variance = 1 - torch.exp(2 * log_alpha)
        self.steps = len(sigmas) - 1
        self.lambdas = log_alpha - 0.5 * variance.log()
        self.widths = variance.sqrt() / log_alpha.exp()


class _Step:
    """The step that ends at sigma n in [1, S].

    It has the highest order that its place in the list and the number of `known` denoised allow; the newest
    of those belongs to sigma n - 1.
    """

    def __init__(self, levels: _Levels, n: int, known: int, bh2: bool) -> None:
        most = max(min(_ORDER, levels.steps - 1), 1)
        wanted = n if n < most else min(most, levels.steps + 1 - n)
        self.order = min(wanted, known)
        here = levels.lambdas[n - 1].double()
        h = levels.lambdas[n].double() - here
        self._scale = levels.widths[n] / levels.widths[n - 1]
        self._h = float(-h)
        self._size = math.expm1(self._h) if bh2 else self._h
        self._ratios = [float((levels.lambdas[n - 1 - k].double() - here) / h) for k in range(1, self.order)]

    def base(self, x: Tensor, denoised: Tensor) -> Tensor:
        """The x at sigma n if denoised stayed the same from sigma n - 1 on."""
        return x * self._scale - denoised * math.expm1(self._h)

    def prediction(self, past: Sequence[Tensor]) -> Tensor:
        """What the denoised before the newest one change about the base (order 2 and above)."""
        # The paper's choice for order 2, where the equation's solution depends on B(h).
        weights = [0.5] if self.order == 2 else self._weights(self._ratios)
        return self._differences(weights, past) * self._size

    def correction(self, past: Sequence[Tensor], denoised: Tensor) -> Tensor:
        """What they change together with the denoised at sigma n."""
        weights = [0.5] if self.order == 1 else self._weights([*self._ratios, 1.0])
        change = (denoised - past[0]) * weights[-1]
        if self.order > 1:
            change = change + self._differences(weights[:-1], past)
        return change * self._size

    def _differences(self, weights: Sequence[float], past: Sequence[Tensor]) -> Tensor:
        terms = [
            (past[k + 1] - past[0]) * (weight / ratio)
            for k, (weight, ratio) in enumerate(zip(weights, self._ratios, strict=True))
        ]
        return sum(terms[1:], start=terms[0])

    def _weights(self, ratios: Sequence[float]) -> list[float]:
        """The weights of UniPC, the solution of the paper's R w = b.

        R_ij = ratio_j^(i - 1), b_i = i! * h * phi_(i + 1)(h) / B(h).
        """
        rows = torch.tensor(
            [[ratio**power for ratio in ratios] for power in range(len(ratios))], dtype=torch.float64
        )
        phi = math.expm1(self._h) / self._h - 1
        right = []
        for i in range(1, len(ratios) + 1):
            right.append(phi * math.factorial(i) / self._size)
            phi = phi / self._h - 1 / math.factorial(i + 1)
        solution: list[float] = torch.linalg.solve(rows, torch.tensor(right, dtype=torch.float64)).tolist()
        return solution
