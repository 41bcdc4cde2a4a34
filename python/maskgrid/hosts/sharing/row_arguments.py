"""A network's arguments by rows: which rows are told the same, and what some of them are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["average_rows", "group_rows", "pick_rows", "row_tensors"]

_NOT_ROWS = ("img_ids", "txt_ids", "image_rotary_emb")
"""Arguments whose first axis counts tokens."""
_SAME_FOR_ALL = ("timestep", "timestep_cond", "guidance")


def pick_rows(arguments: Mapping[str, Any], count: int, rows: list[int]) -> dict[str, Any]:
    """The arguments of some of a call's `count` rows."""
    return {
        name: value if name in _NOT_ROWS else _map(value, count, lambda t: t[rows], rows)
        for name, value in arguments.items()
    }


def average_rows(arguments: Mapping[str, Any], count: int, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    """One row of arguments for each group of rows: the mean of what they are told; of masks what any has."""

    def average(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.stack([tensor[list(group)].float().mean(0) for group in groups]).to(tensor.dtype)
        return torch.stack([tensor[list(group)].amax(0) for group in groups])

    first = [group[0] for group in groups]
    return {
        name: value if name in _NOT_ROWS else _map(value, count, average, first)
        for name, value in arguments.items()
    }


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
        if name not in (*_NOT_ROWS, *_SAME_FOR_ALL)
        for t in _tensors(value, count)
    ]


def _tensors(value: Any, count: int) -> list[Tensor]:
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _map(value, count, note, [0])
    return found


def _map(value: Any, count: int, change: Any, rows: Sequence[int]) -> Any:
    """An argument with its tensors of `count` rows changed; of lists of `count` things some are picked."""
    if isinstance(value, Tensor):
        return change(value) if value.ndim and len(value) == count else value
    if isinstance(value, Mapping):
        return {key: _map(each, count, change, rows) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        if any(isinstance(each, Tensor) for each in value):
            return type(value)(_map(each, count, change, rows) for each in value)
        return type(value)(value[row] for row in rows) if len(value) == count else value
    return value
