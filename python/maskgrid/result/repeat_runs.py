"""The runs that a manifest tells of, made again: their arguments, and just the forks of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.result.read_manifest import read_manifest
from maskgrid.result.save_finished import latents_without_picture

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from maskgrid.result.forks import Forks
    from maskgrid.result.manifest import ForkEntry
    from maskgrid.sampling import ForkLatents

__all__ = ["RecordedRun", "recorded_model", "recorded_runs", "repeat_runs"]

_PLACES = frozenset({"rows", "columns", "cell", "gap", "margin", "mask", "cells", "variants"})
"""Arguments that say where forks are: where they change, the folder's forks are not those of the new run."""


@dataclass(frozen=True)
class RecordedRun:
    """A call of `MaskGrid` that makes forks of a folder again.

    Attributes:
        arguments: Of `MaskGrid.__call__`.
        forks: Cell and try of the forks that are in the folder; None for all that the run gives.
        places: Where in the folder each of these is.
    """

    arguments: dict[str, Any]
    forks: tuple[tuple[int, int], ...] | None
    places: tuple[int, ...]


def recorded_runs(
    manifest: str | os.PathLike[str], *, from_fork: int | None = None, **changes: Any
) -> list[RecordedRun]:
    """The runs that make the forks of a folder again, each once.

    Args:
        manifest: A `manifest.json`, or the folder it lies in.
        from_fork: The number of a fork in the folder to go on from: its run again, with the fork's picture as
            the sheet, its texts and its seed, and of its cell unless `cells` are among the changes.
        **changes: Arguments to use in place of the manifest's, in every run. Where they say where the cells
            lie, which are meant, how often, or what may change, all forks of the new run are meant, else
            those of the folder.

    Raises:
        MaskGridError: No such manifest, one without forks or without a stencil, or of a run with arguments
            that no manifest can hold and that are not among the changes.
        InvalidTypeError: A from_fork that is no number, or an image beside it.
        InvalidValueError: A fork that is not there.
    """
    record, path = read_manifest(manifest), Path(manifest).expanduser()
    folder = path if path.is_dir() else path.parent
    entries_here = list(enumerate(record.forks))
    if not entries_here or record.image is None:
        raise MaskGridError(f"{path} tells of no forks, so there is nothing to repeat")
    if from_fork is not None:
        number = _check_fork(from_fork, len(record.forks), changes)
        liked = record.forks[number]
        told = record.record_of(number).own
        entries_here = [(number, liked)]
        changes = {
            "cells": [liked.cell],
            "fork_seeds": "same",
            **told,
            **changes,
            "image": folder / liked.file,
        }
    of_runs: dict[int, list[tuple[int, ForkEntry]]] = {}
    for place, entry in entries_here:
        of_runs.setdefault(entry.run, []).append((place, entry))
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
        is_other = from_fork is not None or bool(_PLACES & set(changes))
        forks = None if is_other else tuple((entry.cell, entry.variant) for _, entry in entries)
        runs.append(RecordedRun(arguments, forks, tuple(place for place, _ in entries)))
    return runs


def recorded_model(manifest: str | os.PathLike[str]) -> dict[str, Any]:
    """The model that a manifest's forks were made with, as arguments of `MaskGrid.load`.

    Returns:
        "model", "device" and "dtype"; empty where the manifest names no model.

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
        made = _join(made, forks if run.forks is None else _pick_forks(forks, run.forks, manifest))
        places += run.places if run.forks is not None else []
    if made is None:
        raise MaskGridError(f"{manifest} tells of no forks, so there is nothing to repeat")
    order = sorted(range(len(places)), key=places.__getitem__)
    return made if order == list(range(len(places))) else made.select(order)


def _check_fork(number: Any, count: int, changes: Mapping[str, Any]) -> int:
    """The number of a fork of the folder to go on from."""
    if "image" in changes:
        raise InvalidTypeError("from_fork and image both say what the sheet is; allowed: one of them")
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidTypeError(f"from_fork is {number!r}; allowed: the number of a fork in the folder")
    if not 0 <= number < count:
        raise InvalidValueError(f"from_fork is {number}; allowed: 0 to {count - 1}")
    return number


def _find_used_runs(entries: tuple[ForkEntry, ...]) -> list[int]:
    return sorted({entry.run for entry in entries})


def _pick_forks(forks: Forks, wanted: tuple[tuple[int, int], ...], manifest: str | os.PathLike[str]) -> Forks:
    made = _cells_and_tries(forks)
    lost = sorted({cell for cell, _ in {*wanted} - {*made}})
    if lost:
        raise MaskGridError(f"{manifest} has forks of cells {lost}, which its run no longer gives")
    return forks if wanted == made else forks.select([made.index(each) for each in wanted])


def _cells_and_tries(forks: Forks) -> tuple[tuple[int, int], ...]:
    return tuple((record.cell, record.variant) for record in forks.records)


def _join(made: Forks | None, forks: Forks) -> Forks:
    return forks if made is None else made + forks


def _keep_earlier(error: BaseException, made: Forks | None, run: RecordedRun) -> None:
    """Have an error carry the forks of earlier runs, too, and of its own run those of the folder."""
    finished: Forks | None = getattr(error, "result", None)
    latents: ForkLatents | None = latents_without_picture(getattr(error, "latents", None), finished)
    if run.forks is not None:
        if finished is not None:
            made_now = enumerate(_cells_and_tries(finished))
            finished = finished.select([i for i, each in made_now if each in run.forks])
        if latents is not None:
            named = zip(latents.numbers, zip(latents.cells, latents.variants, strict=True), strict=True)
            latents = latents.pick([number for number, each in named if each in run.forks])
    if made is not None:
        finished = made if finished is None else made + finished
    for name, value in (("result", finished), ("latents", latents)):
        if value is not None:
            setattr(error, name, value)
