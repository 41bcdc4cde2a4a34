"""Rectangles, masks and plans. Knows no network and no sampling."""

from maskgrid.geometry import canvas, masks
from maskgrid.geometry.grid import Grid, Rect, Size
from maskgrid.geometry.plan import Fork, ForkPlan

__all__ = ["Fork", "ForkPlan", "Grid", "Rect", "Size", "canvas", "masks"]
