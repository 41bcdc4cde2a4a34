"""Variations of a sheet: a diffusion model redraws one cell at a time, everything else stays bit for bit."""

from maskgrid._native import __version__
from maskgrid.errors import MaskGridError
from maskgrid.geometry import Grid, Rect, Size

__all__ = ["Grid", "MaskGridError", "Rect", "Size", "__version__"]
