"""`maskgrid sample`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.cli.run_and_save import load, make_and_save
from maskgrid.errors import MaskGridError
from maskgrid.geometry import Grid
from maskgrid.result.output_place import check_output

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
        "prompt",
        "negative_prompt",
        "cfg",
    ),
    *("control_image", "reference_image"),
    *("mode", "fork_at", "sampler", "schedule", "steps", "seed", "fork_seeds", "denoise", "start_at_step"),
    *("end_at_step", "return_with_leftover_noise", "feather", "coverage", "micro_batch"),
)


def run(options: argparse.Namespace) -> int:
    """Sample with new settings, or again with those of a manifest."""
    settings = {
        name: _one(getattr(options, name)) for name in _ARGUMENTS if getattr(options, name) is not None
    }
    check_output(options.out, force=options.force)
    if options.manifest:
        return _again(options, settings)
    missing = [f"--{name}" for name in ("image", "mask") if name not in settings]
    if missing:
        raise MaskGridError(f"{' and '.join(missing)} missing; sample needs both, or --from a manifest")
    return _make(options, settings, options.model or "bundled", options.device, options.dtype)


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
    runs = recorded_runs(options.manifest, **settings)
    for run in runs:
        _check(run.arguments)
    return make_and_save(options, load(model, device, dtype), runs[0].arguments, changes=settings)


def _make(
    options: argparse.Namespace, settings: dict[str, Any], model: str, device: str | None, dtype: str | None
) -> int:
    _check(settings)
    return make_and_save(options, load(model, device, dtype), settings)


def _check(settings: dict[str, Any]) -> None:
    """Complain of what no model could do, before one is loaded, which can take minutes."""
    from maskgrid.pictures.fit_stencil import fit_stencil
    from maskgrid.pictures.read_mask import read_mask
    from maskgrid.pictures.read_sheet import read_sheet
    from maskgrid.sampling import CONTROL_NAMES, Controls

    shape = {name: settings[name] for name in ("gap", "margin") if name in settings}
    limit = settings.get("max_pixels")
    sheet = read_sheet(settings["image"], max_pixels=limit)
    mask = read_mask(settings["mask"], channel=settings.get("mask_channel"), max_pixels=limit)
    canvas = sheet.pixels.shape[:2]
    grid = Grid(settings.get("rows", 1), settings.get("columns", 1), canvas=canvas, **shape, stride=1)
    fit_stencil(mask.values, grid)
    Controls(**{name: settings[name] for name in CONTROL_NAMES if name in settings})
    for name, words in (("image", "; ".join(sheet.notes)), ("mask", str(mask))):
        if words:
            print(f"{settings[name]}: {words}")


def _one(value: Any) -> Any:
    """A text that was given once is for all cells, a picture that was given once no list."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value
