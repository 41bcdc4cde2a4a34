"""What was finished, saved whatever happens: elsewhere where its place can't be had, or latents alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from maskgrid.errors import MaskGridError, in_one_line
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.manifest import MANIFEST, Manifest
from maskgrid.result.output_place import check_output, local_folder
from maskgrid.result.replace_files import free_name
from maskgrid.result.save_folder import LATENTS, latents_entry, save_folder, save_latents, write_output

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from maskgrid.result.forks import Forks
    from maskgrid.sampling import ForkLatents

__all__ = ["Saved", "latents_without_picture", "save_finished"]


class Saved(NamedTuple):
    """What was saved of the finished forks.

    Attributes:
        path: The folder; None where nothing was finished.
        words: What to tell about it, in a line.
        signal: The number of a signal (Ctrl-C, SIGTERM) that came while it was saved and waits to be obeyed;
            None if none came.
    """

    path: Path | None
    words: str
    signal: int | None = None


def save_finished(
    forks: Forks | None,
    folder: str | os.PathLike[str],
    *,
    latents: ForkLatents | None = None,
    force: bool = False,
) -> Saved:
    """Save what a run finished, also where it ended early or its place can't be had any more.

    Where the folder can't be written (it appeared meanwhile, holds something of somebody's, the disk is full,
    there is no permission) it is saved beside it under a name that is free, or else in the folder one is in,
    or in that for temporary files. Forks of which there are latents and no picture are saved as latents.

    Args:
        forks: The forks that have pictures.
        folder: Where they were to be saved.
        latents: What was sampled, as `maskgrid.sampling.ForkLatents`; those of its forks that have no picture
            are saved.
        force: Replace an output folder that is there.

    Returns:
        Where, and what to tell. A Ctrl-C that came meanwhile is told there, not raised.

    Raises:
        MaskGridError: None of these places can be written.
    """
    with hold_interrupts() as held:
        latents = latents_without_picture(latents, forks)
        if forks is not None and not len(forks):
            forks = None
        if forks is None and latents is None:
            return Saved(None, "no fork was finished, nothing was written", held.take())
        path, reason = _save_somewhere(
            lambda place, replace: _save(forks, latents, place, replace), folder, force
        )
        return Saved(path, _words(forks, latents, path) + reason, held.take())


def latents_without_picture(latents: ForkLatents | None, forks: Forks | None) -> ForkLatents | None:
    """Those of the forks that were sampled in a run that are not among its forks with pictures."""
    if latents is None:
        return None
    # Forks that were joined know no latents; their numbers are not all of this run.
    shown = () if forks is None or forks.latents is None else forks.latents.numbers
    missing = [number for number in latents.numbers if number not in shown]
    return latents.pick(missing) if missing else None


def _save(forks: Forks | None, latents: ForkLatents | None, place: Path, force: bool) -> Path:
    if forks is not None:
        return save_folder(forks, place, force=force, latents=latents, forgiving=True)

    def fill(draft: Path) -> None:
        if latents is not None:
            save_latents(latents, draft)
        (draft / MANIFEST).write_text(Manifest(latents=latents_entry(latents)).to_json(), encoding="utf-8")

    return write_output(place, fill, force=force)


def _save_somewhere(
    save: Callable[[Path, bool], Path], folder: str | os.PathLike[str], force: bool
) -> tuple[Path, str]:
    """Save finished forks where that is possible: where, and why there."""
    failures: list[str] = []
    name = Path(folder).name or "forks"
    for place in (folder, folder, Path.cwd() / name, Path(tempfile.gettempdir()) / name):
        try:
            target = free_name(local_folder(place)) if failures else check_output(place, force=force)
            path = save(target, force and not failures)
        except (MaskGridError, OSError) as error:
            failures.append(in_one_line(error))
            continue
        return path, f"; not where it was to be: {failures[0]}" if failures else ""
    raise MaskGridError(f"what was finished could not be saved: {'; '.join(dict.fromkeys(failures))}")


def _words(forks: Forks | None, latents: ForkLatents | None, path: Path) -> str:
    parts = []
    if forks is not None:
        parts.append(f"{_count(len(forks))} in {path}, side by side in {path / 'contact.png'}")
    if latents is not None:
        parts.append(f"{_count(len(latents))} as latents, without pictures, in {path / LATENTS}")
    return "; ".join(parts)


def _count(number: int) -> str:
    return f"{number} fork{'s' * (number != 1)}"
