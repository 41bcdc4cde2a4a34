"""Manifests read without trust: they may come from anybody, so every field is looked at before it is used."""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from maskgrid._native import Grid
from maskgrid.errors import MaskGridError, in_one_line
from maskgrid.result.fork_records import MOST_VARIANTS
from maskgrid.result.manifest import (
    FORMAT,
    GRID_PAIRS,
    MANIFEST,
    ForkEntry,
    LatentsEntry,
    Manifest,
    RunEntry,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["read_manifest"]

_LARGEST = 64 * 2**20
_DEEPEST = 32
_FORBIDDEN = frozenset({"image", "mask", "callback", "decode_callback", "pipe_kwargs"})
"""Arguments that no settings hold: the folder's own files and whoever repeats the run give them.

The pipeline's own arguments lie beside ours."""
_LOADED_AS = ("model", "device", "dtype", "revision", "offload")
"""What `MaskGrid.load` was told in words."""
# Names of devices, which Windows opens in place of a file, whatever their ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """A manifest, every field of which was looked at.

    Args:
        path: The file, or the folder it lies in.

    Raises:
        MaskGridError: No such file, no JSON, the manifest of another program or a later version, or one with
            fields that can't be; the message names the field.
    """
    file = Path(path).expanduser()
    file = file / MANIFEST if file.is_dir() else file
    fields = _read_json(file)
    version = fields.get("maskgrid_manifest") if isinstance(fields, dict) else None
    if isinstance(version, bool) or version not in (1, FORMAT):
        raise MaskGridError(
            f"{file} is no manifest of maskgrid; allowed: one with maskgrid_manifest 1 or {FORMAT}"
        )
    reader = _Reader(file)
    return reader.first_format(fields) if version == 1 else reader.second_format(fields)


def _read_json(file: Path) -> Any:
    try:
        # Reading a pipe or a device would never end.
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise ValueError(f"no plain file, or one of more than {_LARGEST} bytes")
        return json.loads(file.read_text(encoding="utf-8-sig"), parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise MaskGridError(f"{file} can't be read as a manifest ({in_one_line(error)})") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.20} is no number that can be held")
    return number


class _Reader:
    """Takes fields from JSON and says which one is wrong.

    Args:
        file: Where the JSON was.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def first_format(self, fields: dict[str, Any]) -> Manifest:
        """A manifest of format 1: one run, its forks numbered as they lie in the folder."""
        settings = self.settings(self.take(fields, "settings", dict), "settings")
        stencil = self.name(fields.get("stencil"), "stencil")
        grid = self.grid(self.take(fields, "grid", dict))
        forks = []
        for index, entry in enumerate(self.take(fields, "forks", list)):
            where = f"forks[{index}]"
            cell = self.number(entry, "cell", len(grid), where)
            if (entry.get("row"), entry.get("column")) != grid.position(cell):
                self.refuse(f"{where}: row and column", f"those of cell {cell}")
            forks.append(ForkEntry(self.read_name(entry, "file", where), cell, 0, None))
        return self.check_names(
            Manifest(
                grid=grid,
                image=self.read_name(fields, "image"),
                merged="merged.png",
                contact="contact.png",
                runs=(RunEntry(settings, stencil),),
                forks=tuple(forks),
            )
        )

    def second_format(self, fields: dict[str, Any]) -> Manifest:
        """Read the text of a manifest of format 2."""
        self.take(fields, "version", str)
        grid = None if fields.get("grid") is None else self.grid(self.take(fields, "grid", dict))
        runs = []
        for index, run in enumerate(self.take(fields, "runs", list)):
            where = f"runs[{index}]"
            stencil = self.name(self.read(run, "stencil", where), f"{where}.stencil")
            runs.append(RunEntry(self.settings(self.take(run, "settings", dict, where), where), stencil))
        names = {
            name: self.name(self.read(fields, name), name) for name in ("image", "alpha", "merged", "contact")
        }
        entries = self.take(fields, "forks", list)
        if (grid is None) != (names["image"] is None) or (grid is None and entries):
            self.refuse("grid and image", "both, or none where there are no forks")
        forks = [self.fork(entry, index, grid, len(runs)) for index, entry in enumerate(entries) if grid]
        manifest = self.check_names(
            Manifest(grid=grid, runs=tuple(runs), forks=tuple(forks), latents=self.latents(fields), **names)
        )
        for index, entry in enumerate(entries):
            if not _is_same(entry, manifest.fork_fields(index)):
                self.refuse(f"forks[{index}]", "what its run, its number and its cell say")
        return manifest

    def fork(self, entry: Any, index: int, grid: Grid, runs: int) -> ForkEntry:
        where = f"forks[{index}]"
        number = self.read(entry, "number", where)
        most = len(grid) * MOST_VARIANTS
        return ForkEntry(
            file=self.read_name(entry, "file", where),
            cell=self.number(entry, "cell", len(grid), where),
            run=self.number(entry, "run", runs, where),
            number=None if number is None else self.number(entry, "number", most, where),
            variant=self.number(entry, "variant", MOST_VARIANTS, where) if "variant" in entry else 0,
        )

    def latents(self, fields: dict[str, Any]) -> LatentsEntry | None:
        if "latents" not in fields:
            return None
        entry = self.take(fields, "latents", dict)
        lists = {}
        for name in ("cells", "numbers"):
            values = self.take(entry, name, list, "latents")
            if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
                self.refuse(f"latents.{name}", "whole numbers")
            lists[name] = tuple(values)
        if len(lists["cells"]) != len(lists["numbers"]):
            self.refuse("latents", "as many cells as numbers")
        return LatentsEntry(self.read_name(entry, "file", "latents"), **lists)

    def check_names(self, manifest: Manifest) -> Manifest:
        """The manifest, if no two of its files have one name, whether in upper or lower case."""
        runs = {run.stencil for run in manifest.runs if run.stencil is not None}
        named = [manifest.image, manifest.alpha, manifest.merged, manifest.contact, *runs]
        named += [fork.file for fork in manifest.forks]
        named += [manifest.latents.file if manifest.latents else None, MANIFEST]
        files = [name.casefold() for name in named if name is not None]
        if len(set(files)) != len(files):
            self.refuse("the files", "each with a name of its own")
        return manifest

    def settings(self, settings: dict[str, Any], where: str) -> dict[str, Any]:
        wrong = sorted(_FORBIDDEN & set(settings))
        if wrong:
            self.refuse(f"{where}: {', '.join(wrong)}", "settings without it")
        if _depth(settings) > _DEEPEST:
            self.refuse(where, f"lists in lists, {_DEEPEST} deep")
        lost = settings.get("not_recorded", [])
        if not isinstance(lost, list) or not all(isinstance(name, str) for name in lost):
            self.refuse(f"{where}: not_recorded", "a list of names")
        self.pipeline(settings.get("pipeline", {}), where)
        return settings

    def pipeline(self, source: Any, where: str) -> None:
        place = f"{where}: pipeline"
        if not isinstance(source, dict) or not set(source) <= {*_LOADED_AS, "loras", "vae_tiling"}:
            self.refuse(place, f"{', '.join(_LOADED_AS)}, loras and vae_tiling")
        if not all(isinstance(source.get(name), str | None) for name in _LOADED_AS):
            self.refuse(place, f"{', '.join(_LOADED_AS)}, each a text or null")
        if source and not source.get("model"):
            self.refuse(place, "a model")
        if not isinstance(source.get("vae_tiling", False), bool):
            self.refuse(f"{place}: vae_tiling", "true or false")
        loras = source.get("loras", [])
        if not isinstance(loras, list) or not all(map(_is_lora, loras)):
            self.refuse(f"{place}: loras", "a list, each with path, weight and sha256")

    def grid(self, fields: dict[str, Any]) -> Grid:
        try:
            grid = Grid(**fields)
        except (MaskGridError, TypeError, ValueError, OverflowError) as error:
            self.refuse(f"grid ({in_one_line(error)})", "a grid")
        pairs = {name: list(getattr(grid, name)) for name in GRID_PAIRS}
        if fields != {"rows": grid.rows, "columns": grid.columns, **pairs, "stride": grid.stride}:
            self.refuse("grid", "rows, columns, cell, canvas, gap, margin and stride")
        return grid

    def name(self, value: Any, where: str) -> str | None:
        """The plain name of a file in the folder itself, or None."""
        if value is not None and not _is_plain_name(value):
            self.refuse(f"{where} {value!r:.80}", "the plain name of a file in the folder")
        name: str | None = value
        return name

    def read_name(self, fields: Any, key: str, where: str = "") -> str:
        name = self.name(self.take(fields, key, str, where), f"{where}.{key}".lstrip("."))
        return name if name is not None else self.refuse(key, "a name")

    def number(self, fields: Any, key: str, count: int, where: str) -> int:
        value = self.take(fields, key, int, where)
        if not 0 <= value < count:
            self.refuse(f"{where}.{key} {value!r:.40}", f"0 to {count - 1}")
        number: int = value
        return number

    def take(self, fields: Any, key: str, kind: type, where: str = "") -> Any:
        value = self.read(fields, key, where)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(f"{where}.{key}".lstrip("."), _KINDS[kind])
        return value

    def read(self, fields: Any, key: str, where: str = "") -> Any:
        if not isinstance(fields, dict) or key not in fields:
            self.refuse(f"{where}.{key}".lstrip("."), "a value")
        return fields[key]

    def refuse(self, what: str, allowed: str) -> NoReturn:
        raise MaskGridError(f"{self.file} is damaged: {what}; allowed: {allowed}")


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def _is_lora(entry: Any) -> bool:
    """Whether this is what `MaskGrid.load` writes down of a LoRA."""
    if not isinstance(entry, dict) or set(entry) != {"path", "weight", "sha256"}:
        return False
    is_number = isinstance(entry["weight"], int | float) and not isinstance(entry["weight"], bool)
    digest = entry["sha256"]
    is_digest = isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
    return is_number and isinstance(entry["path"], str) and bool(is_digest)


def _is_plain_name(name: Any) -> bool:
    """Whether a text is the name of a file and nothing else on every system."""
    if not isinstance(name, str) or not 0 < len(name) <= 255 or name != name.strip(" ."):
        return False
    if any(character in '/\\:*?"<>|' or not character.isprintable() for character in name):
        return False
    return not name.startswith(".") and _DEVICE.fullmatch(name) is None


def _is_same(given: Any, expected: Mapping[str, Any]) -> bool:
    """Whether an object of JSON is as expected, numbers and truth values kept apart."""
    return isinstance(given, dict) and json.dumps(given, sort_keys=True) == json.dumps(
        expected, sort_keys=True
    )


def _depth(value: Any) -> int:
    """How deep lists and objects of JSON lie in each other."""
    deep, layer = 0, [value]
    while layer:
        lists = [each for each in layer if isinstance(each, list | dict)]
        deep += bool(lists)
        layer = [item for each in lists for item in (each.values() if isinstance(each, dict) else each)]
    return deep
