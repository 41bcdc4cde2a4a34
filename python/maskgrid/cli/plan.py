"""`maskgrid plan`: what would be sampled, in numbers and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.grid_options import grid_of
from maskgrid.geometry import ForkPlan

if TYPE_CHECKING:
    import argparse

    from maskgrid.geometry import Grid, Rect

__all__ = ["run"]

_HEADINGS = ("fork", "cell", "row", "column", "pixels", "latent cells", "window", "sampled")


def run(options: argparse.Namespace) -> int:
    """Print the plan; draw it where `--out` says."""
    from maskgrid.pictures.images import read_image, read_stencil
    from maskgrid.pictures.plan_picture import plan_picture
    from maskgrid.pictures.stencils import fit_stencil, shown
    from maskgrid.result.picture_file import write_picture

    pixels = read_image(options.image)
    grid = grid_of(options, pixels.shape[:2], stride=options.stride)
    stencil = fit_stencil(read_stencil(options.mask), grid)
    plan = ForkPlan(grid, stencil, coverage=options.coverage, halo=options.halo, align=options.align)
    print(_summary(plan, grid))
    print(_table(plan))
    if plan.lost:
        print(f"lost by coverage {plan.coverage}: forks {', '.join(map(str, plan.lost))}; try --coverage max")
    if options.out:
        feather = options.stride if options.feather is None else options.feather
        picture = plan_picture(pixels, plan, grid, shown(stencil, feather))
        print(f"drawn in {write_picture(picture, options.out, force=options.force)}")
    return 0


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
