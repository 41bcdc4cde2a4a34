"""`maskgrid sample`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.prompts_file import read_prompts
from maskgrid.cli.run_and_save import load, make_and_save
from maskgrid.cli.tell import say
from maskgrid.errors import GridError, MaskGridError
from maskgrid.result.output_place import check_output
from maskgrid.result.read_manifest import read_manifest

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]

_ARGUMENTS = (
    *(
        "image",
        "mask",
        "mask_channel",
        "max_pixels",
        "rows",
        "columns",
        "gap",
        "margin",
        "cells",
        "variants",
        "zoom",
        "context",
        "zoom_filter",
        "prompt",
        "negative_prompt",
        "cfg",
    ),
    *("control_image", "reference_image"),
    *("background", "alpha"),
    *("mode", "fork_at", "sampler", "schedule", "steps", "seed", "fork_seeds", "denoise", "start_at_step"),
    *("blend", "sheet_conditioning"),
    *("end_at_step", "return_with_leftover_noise", "feather", "coverage", "micro_batch"),
    *("sharing", "halo", "base_prompt"),
)


def run(options: argparse.Namespace) -> int:
    """Sample with new settings, or again with those of a manifest."""
    settings = {
        name: _one(getattr(options, name)) for name in _ARGUMENTS if getattr(options, name) is not None
    }
    check_output(options.out, force=options.force)
    if options.detect:
        settings |= _detected(options)
    if options.prompts:
        settings["prompt"] = read_prompts(options.prompts, *_rows_and_columns(options, settings))
    if options.manifest:
        return _again(options, settings)
    if options.from_fork is not None:
        options.parser.error("--from-fork is a fork of a folder; say which with --from")
    missing = [f"--{name}" for name in ("image", "mask") if name not in settings]
    if missing:
        options.parser.error(
            f"the following arguments are required: {', '.join(missing)} (or --from a manifest)"
        )
    return _make(options, settings, options.model or "bundled", options.device, options.dtype)


def _detected(options: argparse.Namespace) -> dict[str, Any]:
    """Where the cells lie by `--detect`, as arguments of a run.

    Raises:
        GridError: It is not sure.
    """
    from maskgrid.cli.grid_options import detect
    from maskgrid.geometry.detect_grid import SURE
    from maskgrid.pictures.read_sheet import read_sheet

    if options.manifest or not options.image:
        options.parser.error("--detect looks at a sheet; say which with --image, and without --from")
    found = detect(options, read_sheet(options.image, max_pixels=options.max_pixels).pixels)
    if not found.is_sure:
        raise GridError(
            f"{options.image} has a grid that was found with a confidence of {found.confidence:.2f} only; "
            f"allowed: {SURE} and more. See maskgrid plan --detect, and give --rows and --columns"
        )
    pairs = {name: tuple(getattr(found.grid, name)) for name in ("cell", "gap", "margin")}
    return {"rows": found.grid.rows, "columns": found.grid.columns, **pairs}


def _rows_and_columns(options: argparse.Namespace, settings: dict[str, Any]) -> tuple[int, int]:
    """How the cells lie: as given or found, else as the manifest says."""
    grid = read_manifest(options.manifest).grid if options.manifest else None
    before = (grid.rows, grid.columns) if grid else (1, 1)
    return settings.get("rows", before[0]), settings.get("columns", before[1])


def _again(options: argparse.Namespace, settings: dict[str, Any]) -> int:
    from maskgrid.result.repeat_runs import recorded_model, recorded_runs

    source = {} if options.model else recorded_model(options.manifest)
    model = options.model or source.get("model")
    if model is None:
        raise MaskGridError(f"{options.manifest} names no model; say which with --model")
    device, dtype = options.device or source.get("device"), options.dtype or source.get("dtype")
    # fork_at counts before a mode, so a mode that is asked for has to take it out.
    if "mode" in settings and "fork_at" not in settings:
        settings["fork_at"] = None
    if options.from_fork is not None:
        settings["from_fork"] = options.from_fork
    runs = recorded_runs(options.manifest, **settings)
    for run in runs:
        _check(options, run.arguments)
    return make_and_save(options, load(options, model, device, dtype), runs[0].arguments, changes=settings)


def _make(
    options: argparse.Namespace, settings: dict[str, Any], model: str, device: str | None, dtype: str | None
) -> int:
    _check(options, settings)
    return make_and_save(options, load(options, model, device, dtype), settings)


def _check(options: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Complain of what no model could do, before one is loaded, which can take minutes."""
    from maskgrid.run_inputs import read_inputs

    inputs = read_inputs(settings)
    for note in inputs.notes:
        name, _, words = note.partition(": ")
        say(options, f"{settings.get(name, name)}: {words}")


def _one(value: Any) -> Any:
    """A text that was given once is for all cells, a picture that was given once no list."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value
