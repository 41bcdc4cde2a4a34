"""What people say to a pipeline, as its arguments: texts for all cells or for each, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.diffusers.pipeline_host import TEXTS
from maskgrid.pictures.images import continued, read_image, to_pil

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.geometry import ForkPlan, Grid
    from maskgrid.hosts.diffusers import DiffusersHost

__all__ = ["conditioning_of", "has_own_texts", "per_fork"]

_ALWAYS_TOLD = ("prompt", "negative_prompt", "cfg")
_PICTURES = ("control_image", "reference_image")


def conditioning_of(host: DiffusersHost, told: dict[str, Any], grid: Grid, plan: ForkPlan) -> dict[str, Any]:
    """The pipeline's arguments.

    Args:
        host: The pipeline's.
        told: What `MaskGrid.__call__` was told: prompt, negative_prompt and cfg, None for the pipeline's own,
            and what goes to the pipeline.
        grid: Of the sheet.
        plan: On the network's canvas.

    Returns:
        The arguments; a text is one for all or a list with one for each fork of the plan.

    Raises:
        InvalidTypeError: A text or a picture that is none.
        InvalidValueError: Texts that don't fit the cells, or a picture that does not fit the sheet or lacks.
    """
    chosen = {name: value for name, value in told.items() if value is not None or name not in _ALWAYS_TOLD}
    if "cfg" in chosen:
        chosen[host.layout.cfg] = chosen.pop("cfg")
    for name in TEXTS:
        if chosen.get(name) is not None:
            chosen[name] = per_fork(chosen[name], name, grid, plan)
    for name in _PICTURES:
        if chosen.get(name) is not None:
            pictures = _pictures(chosen.pop(name), name, grid, plan.grid)
            chosen[_own_name(host, name)] = pictures
    if host.control_argument and chosen.get(host.control_argument) is None:
        raise InvalidValueError(
            f"{type(host.pipe).__name__} goes by a picture; allowed: a control_image as large as the sheet"
        )
    return chosen


def has_own_texts(conditioning: dict[str, Any]) -> bool:
    """Whether forks have a text each."""
    return any(isinstance(conditioning.get(name), list) for name in TEXTS)


def per_fork(value: Any, name: str, grid: Grid, plan: ForkPlan) -> Any:
    """What is meant for all, or a list with one item for each fork of the plan."""
    if isinstance(value, str):
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, Sequence):
        raise InvalidTypeError(
            f"{name} is {type(value).__name__}; allowed: a text, a list with an item for each cell, "
            "or a table of rows"
        )
    table = list(value)
    if table and isinstance(table[0], Sequence) and not isinstance(table[0], str):
        if len(table) != grid.rows or any(len(row) != grid.columns for row in table):
            shape = f"{len(table)} rows of {[len(row) for row in table]}"
            raise InvalidValueError(
                f"{name} is a table of {shape}; allowed: {grid.rows} rows of {grid.columns}"
            )
        table = [item for row in table for item in row]
    if len(table) != len(grid):
        raise InvalidValueError(
            f"{name} has {len(table)} items; allowed: one text, or {len(grid)} items, one for each cell"
        )
    return [table[cell] for cell in plan.cells]


def _pictures(given: Any, name: str, grid: Grid, network_grid: Grid) -> Any:
    """A picture as a PIL image without alpha, or a list of them; a ControlNet's continued like the sheet."""
    if isinstance(given, (list, tuple)):
        return [_pictures(each, name, grid, network_grid) for each in given]
    image = read_image(given, name=name)
    return to_pil(_over_sheet(image, grid, network_grid) if name == "control_image" else image[..., :3])


def _own_name(host: DiffusersHost, name: str) -> str:
    """What a pipeline calls a picture: where it calls it `image`, that is the sheet's name here."""
    if name == "control_image":
        return host.control_argument or name
    return "image" if host.accepts("image") and host.control_argument != "image" else name


def _over_sheet(image: NDArray[np.uint8], grid: Grid, network_grid: Grid) -> NDArray[np.uint8]:
    """A ControlNet's picture, continued like the sheet."""
    if image.shape[:2] != tuple(grid.canvas):
        raise InvalidValueError(
            f"control_image is {image.shape[0]} x {image.shape[1]} px (height x width); "
            f"allowed: the sheet's size, {grid.canvas.height} x {grid.canvas.width}"
        )
    return continued(image, network_grid.canvas)
