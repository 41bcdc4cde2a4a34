"""The output folder of forks: which files are in it, how they are written, and read without trust."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from maskgrid.errors import InvalidTypeError, MaskGridError, OutputExistsError, in_one_line
from maskgrid.pictures.images import read_image, read_stencil, to_pil
from maskgrid.pictures.stencils import fit_stencil, stencil_picture
from maskgrid.result.fork_records import ForkRecord, RunRecord, plain_settings, records_of_run
from maskgrid.result.hold_interrupts import hold_interrupts
from maskgrid.result.manifest import (
    MANIFEST,
    ForkEntry,
    LatentsEntry,
    Manifest,
    RunEntry,
    json_text,
    read_manifest,
)
from maskgrid.result.output_place import check_output, names_of_ours
from maskgrid.result.picture_file import save_png
from maskgrid.result.replace_files import write_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid
    from maskgrid.sampling import ForkLatents

__all__ = ["LATENTS", "LoadedFolder", "SavedForks", "load_folder", "save_folder", "write_output"]

LATENTS = "latents.safetensors"
_ALPHA = "alpha.npy"


class SavedForks(Protocol):
    """What is read of `maskgrid.Forks` when they are saved."""

    @property
    def original(self) -> Image:
        """The sheet."""

    @property
    def grid(self) -> Grid:
        """Where the cells lie."""

    @property
    def records(self) -> Sequence[ForkRecord]:
        """What made each fork."""

    @property
    def tint(self) -> NDArray[np.float32]:
        """(1 or n, h, w): how much of each new cell shows."""

    def merged(self) -> Image:
        """Every new cell in one sheet."""

    def contact_sheet(self) -> Image:
        """Before, stencil and after."""

    def __iter__(self) -> Iterator[Image]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """What an output folder holds, in memory.

    Attributes:
        original: (H, W, C) uint8, the sheet.
        patches: (n, h, w, C) uint8, the cell of each fork as its picture has it.
        grid: Where the cells lie.
        records: What made each fork.
        tint: (1 or n, h, w) float32 in [0, 1]: how much of each new cell shows.
    """

    original: NDArray[np.uint8]
    patches: NDArray[np.uint8]
    grid: Grid
    records: tuple[ForkRecord, ...]
    tint: NDArray[np.float32]


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


def load_folder(folder: str | os.PathLike[str]) -> LoadedFolder:
    """Read an output folder.

    Args:
        folder: The folder, or its manifest.

    Raises:
        MaskGridError: No such folder, or files that don't fit its manifest; the message names them.
    """
    manifest, path = read_manifest(folder), Path(folder).expanduser()
    path = path if path.is_dir() else path.parent
    if manifest.grid is None or manifest.image is None:
        raise MaskGridError(
            f"{path} holds latents and no pictures; allowed: maskgrid.sampling.ForkLatents.load of {LATENTS}"
        )
    reader = _Reader(path, manifest.grid)
    original = reader.picture(manifest.image)
    patches = [reader.patch(entry, original) for entry in manifest.forks]
    runs = [RunRecord(run.settings, reader.stencil(run.stencil)) for run in manifest.runs]
    records: list[ForkRecord] = []
    for entry in manifest.forks:
        records += records_of_run(runs[entry.run], [entry.cell], manifest.grid, [entry.number])
    shape = (0, *manifest.grid.cell, original.shape[2])
    return LoadedFolder(
        original=original,
        patches=np.stack(patches) if patches else np.empty(shape, np.uint8),
        grid=manifest.grid,
        records=tuple(records),
        tint=reader.tint(manifest, records),
    )


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
            entries.append(ForkEntry(file, record.cell, self.run(record.run, forks.grid), record.number))
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
        save_png(forks.original, self.folder / "original.png", {})
        for index, image in enumerate(forks):
            entry = manifest.forks[index]
            told = {**manifest.runs[entry.run].settings, **manifest.fork_fields(index)}
            save_png(image, self.folder / entry.file, told)

    def overviews(self, forks: SavedForks, manifest: Manifest) -> Manifest:
        """Save the pictures of all forks together; the manifest, less those that could not be made."""
        made: dict[str, str] = {}
        shared = manifest.runs[0].settings if len(manifest.runs) == 1 else {}
        for name, make in (("merged", forks.merged), ("contact", forks.contact_sheet)):
            try:
                save_png(make(), self.folder / f"{name}.png", shared)
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
            save_png(to_pil(pixels), self.folder / name, {})
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
    """(1, h, w) where all are the same."""
    is_same = len(tint) == 1 or tint.strides[0] == 0 or bool((tint == tint[:1]).all())
    return np.ascontiguousarray(tint[:1] if is_same else tint)


@dataclass
class _Reader:
    """Reads files of a folder that may come from anybody.

    Attributes:
        folder: The folder.
        grid: What its manifest says of the cells.
        stencils: Those that were read.
    """

    folder: Path
    grid: Grid
    stencils: dict[str, NDArray[Any]] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """The path of a plain file in the folder; a link may not lead out of it."""
        path = self.folder / name
        try:
            inside = path.resolve(strict=True).is_relative_to(self.folder.resolve(strict=True))
            if not inside or not path.is_file():
                raise MaskGridError(f"{path} is no plain file in its folder; allowed: what maskgrid wrote")
        except (OSError, RuntimeError) as error:
            raise MaskGridError(f"{path} can't be read ({in_one_line(error)})") from error
        return path

    def picture(self, name: str) -> NDArray[np.uint8]:
        path = self.file(name)
        pixels: NDArray[np.uint8] = _unless_broken(lambda: read_image(path), path)
        if pixels.shape[:2] != tuple(self.grid.canvas):
            raise MaskGridError(
                f"{path} is {pixels.shape[0]} x {pixels.shape[1]} px (height x width); "
                f"allowed: the manifest's {self.grid.canvas.height} x {self.grid.canvas.width}"
            )
        return pixels

    def patch(self, entry: ForkEntry, original: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The cell of a fork, cut from its picture."""
        pixels = self.picture(entry.file)
        if pixels.shape != original.shape:
            raise MaskGridError(
                f"{self.folder / entry.file} has {pixels.shape[2]} channels; "
                f"allowed: those of its sheet, {original.shape[2]}"
            )
        return pixels[self.grid.cell_rect(entry.cell).slices].copy()

    def stencil(self, name: str | None) -> NDArray[Any] | None:
        if name is None:
            return None
        if name not in self.stencils:
            path = self.file(name)
            read: Callable[[], Any] = lambda: _array(path) if path.suffix == ".npy" else read_stencil(path)  # noqa: E731
            self.stencils[name] = _unless_broken(lambda: fit_stencil(read(), self.grid), path)
        return self.stencils[name]

    def tint(self, manifest: Manifest, records: Sequence[ForkRecord]) -> NDArray[np.float32]:
        """How much of each new cell shows; where no file says it, as much as its stencil."""
        if manifest.alpha is not None:
            path = self.file(manifest.alpha)
            tint: NDArray[np.float32] = _unless_broken(lambda: _array(path), path)
            shapes = {(count, *self.grid.cell) for count in (1, len(records))}
            if tint.dtype != np.float32 or tint.shape not in shapes or not ((tint >= 0) & (tint <= 1)).all():
                raise MaskGridError(f"{path} is damaged; allowed: float32 from 0 to 1, a cell or one each")
            return tint
        tint = np.ones((len(records), *self.grid.cell), np.float32)
        for each, record in zip(tint, records, strict=True):
            if record.run.stencil is not None:
                each[...] = _share(record.run.stencil, record.cell)
        return tint


def _share(stencil: NDArray[Any], cell: int) -> NDArray[np.float32]:
    """A cell's stencil as floats in [0, 1]."""
    values = stencil[..., 0] if stencil.ndim == 4 else stencil
    if values.ndim == 3:
        values = values[cell % len(values)]
    share: NDArray[np.float32] = values.astype(np.float32) / np.float32(
        255 if values.dtype == np.uint8 else 1
    )
    return share.clip(0, 1)


def _array(path: Path) -> NDArray[Any]:
    """An array of numbers from a .npy file."""
    # Mapped, so that a header that promises more than the file holds asks for no memory.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def _unless_broken(read: Callable[[], Any], path: Path) -> Any:
    try:
        return read()
    except MaskGridError:
        raise
    # Readers of pictures raise nearly anything for a broken file: SyntaxError, struct.error, MemoryError.
    except Exception as error:
        raise MaskGridError(f"{path} can't be read ({type(error).__name__}: {in_one_line(error)})") from error
