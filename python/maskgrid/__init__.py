"""Variations of a sheet: a diffusion model redraws one cell at a time, everything else stays bit for bit."""

from maskgrid._native import __version__, num_threads, set_num_threads
from maskgrid.errors import MaskGridError
from maskgrid.geometry import Fork, ForkPlan, Grid, Rect, Size, canvas, masks

__all__ = [
    "Fork",
    "ForkPlan",
    "Grid",
    "MaskGridError",
    "Rect",
    "Size",
    "__version__",
    "canvas",
    "masks",
    "num_threads",
    "set_num_threads",
]
