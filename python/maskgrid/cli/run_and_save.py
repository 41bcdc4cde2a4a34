"""What `sample` and `demo` share: run with a report, save what is finished, say where it is."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from maskgrid.cli.progress_line import Reporter
    from maskgrid.mask_grid import MaskGrid
    from maskgrid.result.forks import Forks
    from maskgrid.sampling import Progress

__all__ = ["load", "make_and_save", "quiet"]


def quiet() -> None:
    """Keep the libraries' notes and bars off the terminal."""
    from maskgrid.errors import MaskGridWarning

    warnings.simplefilter("ignore")
    warnings.simplefilter("default", MaskGridWarning)
    import diffusers.utils.logging
    import transformers.utils.logging

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)


def load(model: str, device: str | None, dtype: str | None) -> MaskGrid:
    """A `MaskGrid` for a model by name."""
    from maskgrid.bundled_model import BUNDLED, bundled_folder

    if model == BUNDLED:
        # Says so before torch is imported.
        bundled_folder()
    print(f"loading {model}", file=sys.stderr)
    from maskgrid.mask_grid import MaskGrid

    with contextlib.suppress(ImportError):
        quiet()
    return MaskGrid.load(model, device=device, dtype=dtype)


def make_and_save(
    options: argparse.Namespace,
    maker: MaskGrid,
    settings: dict[str, Any],
    *,
    changes: dict[str, Any] | None = None,
) -> int:
    """Make forks and save them; of a run that ends early, what was finished.

    Args:
        options: Of the command line.
        maker: Makes the forks.
        settings: What to make.
        changes: Where the forks of `options.manifest` are made again, what is to be other than there.

    Returns:
        The exit code: 0, or 130 after Ctrl-C.

    Raises:
        MaskGridError: What went wrong, after what was finished is saved.
    """
    from maskgrid.errors import CancelledError, DenoiserError, RunInterrupted

    start = time.monotonic()
    report = _reporter(options, maker, settings)
    told: dict[str, Any] = {"callback": report, "decode_callback": report.decoded}
    try:
        forks = (
            maker(**told, **settings) if changes is None else maker.again(options.manifest, **told, **changes)
        )
    except (RunInterrupted, CancelledError, DenoiserError) as stop:
        report.close()
        saved = _save(options, stop.result)
        if not isinstance(stop, RunInterrupted):
            raise
        print(f"maskgrid: interrupted; {saved}", file=sys.stderr)
        return 130
    report.close()
    print(f"{_save(options, forks)} in {time.monotonic() - start:.1f} s")
    return 0


def _reporter(options: argparse.Namespace, maker: MaskGrid, settings: dict[str, Any]) -> Reporter:
    """The callback of a run; with `--preview` it writes preview.png beside the output folder."""
    from maskgrid.cli.progress_line import Reporter
    from maskgrid.result.picture_file import PreviewFile

    file = PreviewFile(options.out)

    def preview(progress: Progress) -> None:
        file.write(maker.preview(progress))

    return Reporter(settings, preview=preview if options.preview else None)


def _save(options: argparse.Namespace, forks: Forks | None) -> str:
    from maskgrid.result.save_finished import save_finished

    saved = save_finished(forks, options.out, force=options.force)
    if saved.signal is not None:
        print(f"maskgrid: interrupted; {saved.words}", file=sys.stderr)
        sys.exit(128 + saved.signal)
    return saved.words
