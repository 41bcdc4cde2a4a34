"""The grid that a command line describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskgrid.geometry import Grid

if TYPE_CHECKING:
    import argparse

__all__ = ["grid_of"]


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
