"""The manifest of an output folder: what it holds, and how it is written as JSON; see docs/output.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from maskgrid._native import Grid, __version__
from maskgrid.errors import InvalidTypeError, MaskGridError, in_one_line
from maskgrid.result.fork_records import ForkRecord, RunRecord, records_of_run

__all__ = [
    "FORMAT",
    "GRID_PAIRS",
    "MANIFEST",
    "ForkEntry",
    "LatentsEntry",
    "Manifest",
    "RunEntry",
    "json_text",
]

MANIFEST = "manifest.json"
FORMAT = 2
"""What is written; format 1, which had the settings of one run, is still read."""
GRID_PAIRS = ("cell", "canvas", "gap", "margin")


@dataclass(frozen=True)
class RunEntry:
    """A run that forks of the folder were made in.

    Attributes:
        settings: Arguments of `MaskGrid.__call__`, and under "pipeline" what model it was.
        stencil: The file of its stencil, None where it is not known.
    """

    settings: dict[str, Any]
    stencil: str | None


@dataclass(frozen=True)
class ForkEntry:
    """A fork in an output folder's manifest.

    Attributes:
        file: Its picture.
        cell: Its cell.
        run: The number of its run in the manifest.
        number: Its number among the forks of that run, None where it is not known.
        variant: Which try of its cell it is, from 0.
    """

    file: str
    cell: int
    run: int
    number: int | None
    variant: int = 0


@dataclass(frozen=True)
class LatentsEntry:
    """Forks of the folder that have no pictures.

    Attributes:
        file: A file of `maskgrid.sampling.ForkLatents.save`.
        cells: Their cells.
        numbers: Their numbers in their run.
    """

    file: str
    cells: tuple[int, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """What an output folder holds, as its manifest says.

    Attributes:
        grid: Where the cells lie; None where there are latents alone.
        image: The file of the sheet; None likewise.
        alpha: The file of how much of the new cells shows; None where all of them does.
        merged: The file with every new cell in one sheet; None where it could not be made.
        contact: The file with before, stencil and after; likewise.
        runs: The runs.
        forks: The forks, in order.
        latents: Forks without pictures.
    """

    grid: Grid | None = None
    image: str | None = None
    alpha: str | None = None
    merged: str | None = None
    contact: str | None = None
    runs: tuple[RunEntry, ...] = ()
    forks: tuple[ForkEntry, ...] = ()
    latents: LatentsEntry | None = field(default=None)

    @property
    def files(self) -> frozenset[str]:
        """The names of all files of the folder, its manifest among them."""
        named = [self.image, self.alpha, self.merged, self.contact, *(run.stencil for run in self.runs)]
        named += [fork.file for fork in self.forks] + ([self.latents.file] if self.latents else [])
        return frozenset({MANIFEST, *(name for name in named if name is not None)})

    def fork_fields(self, index: int) -> dict[str, Any]:
        """What a manifest says of a fork: where it is, and what made it.

        Raises:
            MaskGridError: There is no grid.
        """
        if self.grid is None:
            raise MaskGridError("a manifest with forks has to have a grid")
        entry, record = self.forks[index], self.record_of(index)
        row, column = self.grid.position(entry.cell)
        place = {"file": entry.file, "fork": index, "cell": entry.cell, "row": row, "column": column}
        tried = {"variant": entry.variant} if record.run.settings.get("variants", 1) != 1 else {}
        return {**place, "run": entry.run, "number": entry.number, **tried, **record.own}

    def record_of(self, index: int) -> ForkRecord:
        """The record of what made a fork, without its stencil.

        Raises:
            MaskGridError: There is no grid.
        """
        if self.grid is None:
            raise MaskGridError("a manifest with forks has to have a grid")
        entry = self.forks[index]
        run = RunRecord(self.runs[entry.run].settings)
        (record,) = records_of_run(run, [entry.cell], self.grid, [entry.number], [entry.variant])
        return record

    def to_json(self) -> str:
        """The manifest as JSON, as it is written.

        Raises:
            InvalidTypeError: Settings that JSON can't have.
        """
        grid = self.grid and {
            "rows": self.grid.rows,
            "columns": self.grid.columns,
            **{name: list(getattr(self.grid, name)) for name in GRID_PAIRS},
            "stride": self.grid.stride,
        }
        fields = {
            "maskgrid_manifest": FORMAT,
            "version": __version__,
            **{name: getattr(self, name) for name in ("image", "alpha", "merged", "contact")},
            "grid": grid,
            "runs": [{"stencil": run.stencil, "settings": run.settings} for run in self.runs],
            "forks": [self.fork_fields(index) for index in range(len(self.forks))],
        }
        if self.latents:
            latents = self.latents
            fields["latents"] = {
                "file": latents.file,
                "cells": list(latents.cells),
                "numbers": list(latents.numbers),
            }
        return json_text(fields) + "\n"


def json_text(value: Any) -> str:
    """JSON that can be written in UTF-8 and read by any program.

    Raises:
        InvalidTypeError: JSON can't have it.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidTypeError(
            f"the settings can't be written as JSON ({in_one_line(error)}); allowed: text, numbers, lists"
        ) from error
    return text
