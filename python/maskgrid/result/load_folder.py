"""An output folder read without trust: sheet, forks, stencils, and what made each fork."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import MaskGridError, in_one_line
from maskgrid.pictures.fit_stencil import fit_stencil
from maskgrid.pictures.read_mask import read_mask
from maskgrid.pictures.read_sheet import read_sheet
from maskgrid.result.fork_records import ForkRecord, RunRecord, records_of_run
from maskgrid.result.read_manifest import read_manifest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from maskgrid.geometry import Grid
    from maskgrid.pictures.sheet import Sheet
    from maskgrid.result.manifest import ForkEntry, Manifest

__all__ = ["LoadedFolder", "load_folder"]


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """What an output folder holds, in memory.

    Attributes:
        original: (H, W, C) uint8, the sheet.
        patches: (n, h, w, C) uint8, the cell of each fork as its picture has it.
        grid: Where the cells lie.
        records: What made each fork.
        tint: (1 or n, h, w) float32 in [0, 1]: how much of each new cell shows.
        save_options: The sheet's colour profile and resolution.
    """

    original: NDArray[np.uint8]
    patches: NDArray[np.uint8]
    grid: Grid
    records: tuple[ForkRecord, ...]
    tint: NDArray[np.float32]
    save_options: dict[str, Any]


def load_folder(folder: str | os.PathLike[str], *, max_pixels: int | None = None) -> LoadedFolder:
    """Load an output folder: sheet, forks, stencils, and what made each fork.

    Args:
        folder: The folder, or its manifest.
        max_pixels: The most pixels of a picture that are decoded; default Pillow's own guard.

    Raises:
        MaskGridError: No such folder, or files that don't fit its manifest; the message names them.
    """
    manifest, path = read_manifest(folder), Path(folder).expanduser()
    path = path if path.is_dir() else path.parent
    if manifest.grid is None or manifest.image is None:
        name = manifest.latents.file if manifest.latents else "no file"
        raise MaskGridError(
            f"{path} holds latents and no pictures; allowed: maskgrid.sampling.ForkLatents.load of {name}"
        )
    reader = _Reader(path, manifest.grid, max_pixels)
    sheet = reader.picture(manifest.image)
    original = sheet.pixels
    patches = [reader.patch(entry, original) for entry in manifest.forks]
    runs = [RunRecord(run.settings, reader.stencil(run.stencil)) for run in manifest.runs]
    records: list[ForkRecord] = []
    for entry in manifest.forks:
        records += records_of_run(
            runs[entry.run], [entry.cell], manifest.grid, [entry.number], [entry.variant]
        )
    shape = (0, *manifest.grid.cell, original.shape[2])
    return LoadedFolder(
        original=original,
        patches=np.stack(patches) if patches else np.empty(shape, np.uint8),
        grid=manifest.grid,
        records=tuple(records),
        tint=reader.tint(manifest, records),
        save_options=sheet.save_options,
    )


@dataclass
class _Reader:
    """Reads files of a folder that may come from anybody.

    Attributes:
        folder: The folder.
        grid: What its manifest says of the cells.
        max_pixels: The most pixels of a picture that are decoded.
        stencils: Those that were read.
    """

    folder: Path
    grid: Grid
    max_pixels: int | None
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

    def picture(self, name: str) -> Sheet:
        path = self.file(name)
        sheet: Sheet = _unless_broken(lambda: read_sheet(path, max_pixels=self.max_pixels), path)
        pixels = sheet.pixels
        if pixels.shape[:2] != tuple(self.grid.canvas):
            raise MaskGridError(
                f"{path} is {pixels.shape[0]} x {pixels.shape[1]} px (height x width); "
                f"allowed: the manifest's {self.grid.canvas.height} x {self.grid.canvas.width}"
            )
        return sheet

    def mask(self, path: Path) -> NDArray[Any]:
        mask: NDArray[Any] = read_mask(path, channel="luminance", max_pixels=self.max_pixels).values
        return mask

    def patch(self, entry: ForkEntry, original: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The cell of a fork, cut from its picture."""
        pixels = self.picture(entry.file).pixels
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
            read: Callable[[], Any] = lambda: _array(path) if path.suffix == ".npy" else self.mask(path)  # noqa: E731
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
    """An array of numbers from a .npy file of the folder."""
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
