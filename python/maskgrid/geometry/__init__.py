"""Rectangles, masks and plans. Knows no network and no sampling."""

from maskgrid.geometry import canvas
from maskgrid.geometry import pixel_masks as masks
from maskgrid.geometry.fork_plan import Fork, ForkPlan
from maskgrid.geometry.grid import Grid, Rect, Size

__all__ = ["Fork", "ForkPlan", "Grid", "Rect", "Size", "canvas", "masks"]
