"""Reading what a run takes, and refusing what no model could do before one is loaded.

`MaskGrid`, the command line and whoever queues runs have one validation, `read_inputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import Grid
from maskgrid.geometry.cell_lists import cell_numbers, list_for_cells
from maskgrid.pictures.background import background_of, check_background
from maskgrid.pictures.fit_stencil import check_stencil, fit_stencil
from maskgrid.pictures.flatten_alpha import flatten_alpha
from maskgrid.pictures.read_mask import read_mask
from maskgrid.pictures.read_sheet import read_image, read_sheet
from maskgrid.result.fork_records import MOST_VARIANTS
from maskgrid.run_arguments import TEXTS, DecodeCallback, RunOptions, split_options
from maskgrid.sampling.argument_checks import check_count, check_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.pictures.sheet import Sheet
    from maskgrid.sampling.forking.progress import Callback

__all__ = ["RunInputs", "read_inputs"]

_GROUNDS = {"control_image": 0, "reference_image": 255}
"""What pictures with alpha are laid over: lines and depths are drawn on black, things stand before white."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunInputs:
    """A run's sheet, stencil, texts and options, read and found fit for some model.

    Attributes:
        options: What was asked for.
        sheet: As it was read: its pixels, what a model sees of it, its colour profile and resolution.
        grid: Where the cells lie in it, in pixels: stride 1.
        stencil: (h, w), (N, h, w) or (N, h, w, C), white may change.
        notes: What was done to the sheet and which part of a picture was taken as the stencil, in words.
        cells: Which cells are forked, by number and each once.
        texts: By name, one for all cells or a list with one for each of the sheet.
        seeds: "same", "increment", or a list with one for each of the sheet.
        pictures: By name, what a ControlNet or the network itself goes by: (h, w, 3) uint8 each.
    """

    options: RunOptions
    sheet: Sheet
    grid: Grid
    stencil: NDArray[Any]
    notes: tuple[str, ...]
    cells: tuple[int, ...]
    texts: Mapping[str, str | list[str]]
    seeds: str | list[int]
    pictures: Mapping[str, NDArray[np.uint8] | list[NDArray[np.uint8]]]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3 or 4) uint8: the pixels that a run was given, bit for bit."""
        return self.sheet.pixels

    def may_change(self, cell: int) -> NDArray[np.bool_]:
        """(h, w): where a cell's stencil is not black."""
        values = self.stencil[..., 0] if self.stencil.ndim == 4 else self.stencil
        changes: NDArray[np.bool_] = (values if values.ndim == 2 else values[cell % len(values)]) > 0
        return changes

    def reporting_to(self, callback: Callback | None, decode_callback: DecodeCallback | None) -> RunInputs:
        """The inputs of a run with other callbacks."""
        options = replace(self.options, callback=callback, decode_callback=decode_callback)
        return replace(self, options=options)


def read_inputs(arguments: Mapping[str, Any]) -> RunInputs:
    """Read the pictures of a run and check all that can be checked without a model.

    Args:
        arguments: By name, as `MaskGrid.__call__` has them.

    Returns:
        What was read.

    Raises:
        InvalidTypeError: An object, dtype or argument that is not allowed.
        InvalidValueError: A number, shape or name that is not allowed.
        MaskGridError: A file that can't be read, or an empty stencil.
    """
    options = split_options(arguments)
    _check_numbers(options)
    for name in ("image", "mask"):
        if arguments.get(name) is None:
            raise InvalidTypeError(f"{name} is missing; allowed: a path, a picture, an array or a tensor")
    sheet = _read_sheet(arguments["image"], options)
    shape = {"cell": options.cell, "gap": options.gap, "margin": options.margin}
    grid = Grid(options.rows, options.columns, canvas=sheet.pixels.shape[:2], **shape, stride=1)
    mask = read_mask(arguments["mask"], channel=options.mask_channel, max_pixels=options.max_pixels)
    stencil = fit_stencil(mask.values, grid)
    chosen = cell_numbers(options.cells, grid)
    check_stencil(stencil, grid, options.coverage, sorted(chosen))
    texts = {name: _per_cell(getattr(options, name), name, grid, chosen) for name in TEXTS}
    return RunInputs(
        options=options,
        sheet=sheet,
        grid=grid,
        stencil=stencil,
        notes=(*(f"image: {note}" for note in sheet.notes), *([f"mask: {mask}"] if str(mask) else [])),
        cells=tuple(sorted(chosen)),
        texts={name: text for name, text in texts.items() if text is not None},
        seeds=_per_cell(options.controls.fork_seeds, "fork_seeds", grid, chosen),
        pictures=_read_pictures(options, grid),
    )


def _read_sheet(image: Any, options: RunOptions) -> Sheet:
    """The sheet, with what a model is to see under its alpha."""
    sheet = read_sheet(image, max_pixels=options.max_pixels)
    if options.alpha == "keep":
        return replace(sheet, background=background_of(options.background, sheet.pixels))
    if sheet.pixels.shape[2] == 3:
        raise InvalidValueError(
            "alpha is 'new', but the sheet has no alpha; allowed: alpha='keep', or a sheet with alpha, "
            "such as image.convert('RGBA')"
        )
    asked = "auto" if options.background is None else options.background
    return replace(sheet, background=background_of(asked, sheet.pixels))


def _check_numbers(options: RunOptions) -> None:
    """Refuse numbers and callbacks that no sheet, stencil and model go with."""
    for name in ("rows", "columns"):
        check_count(name, getattr(options, name), 1)
    _check_variants(options)
    if options.micro_batch is not None:
        check_count("micro_batch", options.micro_batch, 1)
    options.what_is_shared()
    options.asked_zoom()
    check_background(options.background)
    if options.alpha not in ("keep", "new"):
        raise InvalidValueError(f"alpha is {options.alpha!r}; allowed: 'keep' or 'new'")
    for name in ("cfg", "feather"):
        value = getattr(options, name)
        if value is not None and check_number(name, value) < 0 and name == "feather":
            raise InvalidValueError(f"feather is {value}; allowed: 0 or more pixels")
    if options.controls.fork_at is not None:
        check_count("fork_at", options.controls.fork_at, 0, options.steps)
    _check_steps(options)
    for name in ("callback", "decode_callback"):
        value = getattr(options, name)
        if value is not None and not callable(value):
            raise InvalidTypeError(f"{name} is {type(value).__name__}; allowed: a function")
    if options.prompt is None and not any("prompt_embeds" in name for name in options.pipe_kwargs):
        raise InvalidValueError(
            "prompt is missing; allowed: a text for all cells, or one for each ('' for none)"
        )


def _check_variants(options: RunOptions) -> None:
    """Refuse a number of tries that is none, and tries that would all be the same."""
    controls = options.controls
    check_count("variants", options.variants, 1, MOST_VARIANTS)
    if options.variants > 1 and (controls.noise is not None or not controls.add_noise):
        raise InvalidValueError(
            f"variants is {options.variants}, but with given noise or none all tries of a cell are the same; "
            "allowed: variants=1, or noise by seeds"
        )


def _check_steps(options: RunOptions) -> None:
    """Refuse a range of steps in which there is none, which would give the sheet back unchanged."""
    controls = options.controls
    if not isinstance(controls.schedule, str):
        return
    end = controls.steps if controls.end_at_step is None else min(controls.end_at_step, controls.steps)
    if controls.start_at_step >= end:
        raise InvalidValueError(
            f"start_at_step is {controls.start_at_step}, and the steps end at {end}, so none is left; "
            "allowed: a start before the end"
        )


def _per_cell(value: Any, name: str, grid: Grid, chosen: Sequence[int]) -> Any:
    """What is meant for all cells, or a list with one item for each cell of the sheet."""
    if value is None or isinstance(value, str):
        return value
    are_seeds = name == "fork_seeds"
    if not isinstance(value, Sequence) and not hasattr(value, "tolist"):
        raise InvalidTypeError(
            f"{name} is {type(value).__name__}; allowed: a {'rule' if are_seeds else 'text'}, a list with an "
            "item for each cell, or a table of rows"
        )
    table = list_for_cells(value, name, grid, chosen)
    for number in chosen:
        if are_seeds:
            check_count(f"{name} of cell {number}", table[number], 0)
        elif not isinstance(table[number], str):
            raise InvalidTypeError(
                f"{name} has {table[number]!r} for cell {number}; allowed: a text, '' for none"
            )
    return table


def _read_pictures(options: RunOptions, grid: Grid) -> dict[str, Any]:
    """The pictures that a run goes by; those of a ControlNet are as large as the sheet."""
    pictures = {}
    for name in _GROUNDS:
        given = getattr(options, name)
        if given is None:
            continue
        several = isinstance(given, (list, tuple))
        ground = _GROUNDS[name]
        read = [
            flatten_alpha(read_image(each, name=name, max_pixels=options.max_pixels), ground)
            for each in (given if several else [given])
        ]
        for image in read if name == "control_image" else ():
            if image.shape[:2] != tuple(grid.canvas):
                raise InvalidValueError(
                    f"control_image is {image.shape[0]} x {image.shape[1]} px (height x width); "
                    f"allowed: the sheet's size, {grid.canvas.height} x {grid.canvas.width}"
                )
        pictures[name] = read if several else read[0]
    return pictures
