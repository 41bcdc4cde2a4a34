"""Conditioning of several rows: cut to what one fork sees, or dealt out as a prompt for each fork."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["conds_of_forks", "conds_of_one_fork"]

_KEYS = (
    "cross_attn",
    "pooled_output",
    "attention_mask",
    "concat_latent_image",
    "concat_mask",
    "conditioning_llama3",
)
"""Entries of a cond whose first axis is the batch."""


def conds_of_one_fork(conds: dict[str, list[dict[str, Any]]], batch: int) -> dict[str, list[dict[str, Any]]]:
    """Conds as a run of one fork sees them.

    ComfyUI gives row i of a batch row i of the conditioning; a fork's row is never i. A run of one fork with
    a batch of one sees row 0.

    Args:
        conds: What a guider was given: for each kind a list of conds.
        batch: Rows of one fork.

    Returns:
        Copies in which every tensor of several rows has `batch` of them.
    """
    rows = list(range(batch))
    return _all_with_rows(conds, rows)


def conds_of_forks(
    conds: dict[str, list[dict[str, Any]]], forks: Sequence[int], count: int, batch: int
) -> dict[str, list[dict[str, Any]]]:
    """Conds in which row i of a tensor belongs to fork i.

    Args:
        conds: What a guider was given.
        forks: The forks of this micro-batch.
        count: How many forks there are, which is how many rows a tensor may have besides 1.
        batch: Rows of one fork.

    Raises:
        InvalidValueError: A tensor of another number of rows.
    """
    for found in conds.values():
        for cond in found:
            for key in _KEYS:
                value = cond.get(key)
                if isinstance(value, torch.Tensor) and len(value) not in (1, count):
                    raise InvalidValueError(
                        f"the conditioning's {key} has {len(value)} rows and there are {count} forks, each "
                        f"with "
                        f"its own prompt; allowed: {count} rows, or 1 for all"
                    )
    rows = [fork for fork in forks for _ in range(batch)]
    return _all_with_rows(conds, rows)


def _all_with_rows(
    conds: dict[str, list[dict[str, Any]]], rows: list[int]
) -> dict[str, list[dict[str, Any]]]:
    # ComfyUI runs conds together only where they have the same ControlNet, so that copies are shared.
    controls: dict[int, Any] = {}
    return {kind: [_with_rows(cond, rows, controls) for cond in found] for kind, found in conds.items()}


def _with_rows(cond: dict[str, Any], rows: list[int], controls: dict[int, Any]) -> dict[str, Any]:
    result = dict(cond)
    for key in _KEYS:
        if isinstance(cond.get(key), torch.Tensor):
            result[key] = _rows_of(cond[key], rows)
    if cond.get("control") is not None:
        result["control"] = _control_with_rows(cond["control"], rows, controls)
    return result


def _rows_of(tensor: torch.Tensor, rows: list[int]) -> torch.Tensor:
    # One row is shown to all as it is.
    return tensor if len(tensor) == 1 else tensor[[row % len(tensor) for row in rows]]


def _control_with_rows(control: Any, rows: list[int], made: dict[int, Any]) -> Any:
    """A ControlNet, and those before it, with the hints of these rows; each is made once."""
    if id(control) in made:
        return made[id(control)]
    hint = getattr(control, "cond_hint_original", None)
    before = getattr(control, "previous_controlnet", None)
    earlier = None if before is None else _control_with_rows(before, rows, made)
    result = control
    if (isinstance(hint, torch.Tensor) and len(hint) > 1) or earlier is not before:
        # Their own copy() makes new nets of some kinds; the hint alone differs here.
        result = copy.copy(control)
        result.previous_controlnet = earlier
        if isinstance(hint, torch.Tensor):
            result.cond_hint_original, result.cond_hint = _rows_of(hint, rows), None
    made[id(control)] = result
    return result
