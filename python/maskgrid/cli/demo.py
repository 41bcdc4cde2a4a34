"""`maskgrid demo`: a small sheet, redrawn with the bundled model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.running import load, make_and_save, reporter
from maskgrid.models import BUNDLED, demo
from maskgrid.output import check_folder_is_free

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Redraw every cell of the demonstration's sheet, each with a prompt of its own."""
    check_folder_is_free(options.out, force=options.force)
    shown = demo()
    settings: dict[str, Any] = {
        "image": shown.image,
        "mask": shown.mask,
        "rows": shown.rows,
        "columns": shown.columns,
        "prompt": list(shown.prompts),
        "cfg": shown.cfg,
    }
    for name in ("steps", "seed", "mode", "fork_at", "micro_batch"):
        settings[name] = getattr(options, name)
    maker = load(BUNDLED, options.device, options.dtype)
    report = reporter(options, maker, settings)
    return make_and_save(options, lambda: maker(callback=report, **settings), report)
