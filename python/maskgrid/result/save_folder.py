"""An output folder written: a picture for each fork, those of all together, sheet, stencils and manifest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from maskgrid.errors import InvalidTypeError, MaskGridError, OutputExistsError, in_one_line
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.stencil_picture import stencil_picture
from maskgrid.pictures.write_image import save_image
from maskgrid.result.fork_records import ForkRecord, RunRecord, plain_settings
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.manifest import (
    MANIFEST,
    ForkEntry,
    LatentsEntry,
    Manifest,
    RunEntry,
    json_text,
)
from maskgrid.result.output_place import check_output, names_of_ours
from maskgrid.result.replace_files import write_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid
    from maskgrid.sampling import ForkLatents

__all__ = ["LATENTS", "SavedForks", "latents_entry", "save_folder", "save_latents", "write_output"]

LATENTS = "latents.safetensors"
_ALPHA = "alpha.npy"


class SavedForks(Protocol):
    """What is read of `maskgrid.Forks` when they are saved."""

    @property
    def original(self) -> Image:
        """The sheet of the forks that a folder is saved of."""

    @property
    def grid(self) -> Grid:
        """Where the cells lie of the forks that a folder is saved of."""

    @property
    def records(self) -> Sequence[ForkRecord]:
        """What made each fork that is saved in the folder."""

    @property
    def tint(self) -> NDArray[np.float32]:
        """(1 or n, h, w): how much of each new cell shows."""

    def merged(self) -> Image:
        """The merged sheet that the folder gets."""

    def contact_sheet(self) -> Image:
        """The contact sheet that the folder gets."""

    def __iter__(self) -> Iterator[Image]: ...

    def __len__(self) -> int: ...


def save_folder(
    forks: SavedForks,
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    latents: ForkLatents | None = None,
    forgiving: bool = False,
) -> Path:
    """Save forks as an output folder, which appears as a whole or not at all.

    Args:
        forks: The forks.
        folder: Its place.
        force: Replace an output folder that is there.
        latents: Further forks of the same run, of which there are no pictures.
        forgiving: Save the rest where the settings, `merged.png` or `contact.png` can't be had.

    Returns:
        The folder.

    Raises:
        InvalidTypeError: Settings that JSON can't have.
        OutputExistsError: See `check_output`, as for the next one.
        MaskGridError: There are no forks, or the folder can't be written.
    """
    if not len(forks) and latents is None:
        raise MaskGridError(
            "there are no forks to save; the stencil is empty or the run stopped before the first one"
        )
    return write_output(folder, lambda draft: _Writer(draft, forgiving).write(forks, latents), force=force)


def write_output(
    folder: str | os.PathLike[str], fill: Callable[[Path], None], *, force: bool = False
) -> Path:
    """Write an output folder, whatever is in it; Ctrl-C waits until it is in its place.

    Args:
        folder: Its place.
        fill: Writes the files, among them a manifest that lists them, into the path it is given.
        force: Replace an output folder that is there.

    Returns:
        The folder.

    Raises:
        OutputExistsError: See `check_output`, as for the next one.
        MaskGridError: It can't be written; what was there is as it was.
    """
    target = check_output(folder, force=force)
    with hold_interrupts():
        try:
            write_folder(target, fill, names_of_ours, replace=force)
        except OutputExistsError:
            raise
        except OSError as error:
            raise MaskGridError(f"{target} can't be written ({in_one_line(error)})") from error
    return target


class _Writer:
    """Writes the files of forks into an empty folder.

    Args:
        folder: The folder.
        forgiving: See `save_folder`.
    """

    def __init__(self, folder: Path, forgiving: bool) -> None:
        self.folder = folder
        self.forgiving = forgiving
        self.runs: list[RunRecord] = []
        self.entries: list[RunEntry] = []
        self.stencils: list[tuple[NDArray[Any], str]] = []

    def write(self, forks: SavedForks, latents: ForkLatents | None) -> None:
        entries = []
        for index, record in enumerate(forks.records):
            row, column = forks.grid.position(record.cell)
            file = f"fork_{index:03d}_r{row}_c{column}.png"
            run = self.run(record.run, forks.grid)
            entries.append(ForkEntry(file, record.cell, run, record.number, record.variant))
        manifest = Manifest(
            grid=forks.grid,
            image="original.png",
            alpha=_ALPHA if entries else None,
            merged="merged.png" if entries else None,
            contact="contact.png" if entries else None,
            runs=tuple(self.entries),
            forks=tuple(entries),
            latents=latents_entry(latents),
        )
        manifest.to_json()
        self.pictures(forks, manifest)
        if entries:
            np.save(self.folder / _ALPHA, _one_if_same(forks.tint), allow_pickle=False)
            manifest = self.overviews(forks, manifest)
        if latents is not None:
            save_latents(latents, self.folder)
        (self.folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")

    def pictures(self, forks: SavedForks, manifest: Manifest) -> None:
        save_image(forks.original, self.folder / "original.png", "PNG")
        for index, image in enumerate(forks):
            entry = manifest.forks[index]
            told = {**manifest.runs[entry.run].settings, **manifest.fork_fields(index)}
            save_image(image, self.folder / entry.file, "PNG", text=json_text(told))

    def overviews(self, forks: SavedForks, manifest: Manifest) -> Manifest:
        """Save the pictures of all forks together; the manifest, less those that could not be made."""
        made: dict[str, str] = {}
        shared = json_text(manifest.runs[0].settings) if len(manifest.runs) == 1 else ""
        for name, make in (("merged", forks.merged), ("contact", forks.contact_sheet)):
            try:
                save_image(make(), self.folder / f"{name}.png", "PNG", text=shared)
            # Out of memory, or a font that can't be read: no reason to lose the forks.
            except Exception as error:
                if isinstance(error, OSError) or not self.forgiving:
                    raise
                (self.folder / f"{name}.png").unlink(missing_ok=True)
            else:
                made[name] = f"{name}.png"
        return replace(manifest, merged=made.get("merged"), contact=made.get("contact"))

    def run(self, run: RunRecord, grid: Grid) -> int:
        """The number of a run in the manifest; runs with the same settings and stencil are one."""
        for number, known in enumerate(self.runs):
            if run is known:
                return number
        settings = plain_settings(run.settings) if self.forgiving else dict(run.settings)
        entry = RunEntry(settings, self.stencil(run.stencil, grid))
        text = json_text(entry.settings)
        for number, same in enumerate(self.entries):
            if same.stencil == entry.stencil and json_text(same.settings) == text:
                return number
        self.runs.append(run)
        self.entries.append(entry)
        return len(self.runs) - 1

    def stencil(self, stencil: NDArray[Any] | None, grid: Grid) -> str | None:
        """The stencil's file, from which just this stencil is read."""
        if stencil is None:
            return None
        for known, name in self.stencils:
            if known is stencil or (known.dtype == stencil.dtype and np.array_equal(known, stencil)):
                return name
        pixels = stencil_picture(stencil, grid)
        number = f"_{len(self.stencils)}" if self.stencils else ""
        name = f"stencil{number}.{'npy' if pixels is None else 'png'}"
        if pixels is None:
            np.save(self.folder / name, stencil, allow_pickle=False)
        else:
            save_image(to_pil(pixels), self.folder / name, "PNG")
        self.stencils.append((stencil, name))
        return name


def save_latents(latents: ForkLatents, folder: Path) -> None:
    """Save latents in a folder; without what carrying on needs where no file can hold that."""
    try:
        latents.save(folder / LATENTS)
    except InvalidTypeError:
        replace(latents, state=None).save(folder / LATENTS)


def latents_entry(latents: ForkLatents | None) -> LatentsEntry | None:
    """What the manifest says of a file of latents."""
    return None if latents is None else LatentsEntry(LATENTS, latents.cells, latents.numbers)


def _one_if_same(tint: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much shows of new cells, as one (1, h, w) where all are the same."""
    is_same = len(tint) == 1 or tint.strides[0] == 0 or bool((tint == tint[:1]).all())
    return np.ascontiguousarray(tint[:1] if is_same else tint)
