"""The runs that a manifest tells of, made again: their arguments, and just the forks of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError
from maskgrid.result.read_manifest import read_manifest
from maskgrid.result.save_finished import latents_without_picture

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from maskgrid.result.forks import Forks
    from maskgrid.result.manifest import ForkEntry
    from maskgrid.sampling import ForkLatents

__all__ = ["RecordedRun", "recorded_model", "recorded_runs", "repeat_runs"]

_PLACES = frozenset({"rows", "columns", "cell", "gap", "margin", "mask"})
"""Arguments that say where forks are: where they change, the folder's forks are not those of the new run."""


@dataclass(frozen=True)
class RecordedRun:
    """A call of `MaskGrid` that makes forks of a folder again.

    Attributes:
        arguments: Of `MaskGrid.__call__`.
        cells: The cells whose forks are in the folder; None for all that the run gives.
        places: Where in the folder each of these is.
    """

    arguments: dict[str, Any]
    cells: tuple[int, ...] | None
    places: tuple[int, ...]


def recorded_runs(manifest: str | os.PathLike[str], **changes: Any) -> list[RecordedRun]:
    """The runs that make the forks of a folder again, each once.

    Args:
        manifest: A `manifest.json`, or the folder it lies in.
        **changes: Arguments to use in place of the manifest's, in every run. Where they say where the cells
            lie or what may change, all forks of the new run are meant, else those of the folder.

    Raises:
        MaskGridError: No such manifest, one without forks or without a stencil, or of a run with arguments
            that no manifest can hold and that are not among the changes.
    """
    record, path = read_manifest(manifest), Path(manifest).expanduser()
    folder = path if path.is_dir() else path.parent
    of_runs: dict[int, list[tuple[int, ForkEntry]]] = {}
    for place, entry in enumerate(record.forks):
        of_runs.setdefault(entry.run, []).append((place, entry))
    if not of_runs or record.image is None:
        raise MaskGridError(f"{path} tells of no forks, so there is nothing to repeat")
    runs = []
    for number, entries in of_runs.items():
        run = record.runs[number]
        arguments = {**run.settings, **changes}
        arguments.pop("pipeline", None)
        missing = [name for name in arguments.pop("not_recorded", []) if name not in changes]
        if missing:
            raise MaskGridError(f"{path} can't hold {', '.join(missing)}; give them again to repeat the run")
        if run.stencil is None and "mask" not in changes:
            raise MaskGridError(f"{path} was written without a stencil, so its run can't be repeated")
        arguments.setdefault("image", folder / record.image)
        arguments.setdefault("mask", folder / str(run.stencil))
        cells = None if _PLACES & set(changes) else tuple(entry.cell for _, entry in entries)
        runs.append(RecordedRun(arguments, cells, tuple(place for place, _ in entries)))
    return runs


def recorded_model(manifest: str | os.PathLike[str]) -> dict[str, Any]:
    """The model that a manifest's forks were made with, as arguments of `MaskGrid.load`.

    Returns:
        "model", "device" and "dtype", and what else was given; empty where the manifest names no model.

    Raises:
        MaskGridError: No such manifest, or forks of several models.
    """
    record = read_manifest(manifest)
    sources = [record.runs[number].settings.get("pipeline", {}) for number in _find_used_runs(record.forks)]
    if any(source != sources[0] for source in sources):
        names = sorted({str(source.get("model")) for source in sources})
        raise MaskGridError(
            f"{manifest} has forks of several models ({', '.join(names)}); allowed: one for all of them, by "
            "MaskGrid(pipe).again(...) or --model"
        )
    return dict(sources[0]) if sources else {}


def repeat_runs(make: Callable[..., Forks], manifest: str | os.PathLike[str], **changes: Any) -> Forks:
    """Repeat the runs that a folder's manifest records.

    Args:
        make: Makes the forks of a run: a `MaskGrid`.
        manifest: As for `recorded_runs`.
        **changes: Likewise.

    Returns:
        The forks, in the folder's order.

    Raises:
        MaskGridError: As for `recorded_runs`, or a run that no longer gives a fork that it gave.
        BaseException: What `make` raises; its `result` then has the forks of earlier runs, too.
    """
    made: Forks | None = None
    places: list[int] = []
    for run in recorded_runs(manifest, **changes):
        try:
            forks = make(**run.arguments)
        except BaseException as error:
            _keep_earlier(error, made, run)
            raise
        made = _join(made, forks if run.cells is None else _pick_cells(forks, run.cells, manifest))
        places += run.places if run.cells is not None else []
    if made is None:
        raise MaskGridError(f"{manifest} tells of no forks, so there is nothing to repeat")
    order = sorted(range(len(places)), key=places.__getitem__)
    return made if order == list(range(len(places))) else made.select(order)


def _find_used_runs(entries: tuple[ForkEntry, ...]) -> list[int]:
    return sorted({entry.run for entry in entries})


def _pick_cells(forks: Forks, cells: tuple[int, ...], manifest: str | os.PathLike[str]) -> Forks:
    lost = sorted(set(cells) - set(forks.cells))
    if lost:
        raise MaskGridError(f"{manifest} has forks of cells {lost}, which its run no longer gives")
    return forks if cells == forks.cells else forks.select([forks.cells.index(cell) for cell in cells])


def _join(made: Forks | None, forks: Forks) -> Forks:
    return forks if made is None else made + forks


def _keep_earlier(error: BaseException, made: Forks | None, run: RecordedRun) -> None:
    """Have an error carry the forks of earlier runs, too, and of its own run those of the folder."""
    finished: Forks | None = getattr(error, "result", None)
    latents: ForkLatents | None = latents_without_picture(getattr(error, "latents", None), finished)
    if run.cells is not None:
        if finished is not None:
            finished = finished.select([i for i, cell in enumerate(finished.cells) if cell in run.cells])
        if latents is not None:
            latents = latents.pick([n for n in latents.numbers if latents.masks.cells[n] in run.cells])
    if made is not None:
        finished = made if finished is None else made + finished
    for name, value in (("result", finished), ("latents", latents)):
        if value is not None:
            setattr(error, name, value)
