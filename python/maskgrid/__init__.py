"""Variations of a sheet: a diffusion model redraws one cell at a time, everything else stays bit for bit."""

from typing import TYPE_CHECKING, Any

from maskgrid._native import __version__, num_threads, set_num_threads
from maskgrid.errors import MaskGridError
from maskgrid.geometry import Fork, ForkPlan, Grid, Rect, Size, canvas, masks

__all__ = [
    "Fork",
    "ForkPlan",
    "Forks",
    "Grid",
    "MaskGrid",
    "MaskGridError",
    "Rect",
    "Size",
    "__version__",
    "canvas",
    "check",
    "masks",
    "num_threads",
    "set_num_threads",
]

if TYPE_CHECKING:
    from maskgrid.forks import Forks
    from maskgrid.hosts.diffusers import check
    from maskgrid.pipeline import MaskGrid

# Importing these brings torch or Pillow along, so they are imported when they are asked for.
_LAZY = {
    "Forks": "maskgrid.forks",
    "MaskGrid": "maskgrid.pipeline",
    "check": "maskgrid.hosts.diffusers",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
