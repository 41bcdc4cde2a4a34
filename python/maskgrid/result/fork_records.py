"""What is recorded of a run and of each fork: settings, stencil, and the fork's own texts and seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.geometry.cell_lists import value_of_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskgrid.geometry import Grid

__all__ = ["MOST_VARIANTS", "ForkRecord", "RunRecord", "plain_settings", "records_of_run", "run_settings"]

_TEXT = re.compile(r"(negative_)?prompt(_\d+)?")
_HALF = re.compile("[\ud800-\udfff]")
_SEEDS = 2**64
MOST_VARIANTS = 4096
"""The most tries of a cell in one run."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The record of what made the forks of one run.

    Attributes:
        settings: Arguments of `MaskGrid.__call__` and the model's name; empty where they are not known.
        stencil: (h, w) or (N, h, w), what was allowed to change; None where it is not known.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    stencil: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class ForkRecord:
    """The record of what made one fork.

    Attributes:
        run: Its run.
        cell: Its cell.
        number: Its number among the forks of its run; None where it is not known.
        variant: Which try of its cell it is, from 0.
        own: Its own texts (`prompt`, `negative_prompt`, ...) and its `seed`, as far as they are known.
    """

    run: RunRecord
    cell: int
    number: int | None
    own: Mapping[str, Any]
    variant: int = 0

    @property
    def prompt(self) -> str | None:
        """The prompt in a fork's record."""
        text: str | None = self.own.get("prompt")
        return text

    @property
    def seed(self) -> int | None:
        """The seed in a fork's record."""
        seed: int | None = self.own.get("seed")
        return seed


def records_of_run(
    run: RunRecord,
    cells: Sequence[int],
    grid: Grid,
    numbers: Sequence[int | None],
    variants: Sequence[int] | None = None,
) -> tuple[ForkRecord, ...]:
    """A record for each fork of a run, with the texts and the seed that its settings give to its cell.

    Args:
        run: The run.
        cells: The cell of each fork.
        grid: Where the cells lie.
        numbers: The number of each fork in its run.
        variants: Which try of its cell each one is; default the first.
    """
    variants = [0] * len(cells) if variants is None else variants
    return tuple(
        ForkRecord(run, cell, number, _own(run.settings, cell, grid, number, variant), variant)
        for cell, number, variant in zip(cells, numbers, variants, strict=True)
    )


def run_settings(controls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run, as JSON has them.

    Args:
        controls: All controls, a `maskgrid.sampling.ForkControls`; recorded with their defaults, so that the
            run can be made again when those have changed.
        given: The other arguments of `MaskGrid.__call__`, and controls as they were given.

    Returns:
        The settings; those that JSON can't have are named under "not_recorded".
    """
    # The pipeline's layout knows the latent format, and sheet_conditioning follows from the prompts.
    left_out = ("scaling_factor", "shift_factor", "sheet_conditioning")
    names = sorted(each.name for each in fields(controls) if each.name not in left_out)
    told = {name: getattr(controls, name) for name in names if getattr(controls, name) is not None}
    return plain_settings({**told, **given})


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them; those that it can't have are named under "not_recorded"."""
    plain = {name: _plain(value) for name, value in settings.items()}
    lost = sorted(name for name, value in plain.items() if value is NotImplemented)
    settings = {name: value for name, value in plain.items() if name not in lost}
    return {**settings, "not_recorded": lost} if lost else settings


def _own(
    settings: Mapping[str, Any], cell: int, grid: Grid, number: int | None, variant: int
) -> dict[str, Any]:
    own = {
        name: value_of_cell(value, cell, grid)
        for name, value in settings.items()
        if _TEXT.fullmatch(name) and value is not None
    }
    own["seed"] = _seed(settings, cell, grid, number, variant)
    kinds = {name: int if name == "seed" else str for name in own}
    return {
        name: value
        for name, value in own.items()
        if isinstance(value, kinds[name]) and not isinstance(value, bool)
    }


def _seed(settings: Mapping[str, Any], cell: int, grid: Grid, number: int | None, variant: int) -> Any:
    """A fork's seed: the rule's, counted on by one for each further try of its cell."""
    seed, rule = settings.get("seed"), settings.get("fork_seeds", "same")
    if rule == "increment":
        seed, variant = (seed, number) if number is not None else (None, 0)
    elif rule != "same":
        seed = value_of_cell(rule, cell, grid)
    return (seed + variant) % _SEEDS if isinstance(seed, int) else None


def _plain(value: Any) -> Any:
    """A value of JSON; NotImplemented where there is none."""
    if isinstance(value, str):
        # Halves of characters, which no text in UTF-8 can have.
        return value if value.isascii() or not _HALF.search(value) else NotImplemented
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else NotImplemented
    if isinstance(value, np.generic):
        return _plain(value.item())
    if hasattr(value, "tolist") and hasattr(value, "ndim"):
        # Sigmas, and seeds or texts for each cell, are a handful; embeddings and noise belong in no manifest.
        is_short = value.ndim == 1 or (value.ndim == 2 and _is_integer_or_text(value))
        return _plain(value.tolist()) if is_short else NotImplemented
    if isinstance(value, Mapping):
        names, items = [_plain(name) for name in value], [_plain(item) for item in value.values()]
        is_plain = all(isinstance(name, str) for name in names) and not _lacks_some(items)
        return dict(zip(names, items, strict=True)) if is_plain else NotImplemented
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        items = [_plain(item) for item in value]
        return NotImplemented if _lacks_some(items) else items
    return NotImplemented


def _lacks_some(items: list[Any]) -> bool:
    return any(item is NotImplemented for item in items)


def _is_integer_or_text(array: Any) -> bool:
    """Whether a setting that is an array or a tensor holds integers or texts."""
    kind = getattr(array.dtype, "kind", None)
    return kind in "iuU" if kind else not (array.is_floating_point() or array.is_complex())
