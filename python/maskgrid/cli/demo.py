"""`maskgrid demo`: a small sheet, redrawn with the bundled model or another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.bundled_model import BUNDLED, read_demo
from maskgrid.cli.run_and_save import load, make_and_save
from maskgrid.pictures.open_image import pillow
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.read_sheet import read_image
from maskgrid.result.output_place import check_output

if TYPE_CHECKING:
    import argparse

    from PIL.Image import Image

    from maskgrid.bundled_model import Demo

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Redraw every cell of the demonstration's sheet, each with a prompt of its own."""
    check_output(options.out, force=options.force)
    shown = read_demo()
    maker = load(options, options.model)
    image, mask = _enlarged(shown, maker.host.side)
    settings: dict[str, Any] = {
        "image": image,
        "mask": mask,
        "rows": shown.rows,
        "columns": shown.columns,
        "prompt": list(shown.prompts),
        "cfg": shown.cfg if options.model == BUNDLED else None,
    }
    for name in ("steps", "seed", "mode", "fork_at", "micro_batch"):
        settings[name] = getattr(options, name)
    return make_and_save(options, maker, settings)


def _enlarged(shown: Demo, side: int) -> tuple[Image, Image]:
    """The sheet and the stencil, as many times larger as brings the sheet nearest to what a model draws."""
    resampling = pillow().Resampling
    image, mask = to_pil(read_image(shown.image)), to_pil(read_image(shown.mask))
    times = max(1, round(side / max(image.size)))
    larger = [(times * picture.width, times * picture.height) for picture in (image, mask)]
    return image.resize(larger[0], resampling.BICUBIC), mask.resize(larger[1], resampling.NEAREST)
