"""iPNDM: improved pseudo numerical methods for diffusion models, linear multistep (arXiv 2204.13902)."""

from torch import Tensor

from maskgrid.sampling.samplers.euler_step import derivative
from maskgrid.sampling.samplers.linear_multistep import nodes_of, weighted_sum
from maskgrid.sampling.samplers.walk import Steps, Walk

__all__ = ["ipndm", "ipndm_v"]

# Adams-Bashforth over equal steps, newest derivative first.
_ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def ipndm(x: Tensor, walk: Walk, *, order: int = 4) -> Steps:
    """Improved PNDM (Zhang and Chen, arXiv 2204.13902; Liu et al., arXiv 2202.09778).

    Adams-Bashforth as if all steps were equal, with fewer derivatives at the start. A step to sigma 0 gives
    denoised itself.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        slopes = walk.remember("derivatives", derivative(x, sigma, denoised), most=order)
        if following == 0:
            x = denoised
        else:
            x = x + weighted_sum(_ADAMS_BASHFORTH[len(slopes) - 1], slopes) * (following - sigma)
    return x


def ipndm_v(x: Tensor, walk: Walk, *, order: int = 4) -> Steps:
    """Improved PNDM with step sizes in its weights (github.com/zju-pi/diff-sampler; arXiv 2204.13902).

    A step to sigma 0 gives denoised itself.
    """
    for step, sigma, following in walk.steps():
        denoised = yield x, sigma, step
        slopes = walk.remember("derivatives", derivative(x, sigma, denoised), most=order)
        if following == 0:
            x = denoised
        else:
            weights = _uneven_weights((float(following), *nodes_of(walk.sigmas, step, len(slopes))))
            x = x + weighted_sum(weights, slopes) * (following - sigma)
    return x


def _uneven_weights(nodes: tuple[float, ...]) -> list[float]:
    """Adams-Bashforth weights from the sizes of the last steps, divided by this step's size.

    Exact for two nodes. What more of them add by second and third differences is the diff-sampler project's,
    and not quite Adams-Bashforth's: four derivatives give order 3 over equal steps and 2 over uneven ones.

    Args:
        nodes: The sigma to step to, then those of the derivatives, newest first; 2 to 5 of them.
    """
    h = [nodes[k] - nodes[k + 1] for k in range(len(nodes) - 1)]
    if len(h) == 1:
        return [1.0]
    ratio = h[0] / h[1]
    weights = [1 + ratio / 2, -ratio / 2]
    if len(h) == 2:
        return weights
    q = h[1] / h[2]
    second = (1 - h[0] ** 2 / (3 * h[1] * (h[1] + h[2]))) / 2
    weights = [weights[0] + second, weights[1] - (1 + q) * second, q * second]
    if len(h) == 3:
        return weights
    h01, h12, h23 = h[0] + h[1], h[1] + h[2], h[2] + h[3]
    p = h[1] * h12 / (h[2] * h23)
    third = (1 - h[0] / (3 * h01)) / 2 + (1 - h[0] / (2 * h01)) * h[0] / (6 * (h01 + h[2]))
    third = third * (h[0] * h01 * (h01 + h[2])) / (h[1] * h12 * (h12 + h[3]))
    return [
        weights[0] + third,
        weights[1] - (1 + q + p) * third,
        weights[2] + (q + p * (1 + h[2] / h[3])) * third,
        -p * q * third,
    ]
