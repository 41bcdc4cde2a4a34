"""What a manifest records of a run, and how the run is made again from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from maskgrid.errors import MaskGridError
from maskgrid.result.folder import read_manifest
from maskgrid.sampling import CONTROL_NAMES, Controls

if TYPE_CHECKING:
    import os

__all__ = ["recorded_run", "run_settings"]


def run_settings(controls: Controls, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, as JSON has them.

    Args:
        controls: All controls.
        given: The other arguments of `MaskGrid.__call__`, and controls as they were given.

    Returns:
        The settings; those that JSON can't have are named under "not_recorded".
    """
    return _recorded({**_told(controls), **given})


def recorded_run(manifest: str | os.PathLike[str], **changes: Any) -> dict[str, Any]:
    """The arguments of `MaskGrid.__call__` that make a manifest's run again; `MaskGrid.again` is that call.

    Args and errors are those of `MaskGrid.again`.
    """
    record, path = read_manifest(manifest), Path(manifest)
    folder = path if path.is_dir() else path.parent
    settings = {**record.get("settings", {}), **changes}
    settings.pop("pipeline", None)
    missing = [name for name in settings.pop("not_recorded", []) if name not in changes]
    if missing:
        raise MaskGridError(f"{path} can't hold {', '.join(missing)}; give them again to repeat the run")
    if not record.get("stencil"):
        raise MaskGridError(f"{path} was written without a stencil, so its run can't be repeated")
    settings.setdefault("image", folder / record["image"])
    settings.setdefault("mask", folder / record["stencil"])
    return settings


def _told(controls: Controls) -> dict[str, Any]:
    """All controls of a run, with their defaults, so that it can be repeated when those have changed."""
    # The default of sheet_conditioning follows from the prompts.
    values = {name: getattr(controls, name) for name in sorted({*CONTROL_NAMES} - {"sheet_conditioning"})}
    return {name: value for name, value in values.items() if value is not None}


def _recorded(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON has them; those that it can't have are named under "not_recorded"."""
    plain = {name: _plain(value) for name, value in given.items()}
    lost = sorted(name for name, value in plain.items() if value is NotImplemented)
    settings = {name: value for name, value in plain.items() if name not in lost}
    return {**settings, "not_recorded": lost} if lost else settings


def _plain(value: Any) -> Any:
    """A value of JSON; NotImplemented where there is none."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else NotImplemented
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Tensor | np.ndarray):
        # Sigmas are a handful of numbers; embeddings and noise belong in no manifest.
        return value.tolist() if value.ndim == 1 else NotImplemented
    if isinstance(value, Sequence):
        items = [_plain(item) for item in value]
        return NotImplemented if any(item is NotImplemented for item in items) else items
    return NotImplemented
