"""A table read whole and every row checked as `MaskGrid.__call__` checks it, before a model is loaded."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from maskgrid.errors import BadRowsError, InvalidTypeError, MaskGridError, MaskGridWarning
from maskgrid.jobs.job import make_job
from maskgrid.jobs.place import job_folder
from maskgrid.jobs.table_rows import FILES, folder_of, read_rows
from maskgrid.load_pipeline.model_stride import read_scale
from maskgrid.pictures.local_path import local_path
from maskgrid.run_inputs import read_inputs
from maskgrid.run_plan import plan_run

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from maskgrid.jobs.job import Job
    from maskgrid.load_pipeline.model_stride import ModelScale

__all__ = ["CheckedTable", "check_table"]


@dataclass
class CheckedTable:
    """A table every row of which can be run.

    Attributes:
        name: The table.
        ids: The identities of its jobs; rows that ask the same are one job.
        pending: The jobs that are to be done, those of one model side by side.
        index: Which row is which job, a line of JSON for each row.
    """

    name: str
    ids: set[str] = field(default_factory=set)
    pending: list[Job] = field(default_factory=list)
    index: list[str] = field(default_factory=list)


def check_table(
    table: str | os.PathLike[str],
    *,
    settled: Collection[str] = (),
    default: Mapping[str, Any] | None = None,
) -> CheckedTable:
    """Read a table and check all of its rows.

    Args:
        table: See `maskgrid.jobs.table_rows.read_rows`.
        settled: Identities of jobs that are not to be done; their files are hashed, but their pictures, which
            were checked when they were done, are not decoded again.
        default: What rows say that don't say otherwise, by column; paths are relative to the table.

    Returns:
        The table.

    Raises:
        BadRowsError: Rows that can't be run, all of them.
        InvalidTypeError: A default that is no table of names.
        MaskGridError: No such table, one that can't be read, or one without rows.
    """
    default = _check_default(default)
    name = str(local_path(table, "the table"))
    checker = _Checker(name, folder_of(table), settled)
    for row in read_rows(table):
        checker.read(row.where, {**default, **row.values}, row.problem)
    if checker.bad:
        raise BadRowsError(name, checker.bad)
    if not checker.table.index:
        raise MaskGridError(f"{name} has no rows; allowed: a table with at least one")
    # A worker holds one model at a time.
    checker.table.pending.sort(key=lambda job: json.dumps(job.model))
    return checker.table


class _Checker:
    """Checks row after row.

    Args:
        name: The table.
        folder: What its paths are relative to.
        settled: See `check_table`.
    """

    def __init__(self, name: str, folder: Path, settled: Collection[str]) -> None:
        self.table = CheckedTable(name)
        self.bad: list[str] = []
        self._folder = folder
        self._settled = settled
        self._scales: dict[str, ModelScale | None] = {}

    def read(self, where: str, values: Mapping[str, Any], problem: str) -> None:
        """Take a row into the table, or write down what is wrong with it."""
        if problem:
            self.bad.append(f"{where}: {problem}")
            return
        try:
            job = make_job(where, values, self._folder)
            if job.id not in self._settled and job.id not in self.table.ids:
                self._check(job)
                self.table.pending.append(job)
        except MaskGridError as error:
            self.bad.append(f"{where}: {error}")
            return
        self.table.ids.add(job.id)
        told = {"row": where, "image": values["image"], "job": job.id, "folder": job_folder(job.id)}
        self.table.index.append(json.dumps(told, ensure_ascii=False) + "\n")

    def _check(self, job: Job) -> None:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", MaskGridWarning)
            inputs = read_inputs(job.arguments())
            scale = self._scale(job.model[0])
            if scale is not None:
                plan_run(inputs, stride=scale.stride, align=scale.align, side=scale.side)
        for each in told:
            warnings.warn(f"{job.where}: {each.message}", MaskGridWarning, stacklevel=2)

    def _scale(self, model: str) -> ModelScale | None:
        """How a model divides a sheet; None where that shows only when it is loaded."""
        if model not in self._scales:
            try:
                self._scales[model] = read_scale(model)
            except MaskGridError:
                self._scales[model] = None
        return self._scales[model]


def _check_default(default: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {} if default is None else dict(default)
    if not all(isinstance(name, str) for name in given):
        raise InvalidTypeError(f"default is {default!r}; allowed: values by the names of columns")
    return {
        name: str(value) if name in FILES and hasattr(value, "__fspath__") else value
        for name, value in given.items()
        if value is not None
    }
