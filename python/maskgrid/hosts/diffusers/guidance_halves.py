"""What a pipeline's network says without the condition, seen where its guidance has mixed it with the rest.

Samplers with CFG++ want two answers, the guided one and that without the condition. A pipeline hands its
scheduler the guided one alone, so the network's own outputs are looked at: both halves of one batch, or two
calls. Which of the two is without the condition follows from what was handed over: classifier-free guidance
(Ho and Salimans, arXiv 2207.12598) is guided = uncond + g (cond - uncond), g above 1.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GuidanceWatch", "watch_guidance"]

_CLOSE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 2e-2, torch.bfloat16: 8e-2}
"""How far, as a share of their difference, the answers may be from the formula: what rounding leaves."""


class GuidanceWatch:
    """The outputs of a network since the scheduler was last told one.

    Args:
        sampler: The sampler that needs them, for errors.
    """

    def __init__(self, sampler: str) -> None:
        self._sampler = sampler
        self._outputs: list[Tensor] = []

    def see(self, module: Any, inputs: Any, output: Any) -> None:
        """Note an output; a forward hook of torch's."""
        value = getattr(output, "sample", output)
        if isinstance(value, tuple):
            value = value[0]
        self._outputs.append(torch.stack(value) if isinstance(value, list) else value)

    def take_uncond(self, guided: Tensor) -> Tensor:
        """The answer without the condition, of what the guided answer was made of.

        Args:
            guided: (n, ...) what the scheduler is told.

        Returns:
            (n, ...), like it.

        Raises:
            InvalidValueError: The guidance is off, distilled into the network, or another one.
        """
        outputs, self._outputs = self._outputs, []
        first, second = self._halves(outputs, guided)
        # Some pipelines change the sign on the way, as their networks point from the noise to the image.
        fits = [_fit(guided, sign * first, sign * second) for sign in (1, -1)]
        sign, (scale, error) = min(zip((1, -1), fits, strict=True), key=lambda fit: fit[1][1])
        if error > _CLOSE.get(guided.dtype, 1e-3):
            raise self._refuse("its guidance is not plainly classifier-free (rescaled, normed or another)")
        if scale is None:
            return sign * first
        if 0 <= scale <= 1:
            raise self._refuse(f"its guidance scale is {max(scale, 1 - scale):.3g}, which is no guidance")
        return sign * (first if scale > 1 else second)

    def _halves(self, outputs: list[Tensor], guided: Tensor) -> tuple[Tensor, Tensor]:
        """The two answers, cut to what the scheduler gets of them."""
        count = len(guided)
        if len(outputs) == 1 and len(outputs[0]) == 2 * count:
            parts = outputs[0].chunk(2)
        elif len(outputs) == 2 and all(len(output) == count for output in outputs):
            parts = (outputs[0], outputs[1])
        else:
            rows = [len(output) for output in outputs]
            raise self._refuse(
                f"its network was called with {rows} rows for {count}, where guidance would have called it "
                "twice or with twice as many: cfg is 1 or less, or the guidance is in the network"
            )
        # Some networks predict a variance in further channels, or one frame of a film.
        cut = [part[:, : guided.shape[1]] if part.ndim > 1 else part for part in parts]
        cut = [
            part.squeeze(2) if part.ndim == guided.ndim + 1 and part.shape[2] == 1 else part for part in cut
        ]
        if any(part.shape != guided.shape for part in cut):
            raise self._refuse(f"its network answers with {tuple(parts[0].shape)} for {tuple(guided.shape)}")
        return cut[0].to(guided.dtype), cut[1].to(guided.dtype)

    def _refuse(self, reason: str) -> InvalidValueError:
        return InvalidValueError(
            f"sampler {self._sampler!r} needs what the network says without the condition, and that can't be "
            f"seen in this pipeline: {reason}; allowed: a cfg above 1 and classifier-free guidance, or "
            f"sampler {self._sampler.removesuffix('_cfg_pp')!r}"
        )


def _fit(guided: Tensor, first: Tensor, second: Tensor) -> tuple[float | None, float]:
    """The scale k with which guided is nearest to first + k (second - first), and how near, as a share.

    The scale is None where both answers are the same.
    """
    change, apart = (guided - first).double(), (second - first).double()
    size = float(apart.norm())
    if size == 0:
        return None, float(change.norm()) / max(float(guided.double().norm()), 1e-12)
    scale = float((change * apart).sum()) / size**2
    return scale, float((change - scale * apart).norm()) / (size * max(abs(scale), 1.0))


@contextmanager
def watch_guidance(network: Any, sampler: str, *, wanted: bool) -> Iterator[GuidanceWatch | None]:
    """Look at a network's outputs while the context lasts.

    Args:
        network: The UNet or transformer.
        sampler: The sampler's name.
        wanted: Whether the sampler needs it; if not, nothing is done.
    """
    if not wanted:
        yield None
        return
    watch = GuidanceWatch(sampler)
    handle = network.register_forward_hook(watch.see)
    try:
        yield watch
    finally:
        handle.remove()
