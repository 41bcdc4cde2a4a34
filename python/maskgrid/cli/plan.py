"""`maskgrid plan`: what would be sampled, in numbers and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.grid_options import grid_of
from maskgrid.geometry import ForkPlan

if TYPE_CHECKING:
    import argparse

    from maskgrid.geometry import Grid, Rect
    from maskgrid.pictures.read_mask import PixelMask
    from maskgrid.pictures.sheet import Sheet

__all__ = ["print_notes", "run"]

_HEADINGS = ("fork", "cell", "row", "column", "pixels", "latent cells", "window", "sampled")


def run(options: argparse.Namespace) -> int:
    """Print the plan; draw it where `--out` says."""
    from maskgrid.pictures.fit_stencil import fit_stencil
    from maskgrid.pictures.paste_weights import paste_weights
    from maskgrid.pictures.plan_picture import plan_picture
    from maskgrid.pictures.read_mask import read_mask
    from maskgrid.pictures.read_sheet import read_sheet
    from maskgrid.pictures.write_image import format_of
    from maskgrid.result.picture_file import write_picture

    if options.out:
        format_of(options.out, "--out")
    sheet = read_sheet(options.image, max_pixels=options.max_pixels)
    grid = grid_of(options, sheet.pixels.shape[:2], stride=options.stride)
    mask = read_mask(options.mask, channel=options.mask_channel, max_pixels=options.max_pixels)
    stencil = fit_stencil(mask.values, grid)
    plan = ForkPlan(grid, stencil, coverage=options.coverage, halo=options.halo, align=options.align)
    print(_summary(plan, grid))
    print_notes(options, sheet, mask)
    print(_table(plan))
    if plan.lost:
        print(f"lost by coverage {plan.coverage}: forks {', '.join(map(str, plan.lost))}; try --coverage max")
    if options.out:
        alpha = paste_weights(stencil, options.feather, default=options.stride)
        picture = plan_picture(sheet.pixels, plan, grid, alpha)
        picture.info.update(sheet.save_options)
        print(f"drawn in {write_picture(picture, options.out, force=options.force)}")
    return 0


def print_notes(options: argparse.Namespace, sheet: Sheet, mask: PixelMask) -> None:
    """Say what was taken as the mask, and what became of the sheet."""
    for path, words in ((options.image, "; ".join(sheet.notes)), (options.mask, str(mask))):
        if words:
            print(f"{path}: {words}")


def _summary(plan: ForkPlan, grid: Grid) -> str:
    latent = grid.latent_size
    return (
        f"sheet {_size(grid.canvas)} px, {grid.rows} x {grid.columns} cells of {_size(grid.cell)} px, "
        f"gap {_size(grid.gap)}, margin {_size(grid.margin)}\n"
        f"{_size(latent)} latent cells at stride {grid.stride}, coverage {plan.coverage}, "
        f"windows {_size(plan.window_size)}, {len(plan)} forks"
    )


def _size(size: Any) -> str:
    """Height before width, as everywhere."""
    return f"{size[0]} x {size[1]}"


def _table(plan: ForkPlan) -> str:
    lines: list[tuple[str, ...]] = [_HEADINGS]
    for fork in plan:
        sampled = float(fork.noise_mask.sum())
        lines.append(
            (
                *(str(number) for number in (fork.index, fork.cell, fork.row, fork.column)),
                *(_rect(rect) for rect in (fork.rect, fork.place, fork.window)),
                f"{sampled:.1f} of {fork.place.area}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADINGS))]
    return "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) for line in lines)


def _rect(rect: Rect) -> str:
    return f"{rect.top}..{rect.bottom}, {rect.left}..{rect.right}"
