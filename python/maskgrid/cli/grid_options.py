"""The grid that a command line describes, or that `--detect` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.tell import say
from maskgrid.errors import InvalidValueError
from maskgrid.geometry import Grid

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.geometry.detect_grid import DetectedGrid

__all__ = ["describe_grid", "detect", "detected_facts", "grid_of"]

_GIVEN = ("rows", "columns", "gap", "margin")


def grid_of(options: argparse.Namespace, canvas: tuple[int, int], *, stride: int = 1) -> Grid:
    """The grid of `--rows`, `--columns`, `--gap` and `--margin`, a single cell by default.

    Raises:
        InvalidValueError: Numbers that don't fit the canvas.
    """
    return Grid(
        options.rows or 1,
        options.columns or 1,
        canvas=canvas,
        gap=options.gap,
        margin=options.margin,
        stride=stride,
    )


def detect(options: argparse.Namespace, pixels: NDArray[np.uint8]) -> DetectedGrid:
    """The grid that `--detect` finds in a sheet; says what it is, how sure, and the runners-up.

    Raises:
        GridError: No more than a single cell can be seen.
        InvalidValueError: What is to be found is given as well.
    """
    given = [f"--{name}" for name in _GIVEN if getattr(options, name) is not None]
    if given:
        raise InvalidValueError(
            f"--detect finds what {', '.join(given)} would say; allowed: one or the other"
        )
    found = Grid.detect(pixels, stride=1)
    say(options, f"found {describe_grid(found.grid)}, confidence {found.confidence:.2f}")
    for grid, confidence in found.runners_up:
        say(options, f"   or {describe_grid(grid)}, confidence {confidence:.2f}")
    return found


def describe_grid(grid: Grid) -> str:
    """Rows, columns, cell, gap and margin in words; sizes are height x width."""
    cell, gap, margin = (f"{size[0]} x {size[1]}" for size in (grid.cell, grid.gap, grid.margin))
    return f"{grid.rows} x {grid.columns} cells of {cell} px, gap {gap}, margin {margin}"


def detected_facts(found: DetectedGrid) -> dict[str, Any]:
    """What was found, for `--json`."""
    best, *others = [(found.grid, found.confidence), *found.runners_up]
    return {**_facts(*best), "is_sure": found.is_sure, "runners_up": [_facts(*each) for each in others]}


def _facts(grid: Grid, confidence: float) -> dict[str, Any]:
    pairs = {name: list(getattr(grid, name)) for name in ("cell", "gap", "margin")}
    return {"rows": grid.rows, "columns": grid.columns, **pairs, "confidence": round(confidence, 4)}
