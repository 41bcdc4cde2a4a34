"""`maskgrid plan`: what would be sampled, in numbers and as a picture."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from maskgrid.cli.grid_options import describe_grid, detect, detected_facts, grid_of
from maskgrid.cli.tell import give_result, say
from maskgrid.errors import MaskGridWarning
from maskgrid.geometry.detect_grid import SURE

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid, Rect
    from maskgrid.geometry.detect_grid import DetectedGrid
    from maskgrid.geometry.fork_plan import Fork
    from maskgrid.load_pipeline.model_stride import ModelScale
    from maskgrid.pictures.read_mask import PixelMask
    from maskgrid.pictures.sheet import Sheet
    from maskgrid.run_plan import RunPlan
    from maskgrid.zoom_windows import Zoom

__all__ = ["run"]

_HEADINGS = ("fork", "cell", "row", "column", "pixels", "latent cells", "window", "sampled")


def run(options: argparse.Namespace) -> int:
    """Print the plan; draw it where `--out` says."""
    from maskgrid.pictures.read_mask import read_mask
    from maskgrid.pictures.read_sheet import read_sheet
    from maskgrid.pictures.write_image import format_of
    from maskgrid.result.output_place import check_picture
    from maskgrid.result.picture_file import write_picture
    from maskgrid.run_plan import warn_of_lost

    _check_usage(options)
    if options.out:
        format_of(options.out, "--out")
        check_picture(options.out, force=options.force)
    scale = _scale(options)
    sheet = read_sheet(options.image, max_pixels=options.max_pixels)
    found = detect(options, sheet.pixels) if options.detect else None
    _warn_of_doubt(found)
    if options.mask is None and found:
        give_result(options, "", **detected_facts(found))
        return 0
    cells = found.grid if found else grid_of(options, sheet.pixels.shape[:2])
    mask = read_mask(options.mask, channel=options.mask_channel, max_pixels=options.max_pixels)
    planned = _plan(options, cells, mask, scale)
    say(options, _summary(planned, shows_windows=options.halo is not None))
    for line in _notes(options, sheet, mask):
        say(options, line)
    say(options, _table(planned, shows_windows=options.halo is not None))
    lost = warn_of_lost(planned)
    drawn = None
    if options.out:
        picture = _picture(sheet, planned, shows_windows=options.halo is not None)
        picture.info.update(sheet.save_options)
        drawn = write_picture(picture, options.out, force=options.force)
    facts = _facts(planned) | ({"detected": detected_facts(found)} if found else {})
    give_result(options, f"drawn in {drawn}" if drawn else "", **facts, lost=lost, file=drawn)
    return 0


def _picture(sheet: Sheet, planned: RunPlan, *, shows_windows: bool) -> Image:
    """The plan as a picture."""
    from maskgrid.pictures.plan_picture import plan_picture, zoomed_plan_picture

    forks, grid, windows = planned.forks, planned.grid, planned.windows
    if windows is None:
        return plan_picture(sheet.pixels, forks, grid, planned.alpha, shows_windows=shows_windows)
    return zoomed_plan_picture(
        sheet.pixels,
        grid,
        dict(zip(forks.cells, windows.rects, strict=True)),
        planned.alpha,
        windows.noise_on_sheet(grid, forks.cells),
        settings=f"{len(forks)} forks, {_windows_in_words(planned)}, coverage {forks.coverage}",
    )


def _scale(options: argparse.Namespace) -> ModelScale:
    """The stride that was asked for, or the model's."""
    from maskgrid.load_pipeline.model_stride import ModelScale, read_scale

    if options.stride is None:
        return read_scale(options.model)
    if options.zoom == "auto":
        options.parser.error(
            "--zoom auto is for a model's own size, which --stride does not say; give --model"
        )
    return ModelScale(options.stride, 1)


def _plan(options: argparse.Namespace, cells: Grid, mask: PixelMask, scale: ModelScale) -> RunPlan:
    """The plan of a stencil in these cells."""
    from maskgrid.geometry.cell_lists import cell_numbers
    from maskgrid.pictures.fit_stencil import check_stencil, fit_stencil
    from maskgrid.run_plan import plan_cells

    stencil, chosen = fit_stencil(mask.values, cells), sorted(cell_numbers(options.cells, cells))
    check_stencil(stencil, cells, options.coverage, chosen)
    return plan_cells(
        cells,
        stencil,
        stride=scale.stride,
        align=scale.align,
        coverage=options.coverage,
        feather=options.feather,
        halo=options.halo or 0,
        window_align=options.align,
        cells=chosen,
        zoom=_zoom(options),
        side=scale.side,
    )


def _zoom(options: argparse.Namespace) -> Zoom | None:
    """The zoom that was asked for."""
    from maskgrid.zoom_windows import Zoom

    given = {"context": options.context, "resampling": options.zoom_filter}
    given = {name: value for name, value in given.items() if value is not None}
    if options.zoom is not None:
        return Zoom(options.zoom, **given)
    if given:
        options.parser.error("--context and --zoom-filter are of a zoom; say how large with --zoom")
    return None


def _check_usage(options: argparse.Namespace) -> None:
    if options.mask is None and not options.detect:
        options.parser.error("the following arguments are required: --mask (or --detect)")
    if options.mask is None and options.out:
        options.parser.error("--out draws a stencil; say which with --mask")
    if options.zoom is not None and (options.halo is not None or options.align != 1):
        options.parser.error("--halo and --align are of other windows than --zoom; allowed: one or the other")


def _warn_of_doubt(found: DetectedGrid | None) -> None:
    if found and not found.is_sure:
        warnings.warn(
            f"the grid was found with a confidence of {found.confidence:.2f} only; below {SURE} it may be "
            "wrong: look at it, or give --rows and --columns",
            MaskGridWarning,
            stacklevel=2,
        )


def _notes(options: argparse.Namespace, sheet: Sheet, mask: PixelMask) -> list[str]:
    """What was taken as the mask, and what became of the sheet."""
    notes = ((options.image, "; ".join(sheet.notes)), (options.mask, str(mask)))
    return [f"{path}: {words}" for path, words in notes if words]


def _facts(planned: RunPlan) -> dict[str, Any]:
    grid, plan, windows = planned.grid, planned.forks, planned.windows
    pairs = {name: list(getattr(grid, name)) for name in ("canvas", "cell", "gap", "margin")}
    forks: list[dict[str, Any]] = [
        {
            "fork": fork.index,
            "cell": [fork.row, fork.column],
            "pixels": list(fork.rect),
            **(
                {"window": list(windows.rects[fork.index])} if windows else {"latent_cells": list(fork.place)}
            ),
            "sampled": float(_noise_mask(planned, fork).sum()),
        }
        for fork in plan
    ]
    zoomed = {"zoom": planned.factor, "window_size": list(windows.size)} if windows else {}
    sizes = {"rows": grid.rows, "columns": grid.columns, **pairs, "latent_size": list(planned.latent_size)}
    return {**sizes, **zoomed, "stride": grid.stride, "coverage": plan.coverage, "forks": forks}


def _summary(planned: RunPlan, *, shows_windows: bool) -> str:
    plan, grid = planned.forks, planned.grid
    if planned.windows:
        windows = f"{_windows_in_words(planned)}, "
    else:
        windows = f"windows {_size(plan.window_size)}, " if shows_windows else ""
    return (
        f"sheet {_size(grid.canvas)} px, {describe_grid(grid)}\n"
        f"{_size(planned.latent_size)} latent cells at stride {grid.stride}, coverage {plan.coverage}, "
        f"{windows}{len(plan)} forks"
    )


def _windows_in_words(planned: RunPlan) -> str:
    """How large the windows of a zoom are, in the sheet and for the model."""
    shape, size = planned.views[0].size, planned.size
    return f"windows of {_size(shape)} px as {_size(size)} px (zoom {planned.factor:.3g})"


def _size(size: Any) -> str:
    """Height before width, as everywhere."""
    return f"{size[0]} x {size[1]}"


def _table(planned: RunPlan, *, shows_windows: bool) -> str:
    zoomed = planned.windows
    left_out = "latent cells" if zoomed else None if shows_windows else "window"
    lines = [tuple(name for name in _HEADINGS if name != left_out)]
    for fork in planned.forks:
        mask = _noise_mask(planned, fork)
        if zoomed:
            places = [_rect(zoomed.rects[fork.index])]
        else:
            places = [_rect(fork.place), *([_rect(fork.window)] if shows_windows else [])]
        lines.append(
            (
                *(str(number) for number in (fork.index, fork.cell, fork.row, fork.column)),
                _rect(fork.rect),
                *places,
                f"{float(mask.sum()):.1f} of {mask.size}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) for line in lines)


def _noise_mask(planned: RunPlan, fork: Fork) -> NDArray[np.float32]:
    """The noise mask of a fork, in its cell or in its window."""
    windows = planned.windows
    mask: NDArray[np.float32] = windows.coverages[fork.index] if windows else fork.noise_mask
    return mask


def _rect(rect: Rect) -> str:
    return f"{rect.top}..{rect.bottom}, {rect.left}..{rect.right}"
