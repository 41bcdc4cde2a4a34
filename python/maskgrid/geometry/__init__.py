"""Rectangles, masks and plans. Knows no network and no sampling."""

from maskgrid.geometry.grid import Grid, Rect, Size

__all__ = ["Grid", "Rect", "Size"]
