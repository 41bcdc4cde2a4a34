"""A network's arguments by rows: which rows are told the same, and what some of them are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["MAP_RESIDUALS", "TOKEN_RESIDUALS", "average_rows", "group_rows", "pick_rows", "row_tensors"]

TOKEN_RESIDUALS = (
    "block_controlnet_hidden_states",
    "controlnet_block_samples",
    "controlnet_single_block_samples",
)
"""What ControlNets add to a transformer's tokens."""
MAP_RESIDUALS = (
    "down_block_additional_residuals",
    "mid_block_additional_residual",
    "down_intrablock_additional_residuals",
)
"""What ControlNets and adapters add to a UNet's feature maps."""

_NOT_ROWS = ("img_ids", "txt_ids", "image_rotary_emb")
"""Arguments whose first axis counts tokens."""
_LISTS = ("img_shapes", "txt_seq_lens")
"""Arguments that are lists with an item for each row."""
_NO_CONDITION = ("timestep", "timestep_cond", "guidance", *TOKEN_RESIDUALS, *MAP_RESIDUALS)
"""Arguments by which rows are not told apart: the same for all, or made of each fork's canvas."""


def pick_rows(arguments: Mapping[str, Any], count: int, rows: list[int]) -> dict[str, Any]:
    """The arguments of some of a call's `count` rows."""
    return _change(arguments, count, lambda t: t[rows], rows)


def average_rows(arguments: Mapping[str, Any], count: int, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    """One row of arguments for each group of rows: the mean of what they are told; of masks what any has."""

    def average(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.stack([tensor[list(group)].float().mean(0) for group in groups]).to(tensor.dtype)
        return torch.stack([tensor[list(group)].amax(0) for group in groups])

    return _change(arguments, count, average, [group[0] for group in groups])


def group_rows(arguments: Mapping[str, Any], count: int, among: Sequence[Sequence[int]]) -> list[list[int]]:
    """Rows that are told the same, within each of the given sets of rows."""
    told = row_tensors(arguments, count)
    groups: list[list[int]] = []
    for rows in among:
        own: list[list[int]] = []
        for row in rows:
            for group in own:
                if all(torch.equal(t[row], t[group[0]]) for t in told):
                    group.append(row)
                    break
            else:
                own.append([row])
        groups += own
    return groups


def row_tensors(arguments: Mapping[str, Any], count: int) -> list[Tensor]:
    """The tensors by which rows may be told apart."""
    return [
        t
        for name, value in arguments.items()
        if name not in (*_NOT_ROWS, *_NO_CONDITION)
        for t in _tensors(value, count)
    ]


def _change(
    arguments: Mapping[str, Any], count: int, change: Callable[[Tensor], Tensor], rows: Sequence[int]
) -> dict[str, Any]:
    """Arguments with all tensors of `count` rows changed, and of lists with an item for each row these."""
    changed = {}
    for name, value in arguments.items():
        if name in _LISTS and value is not None:
            changed[name] = [value[row] for row in rows]
        else:
            changed[name] = value if name in _NOT_ROWS else _map(value, count, change)
    return changed


def _tensors(value: Any, count: int) -> list[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _map(value, count, note)
    return found


def _map(value: Any, count: int, change: Callable[[Tensor], Tensor]) -> Any:
    """An argument with its tensors of `count` rows changed, within lists and mappings too."""
    if isinstance(value, Tensor):
        return change(value) if value.ndim and len(value) == count else value
    if isinstance(value, Mapping):
        return {key: _map(each, count, change) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_map(each, count, change) for each in value)
    return value
