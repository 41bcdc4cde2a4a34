"""Sizes, rectangles and grids: the native classes, and how a grid is restored from a pickle."""

from maskgrid._native import Grid, Rect, Size

__all__ = ["Grid", "Rect", "Size", "restore_grid"]

_Pair = tuple[int, int]


def restore_grid(
    rows: int, columns: int, cell: _Pair, canvas: _Pair, gap: _Pair, margin: _Pair, stride: int
) -> Grid:
    """The grid with these numbers; what a pickled `Grid` calls."""
    return Grid(rows, columns, cell=cell, canvas=canvas, gap=gap, margin=margin, stride=stride)
