"""`maskgrid mask`: prepare a stencil."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskgrid.cli.grid_options import grid_of
from maskgrid.cli.tell import give_result, say
from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Read a mask, prepare it, write it."""
    from maskgrid.pictures.pixel_arrays import eight_bits, host_array, to_pil
    from maskgrid.pictures.prepare_stencil import prepare_stencil
    from maskgrid.pictures.read_mask import read_mask
    from maskgrid.pictures.write_image import format_of
    from maskgrid.result.picture_file import write_picture

    format_of(options.out, "--out")
    read = read_mask(options.mask, channel=options.mask_channel, max_pixels=options.max_pixels)
    mask = host_array(read.values, "mask")
    if mask.ndim != 2:
        raise InvalidValueError(f"mask has shape {mask.shape}; allowed: one picture, (H, W)")
    if options.cell is not None:
        grid = grid_of(options, mask.shape[:2])
        mask = mask[grid.cell_rect(grid.index_of(*options.cell)).slices]
    elif options.rows or options.columns:
        raise InvalidValueError(
            "--rows and --columns are there to find a cell; say which with --cell ROW,COLUMN"
        )
    prepared = prepare_stencil(
        mask,
        threshold=options.threshold,
        invert=options.invert,
        fill_holes=options.fill_holes,
        grow=options.grow,
        shrink=options.shrink,
        feather=options.feather,
    )
    stencil = eight_bits(prepared, "mask")
    path = write_picture(to_pil(stencil), options.out, force=options.force)
    height, width = stencil.shape
    share = float(np.mean(stencil, dtype=np.float64)) / 255
    if str(read):
        say(options, f"{options.mask}: {read}")
    text = f"{path}: {height} x {width} px, {share:.1%} may change"
    give_result(options, text, file=path, height=height, width=width, share=share, taken=str(read))
    return 0
