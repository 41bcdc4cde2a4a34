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

    from maskgrid.geometry import ForkPlan, Grid, Rect
    from maskgrid.geometry.detect_grid import DetectedGrid
    from maskgrid.load_pipeline.model_stride import ModelScale
    from maskgrid.pictures.read_mask import PixelMask
    from maskgrid.pictures.sheet import Sheet
    from maskgrid.run_plan import RunPlan

__all__ = ["run"]

_HEADINGS = ("fork", "cell", "row", "column", "pixels", "latent cells", "window", "sampled")


def run(options: argparse.Namespace) -> int:
    """Print the plan; draw it where `--out` says."""
    from maskgrid.pictures.plan_picture import plan_picture
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
    grid, plan = planned.grid, planned.forks
    shows_windows = options.halo is not None
    say(options, _summary(plan, grid, shows_windows=shows_windows))
    for line in _notes(options, sheet, mask):
        say(options, line)
    say(options, _table(plan, shows_windows=shows_windows))
    lost = warn_of_lost(plan)
    drawn = None
    if options.out:
        picture = plan_picture(sheet.pixels, plan, grid, planned.alpha, shows_windows=shows_windows)
        picture.info.update(sheet.save_options)
        drawn = write_picture(picture, options.out, force=options.force)
    facts = _facts(plan, grid) | ({"detected": detected_facts(found)} if found else {})
    give_result(options, f"drawn in {drawn}" if drawn else "", **facts, lost=lost, file=drawn)
    return 0


def _scale(options: argparse.Namespace) -> ModelScale:
    """The stride that was asked for, or the model's."""
    from maskgrid.load_pipeline.model_stride import ModelScale, read_scale

    return ModelScale(options.stride, 1) if options.stride else read_scale(options.model)


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
    )


def _check_usage(options: argparse.Namespace) -> None:
    if options.mask is None and not options.detect:
        options.parser.error("the following arguments are required: --mask (or --detect)")
    if options.mask is None and options.out:
        options.parser.error("--out draws a stencil; say which with --mask")


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


def _facts(plan: ForkPlan, grid: Grid) -> dict[str, Any]:
    pairs = {name: list(getattr(grid, name)) for name in ("canvas", "cell", "gap", "margin")}
    forks = [
        {
            "fork": fork.index,
            "cell": [fork.row, fork.column],
            "pixels": list(fork.rect),
            "latent_cells": list(fork.place),
            "sampled": float(fork.noise_mask.sum()),
        }
        for fork in plan
    ]
    sizes = {"rows": grid.rows, "columns": grid.columns, **pairs, "latent_size": list(plan.grid.latent_size)}
    return {**sizes, "stride": grid.stride, "coverage": plan.coverage, "forks": forks}


def _summary(plan: ForkPlan, grid: Grid, *, shows_windows: bool) -> str:
    latent = plan.grid.latent_size
    return (
        f"sheet {_size(grid.canvas)} px, {describe_grid(grid)}\n"
        f"{_size(latent)} latent cells at stride {grid.stride}, coverage {plan.coverage}, "
        f"{f'windows {_size(plan.window_size)}, ' if shows_windows else ''}{len(plan)} forks"
    )


def _size(size: Any) -> str:
    """Height before width, as everywhere."""
    return f"{size[0]} x {size[1]}"


def _table(plan: ForkPlan, *, shows_windows: bool) -> str:
    lines = [tuple(name for name in _HEADINGS if shows_windows or name != "window")]
    for fork in plan:
        sampled = float(fork.noise_mask.sum())
        lines.append(
            (
                *(str(number) for number in (fork.index, fork.cell, fork.row, fork.column)),
                *(_rect(rect) for rect in (fork.rect, fork.place)),
                *([_rect(fork.window)] if shows_windows else []),
                f"{sampled:.1f} of {fork.place.area}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) for line in lines)


def _rect(rect: Rect) -> str:
    return f"{rect.top}..{rect.bottom}, {rect.left}..{rect.right}"
