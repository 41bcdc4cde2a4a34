"""Run a VAE so that it does not overflow, and say so where it did, or where memory ran out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import AutoencoderError, in_one_line, is_out_of_memory
from maskgrid.hosts.diffusers.pipeline_turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

__all__ = ["explain_short_memory", "run_vae"]


def run_vae(vae: Any, work: Callable[[Tensor], Tensor], given: Tensor, *, what: str) -> Tensor:
    """What a VAE makes of pixels or latents, in float32.

    Args:
        vae: The VAE, whose dtype and device `given` is cast to.
        work: Its encoding or decoding.
        given: Pixels or latents.
        what: "encode the sheet" or "decode a picture", for messages.

    Raises:
        AutoencoderError: The result has NaN or infinities, or did not fit into memory; the message says what
            helps.
    """
    try:
        with torch.no_grad(), _compute_without_overflow(vae):
            dtype = vae.dtype
            result = work(given.to(dtype)).float()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise explain_short_memory(f"the VAE could not {what}", error) from error
    if not bool(result.isfinite().all()):
        raise AutoencoderError(_explain_overflow(vae, dtype, given, what))
    return result


def explain_short_memory(what: str, error: BaseException) -> AutoencoderError:
    """The error to raise where a VAE ran out of memory, with what helps.

    Args:
        what: Whose picture it was, in words.
        error: What was raised.
    """
    reason = in_one_line(str(error).split(". ")[0])
    return AutoencoderError(
        f"out of memory: {what}; allowed: pipe.vae.enable_tiling(), half precision, the pipeline's own "
        f"offloading, or a smaller sheet ({reason})"
    )


def _explain_overflow(vae: Any, dtype: torch.dtype, given: Tensor, what: str) -> str:
    name = f"{type(vae).__name__} in {str(dtype).removeprefix('torch.')}"
    if not bool(given.isfinite().all()):
        return f"the VAE ({name}) was given NaN or infinities to {what}; allowed: finite numbers"
    remedy = "weights and latents that belong together: in this precision it is not for want of range"
    if dtype.itemsize < 4:
        remedy = (
            "pipe.vae.to(torch.float32), since half precision overflows in some VAEs, or a VAE that was made "
            "for half precision"
        )
    return f"the VAE ({name}) gave NaN or infinities where it was to {what}; allowed: {remedy}"


@contextmanager
def _compute_without_overflow(vae: Any) -> Iterator[None]:
    """SDXL's VAE overflows in float16, which its config says: it computes in float32 for the time being."""
    if not getattr(vae.config, "force_upcast", False):
        yield
        return
    # Clones of a pipeline share their VAE, whose weights are cast here and back.
    with take_turn(vae):
        if vae.dtype != torch.float16:
            yield
            return
        vae.to(dtype=torch.float32)
        try:
            yield
        finally:
            vae.to(dtype=torch.float16)
