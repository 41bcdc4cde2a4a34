"""Ask the safety checker that some pipelines have about a picture that was decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ask_safety_checker"]


def ask_safety_checker(pipe: Any, picture: Tensor, *, dtype: torch.dtype) -> bool:
    """Whether the safety checker flags a picture; False for pipelines that have none.

    Args:
        pipe: The pipeline.
        picture: (1, 3, H, W) in [-1, 1]; it is left as it is.
        dtype: What the checker computes in.
    """
    if getattr(pipe, "safety_checker", None) is None or not hasattr(pipe, "run_safety_checker"):
        return False
    with torch.no_grad():
        # A checker blackens what it flags in place.
        _, flags = pipe.run_safety_checker(picture.to(dtype).clone(), picture.device, dtype)
    return bool(flags and flags[0])
