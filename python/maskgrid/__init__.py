"""Variations of a sheet: a diffusion model redraws one cell at a time, everything else stays bit for bit."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskgrid._native import Grid, Rect, Size, __version__, num_threads, set_num_threads
from maskgrid.errors import MaskGridError

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
    from maskgrid.geometry import Fork, ForkPlan, canvas, masks
    from maskgrid.hosts.diffusers.self_test import check
    from maskgrid.mask_grid import MaskGrid
    from maskgrid.result.forks import Forks

# These bring numpy, Pillow or torch along, so they are imported when they are first asked for.
_LAZY = {
    "Fork": "maskgrid.geometry",
    "ForkPlan": "maskgrid.geometry",
    "Forks": "maskgrid.result.forks",
    "MaskGrid": "maskgrid.mask_grid",
    "canvas": "maskgrid.geometry",
    "check": "maskgrid.hosts.diffusers",
    "masks": "maskgrid.geometry",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
