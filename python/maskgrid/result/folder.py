"""The output folder: pictures and a manifest, written as a whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid._native import __version__
from maskgrid.errors import InvalidTypeError, MaskGridError, OutputExistsError
from maskgrid.geometry import Grid
from maskgrid.pictures.local_path import local_path
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.read_sheet import read_image, read_sheet
from maskgrid.pictures.stencil_picture import stencil_picture
from maskgrid.pictures.write_image import format_of, save_image
from maskgrid.result.forks import Forks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PIL.Image import Image

__all__ = [
    "MANIFEST",
    "check_folder_is_free",
    "load_forks",
    "read_manifest",
    "save_forks",
    "write_folder",
    "write_picture",
]

MANIFEST = "manifest.json"
_FORMAT = 1


def save_forks(forks: Forks, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
    """What `Forks.save` does; see there."""
    if not len(forks):
        raise MaskGridError(
            "there are no forks to save; the stencil is empty or the run stopped before the first one"
        )
    return write_folder(folder, lambda path: _fill(forks, path), force=force)


def load_forks(folder: str | os.PathLike[str]) -> Forks:
    """What `Forks.load` does; see there."""
    manifest, path = read_manifest(folder), Path(folder)
    path = path if path.is_dir() else path.parent
    try:
        grid = Grid(**manifest["grid"])
        names = [str(entry["file"]) for entry in manifest["forks"]]
        cells = [int(entry["cell"]) for entry in manifest["forks"]]
        image, settings = str(manifest["image"]), dict(manifest["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise MaskGridError(f"{path / MANIFEST} is damaged ({error!r})") from error
    sheet = read_sheet(path / image)
    original = sheet.pixels
    patches = np.empty((len(cells), *grid.cell, original.shape[2]), np.uint8)
    for patch, name, cell in zip(patches, names, cells, strict=True):
        pixels = read_image(path / name)
        if pixels.shape != original.shape:
            raise MaskGridError(f"{path / name} has shape {pixels.shape}, its sheet {original.shape}")
        patch[...] = pixels[grid.cell_rect(cell).slices]
    # The cells were cut from finished pictures, so they show as they are.
    alpha = np.ones((1, *grid.cell), np.float32)
    return Forks(original, patches, cells, grid, alpha, settings=settings, save_options=sheet.save_options)


def check_folder_is_free(folder: str | os.PathLike[str], *, force: bool) -> Path:
    """Whether a folder may be written.

    Returns:
        Its path.

    Raises:
        OutputExistsError: Something is there and `force` is False, or something that is no output folder.
    """
    target = Path(folder)
    if not os.path.lexists(target):
        return target
    if not force:
        raise OutputExistsError(
            f"{target} exists; allowed: a new folder, or force=True (--force) to replace it"
        )
    # A slip of the hand must not cost anybody a folder of other things.
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
        raise OutputExistsError(
            f"{target} is no folder of maskgrid's and is not replaced; "
            f"allowed with force: an empty folder, or one with a {MANIFEST}"
        )
    return target


def write_folder(
    folder: str | os.PathLike[str], fill: Callable[[Path], None], *, force: bool = False
) -> Path:
    """Makes a folder beside its place under a temporary name, fills it and moves it there.

    Args:
        folder: Its place.
        fill: Writes the files into the path it is given.
        force: Replace what is there.

    Returns:
        The folder.

    Raises:
        OutputExistsError: See `check_folder_is_free`.
    """
    target = check_folder_is_free(folder, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        fill(fresh)
        fresh.chmod(0o755)
        if target.exists():
            _exchange(target, fresh)
        else:
            fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def write_picture(
    image: Image,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a picture as a whole or not at all; the suffix decides its format.

    Args:
        image: The picture.
        path: Where to; see `maskgrid.pictures.write_image.SUFFIXES`.
        force: Replace a file that is there.
        settings: What goes into its metadata.

    Returns:
        The path.

    Raises:
        OutputExistsError: Something is there and `force` is False, or it is a folder.
        InvalidValueError: A URL, or a suffix that stands for no format.
    """
    target = local_path(path, "out")
    if os.path.lexists(target) and (not force or target.is_dir()):
        raise OutputExistsError(
            f"{target} exists; allowed: a new file, or force=True (--force) to replace a file"
        )
    kind = format_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    fresh = Path(name)
    try:
        _save(image, fresh, settings or {}, kind)
        fresh.chmod(0o644)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A manifest as it was written.

    Args:
        path: The file, or the folder it lies in.

    Raises:
        MaskGridError: No such file, no JSON, or the manifest of another program or a later version.
    """
    file = Path(path)
    file = file / MANIFEST if file.is_dir() else file
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MaskGridError(f"{file} can't be read as a manifest ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("maskgrid_manifest") != _FORMAT:
        raise MaskGridError(
            f"{file} is no manifest of maskgrid; allowed: one with maskgrid_manifest {_FORMAT}"
        )
    return manifest


def _exchange(target: Path, fresh: Path) -> None:
    """Put a folder in another's place; where that fails the other one is put back."""
    stale = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    try:
        target.replace(stale / target.name)
        try:
            fresh.replace(target)
        except BaseException:
            (stale / target.name).replace(target)
            raise
    finally:
        shutil.rmtree(stale, ignore_errors=True)


def _fill(forks: Forks, folder: Path) -> None:
    _save(forks.original, folder / "original.png", {})
    rows = []
    for index, image in enumerate(forks):
        row, column = forks.grid.position(forks.cells[index])
        name = f"fork_{index:03d}_r{row}_c{column}.png"
        entry = {"file": name, "fork": index, "cell": forks.cells[index], "row": row, "column": column}
        _save(image, folder / name, {**forks.settings, **entry})
        rows.append(entry)
    _save(forks.merged(), folder / "merged.png", forks.settings)
    _save(forks.contact_sheet(), folder / "contact.png", forks.settings)
    manifest = {
        "maskgrid_manifest": _FORMAT,
        "version": __version__,
        "image": "original.png",
        "stencil": _save_stencil(forks, folder),
        "grid": _grid_fields(forks.grid),
        "settings": forks.settings,
        "forks": rows,
    }
    (folder / MANIFEST).write_text(_json(manifest) + "\n", encoding="utf-8")


def _save_stencil(forks: Forks, folder: Path) -> str | None:
    """The stencil's file, from which just this stencil is read."""
    if forks.stencil is None:
        return None
    pixels = stencil_picture(forks.stencil, forks.grid)
    if pixels is None:
        np.save(folder / "stencil.npy", forks.stencil, allow_pickle=False)
        return "stencil.npy"
    _save(to_pil(pixels), folder / "stencil.png", {})
    return "stencil.png"


def _grid_fields(grid: Grid) -> dict[str, Any]:
    pairs = {name: list(getattr(grid, name)) for name in ("cell", "canvas", "gap", "margin")}
    return {"rows": grid.rows, "columns": grid.columns, **pairs, "stride": grid.stride}


def _save(image: Image, path: Path, settings: Mapping[str, Any], kind: str = "PNG") -> None:
    save_image(image, path, kind, text=_json(settings) if settings else "")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"the settings can't be written as JSON ({error}); allowed: text, numbers, lists"
        ) from error
