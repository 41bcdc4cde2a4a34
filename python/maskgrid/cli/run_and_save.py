"""What `sample` and `demo` share: run with a report, save what is finished, say where it is."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from maskgrid.cli.error_words import name_flags
from maskgrid.cli.obey_signals import exit_code
from maskgrid.cli.tell import give_result, is_wordy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from maskgrid.cli.progress_line import Reporter
    from maskgrid.mask_grid import MaskGrid
    from maskgrid.result.forks import Forks
    from maskgrid.sampling import ForkLatents, Progress

__all__ = ["load", "make_and_save", "quieten_libraries"]


_LOADING = ("device", "dtype", "revision", "loras", "offload", "vae_tiling")
"""Options that `MaskGrid.load` takes under the same names."""


def load(options: argparse.Namespace, model: str, recorded: Mapping[str, Any] | None = None) -> MaskGrid:
    """Load a `MaskGrid` for the command line.

    Args:
        options: Of the command line; what they say goes before what is recorded.
        model: Its name.
        recorded: How a manifest's model was loaded.
    """
    from maskgrid.bundled_model import BUNDLED, bundled_folder

    if model == BUNDLED:
        # Says so before torch is imported.
        bundled_folder()
    if is_wordy(options):
        print(f"loading {model}", file=sys.stderr, flush=True)
    # By way of the package, which says what to install where torch is missing.
    from maskgrid import MaskGrid

    with contextlib.suppress(ImportError):
        quieten_libraries()
    given = {name: getattr(options, name) for name in _LOADING if getattr(options, name) is not None}
    return MaskGrid.load(**{**(recorded or {}), **given, "model": model})


def quieten_libraries() -> None:
    """Keep the libraries' notes, bars and retries off the terminal."""
    import diffusers.utils.logging
    import transformers.utils.logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    disable_progress_bars()
    for name in ("torch", "huggingface_hub", "httpx", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


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
        The exit code: 0, or 128 and the number of a signal that ended it.

    Raises:
        Exception: What went wrong, after what was finished is saved.
    """
    start = time.monotonic()
    report = _reporter(options, maker, settings)
    told: dict[str, Any] = {"callback": report, "decode_callback": report.decoded}
    try:
        forks = (
            maker(**told, **settings) if changes is None else maker.again(options.manifest, **told, **changes)
        )
    except BaseException as stop:
        report.close()
        code = exit_code(stop) if isinstance(stop, KeyboardInterrupt) else None
        finished, latents = getattr(stop, "result", None), getattr(stop, "latents", None)
        if finished is None and latents is None and code is None:
            raise
        code = _save(options, finished, latents, start=start, interrupted=code)
        if not isinstance(stop, KeyboardInterrupt):
            raise
        return code
    report.close()
    return _save(options, forks, start=start)


def _reporter(options: argparse.Namespace, maker: MaskGrid, settings: dict[str, Any]) -> Reporter:
    """The callback of a run; with `--preview` it writes preview.png beside the output folder."""
    from maskgrid.cli.progress_line import Reporter
    from maskgrid.result.picture_file import PreviewFile

    file = PreviewFile(options.out)

    def preview(progress: Progress) -> None:
        file.write(maker.preview(progress))

    return Reporter(settings, preview=preview if options.preview else None, quiet=not is_wordy(options))


def _save(
    options: argparse.Namespace,
    forks: Forks | None,
    latents: ForkLatents | None = None,
    *,
    start: float,
    interrupted: int | None = None,
) -> int:
    """Save what was finished and say where; returns the exit code."""
    from maskgrid.result.save_finished import save_finished

    saved = save_finished(forks, options.out, latents=latents, force=options.force)
    words, _is_flag = name_flags(saved.words, options)
    code = interrupted if saved.signal is None else 128 + saved.signal
    seconds = time.monotonic() - start
    facts = {"folder": saved.path, "seconds": round(seconds, 3), "exit_code": code or 0, **_facts(saved.path)}
    if code is None and forks is not None:
        give_result(options, f"{words} in {seconds:.1f} s", **facts)
        return 0
    print(f"maskgrid: {'interrupted; ' if code else ''}{words}", file=sys.stderr, flush=True)
    if code is not None:
        give_result(options, "", **facts)
    return code or 0


def _facts(folder: Path | None) -> dict[str, Any]:
    """What the manifest of a folder says of its forks."""
    from maskgrid.result.manifest import MANIFEST

    if folder is None:
        return {"forks": []}
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return {name: manifest.get(name) for name in ("merged", "contact", "forks", "latents")}
