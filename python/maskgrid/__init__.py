"""Variations of a sheet: a diffusion model redraws one cell at a time, everything else stays bit for bit.

    MaskGrid            forks of a sheet, made with a diffusers pipeline; maskgrid.mask_grid
    Forks               what it gives: pictures, and the folder they are saved in; maskgrid.result
    check               can a pipeline be trusted with the job?
    Grid, ForkPlan      where cells lie, and what each fork samples; with masks and canvas
    maskgrid.sampling   the same on latents, for whoever runs the network in another way
    maskgrid.errors     what is raised, and how it carries what was finished

Grids, plans and masks need numpy alone, pictures Pillow, MaskGrid and check what `pip install
"maskgrid[diffusers]"` brings.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from maskgrid._native import Grid, Rect, Size, __version__, num_threads, set_num_threads
from maskgrid.errors import MaskGridError, MissingExtraError

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
_SUBMODULES = (
    *("cli", "conditioning", "encode_decode", "errors", "geometry", "hosts", "jobs", "load_pipeline"),
    *("mask_grid", "model_facts", "pictures", "result", "run_arguments", "run_inputs", "run_log", "run_plan"),
    "sampling",
)
_MOVED = {
    "pipeline": "mask_grid",
    "models": "load_pipeline",
    "output": "result.save_folder",
    "forks": "result.forks",
}
_NEED_TORCH = ("MaskGrid", "check")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        # Somebody's hook keeps it away.
        return False


if not TYPE_CHECKING and not _is_installed("torch"):
    # So that `from maskgrid import *` and help() show what there is; asking by name says what to install.
    __all__ = [name for name in __all__ if name not in _NEED_TORCH]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return _import(f"{__name__}.{name}")
    if name in _MOVED:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; it is {__name__}.{_MOVED[name]} now"
        )
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_import(_LAZY[name], name), name)
    return value


def __dir__() -> list[str]:
    shown = {name for name in globals() if not name.startswith("_") or name.startswith("__")}
    return sorted({*shown, *__all__} - {"TYPE_CHECKING", "Any", "find_spec", "import_module"})


def _import(module: str, wanted: str | None = None) -> Any:
    """A module of ours; where torch or another package is missing, an error that says what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = str(error.name or "").partition(".")[0]
        if missing in ("", "maskgrid"):
            raise
        raise MissingExtraError(
            f"{wanted or module} needs {missing}, which is not installed; "
            'install it with: pip install "maskgrid[diffusers]"'
        ) from error
