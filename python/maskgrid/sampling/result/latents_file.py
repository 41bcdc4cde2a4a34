"""Results of runs in safetensors files: tensors by name, all else as JSON in the header."""

import json
import os
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError, in_one_line
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import ForkRun, LatentFormat
from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.noise_levels.noise_table import DiscreteTable, FlowTable, NoiseTable
from maskgrid.sampling.result.check_latents_file import check_latents_file, read_facts

__all__ = ["read_latents_file", "write_latents_file"]

_KEY = "maskgrid.fork_latents"
_VERSION = 1

_Tensors = dict[str, Tensor]
_Facts = dict[str, Any]


def write_latents_file(path: str | PathLike[str], forks: Mapping[str, Any]) -> None:
    """Write the fields of a `ForkLatents`; the file appears whole or not at all.

    Raises:
        InvalidTypeError: A noise table of one's own making.
    """
    from safetensors.torch import save_file

    run, state, places = forks["run"], forks["state"], forks["places"]
    tensors: _Tensors = {name: forks[name] for name in ("patches", "background")}
    tensors["image_latents"] = forks["sheets"][0] if len(forks["sheets"]) == 1 else forks["sheets"]
    facts: _Facts = {
        "version": _VERSION,
        "numbers": forks["numbers"],
        "sigma": forks["sigma"],
        "places": places.places,
        "size": places.size,
        "masks": _put_masks(forks["masks"], tensors),
    }
    if run is not None and state is not None:
        facts["setup"] = _put_run(run, tensors)
        facts["checkpoint"] = _put_state(state, tensors)
    # Tensors of the run may share memory, which the format does not allow.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    target = Path(path)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".tmp")
    os.close(handle)
    try:
        save_file(tensors, draft, metadata={_KEY: json.dumps(facts)})
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def read_latents_file(path: str | PathLike[str], *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The fields of the `ForkLatents` that a file holds; latents go to the device.

    Raises:
        InvalidValueError: Not such a file, or one of a later version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = (file.metadata() or {}).get(_KEY)
            tensors: _Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 if header else {}
    except FileNotFoundError:
        raise
    # It may hold numbers of kinds that torch does not know, or promise more than there is memory.
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise InvalidValueError(
            f"{path} can't be read: {in_one_line(error)}; allowed: a file of ForkLatents.save"
        ) from error
    if header is None:
        raise InvalidValueError(f"{path} holds no forks; allowed: a file of ForkLatents.save")
    try:
        facts = read_facts(header, _VERSION)
        check_latents_file(facts, tensors)
        return _take_forks(facts, tensors, device)
    except InvalidValueError as error:
        raise InvalidValueError(f"{path}: {error}") from error


def _take_forks(facts: _Facts, tensors: _Tensors, device: torch.device | str) -> dict[str, Any]:
    masks = _take_masks(facts["masks"], tensors)
    sheets, patches = tensors["image_latents"].to(device), tensors["patches"].to(device)
    sheets = sheets if sheets.ndim == patches.ndim else sheets[None]
    numbers = tuple(facts["numbers"])
    run = state = None
    if "setup" in facts:
        run = _take_run(facts["setup"], tensors, sheets, masks)
        state = _take_state(facts["checkpoint"], tensors, numbers, device)
    return {
        "sheets": sheets,
        "masks": masks,
        "numbers": numbers,
        "patches": patches,
        "places": _patches(facts["places"], facts["size"], masks.size),
        "sigma": facts["sigma"],
        "background": tensors["background"].to(device),
        "run": run,
        "state": state,
    }


def _put_masks(masks: ForkMasks, tensors: _Tensors) -> _Facts:
    tensors.update(
        {"masks.writes": masks.writes, "masks.values": masks.values, "masks.together": masks.together}
    )
    names = ("rows", "columns", "cells")
    places = {"places": masks.patches.places, "size": masks.patches.size, "sheet": masks.size}
    return {name: getattr(masks, name) for name in names} | places


def _take_masks(facts: _Facts, tensors: _Tensors) -> ForkMasks:
    return ForkMasks(
        rows=facts["rows"],
        columns=facts["columns"],
        cells=tuple(facts["cells"]),
        writes=tensors["masks.writes"],
        patches=_patches(facts["places"], facts["size"], facts["sheet"]),
        values=tensors["masks.values"],
        together=tensors["masks.together"],
    )


_RUN_FACTS = ("sampler", "first", "steps", "fork_at", "seeds", "blend", "sheet_conditioning")


def _put_run(run: ForkRun, tensors: _Tensors) -> _Facts:
    tensors["setup.sigmas"] = run.sigmas
    if run.noise is not None:
        tensors["setup.noise"] = run.noise
    facts = {name: getattr(run, name) for name in _RUN_FACTS}
    for name in ("scaling_factor", "shift_factor"):
        factor = getattr(run.latent_format, name)
        if isinstance(factor, Tensor):
            tensors[f"setup.{name}"] = factor
        else:
            facts[name] = factor
    return facts | {"table": _put_table(run.table, tensors)}


def _take_run(facts: _Facts, tensors: _Tensors, latents: Tensor, masks: ForkMasks) -> ForkRun:
    factors = {
        name: facts[name] if name in facts else tensors[f"setup.{name}"]
        for name in ("scaling_factor", "shift_factor")
    }
    sigmas = tensors["setup.sigmas"]
    return ForkRun(
        latents=latents,
        masks=masks,
        table=_take_table(facts["table"], tensors),
        sampler=facts["sampler"],
        sigmas=sigmas,
        first=facts["first"],
        # Files of 0.1 do not say it.
        steps=facts.get("steps", facts["first"] + len(sigmas) - 1),
        fork_at=facts["fork_at"],
        seeds=tuple(facts["seeds"]),
        noise=tensors.get("setup.noise"),
        blend=facts["blend"],
        sheet_conditioning=facts["sheet_conditioning"],
        latent_format=LatentFormat(**factors),
    )


def _put_table(table: NoiseTable, tensors: _Tensors) -> _Facts:
    # Exactly these types: a subclass may mean something else.
    if type(table) is DiscreteTable:
        tensors["table.alphas_cumprod"] = table.alphas_cumprod
        return {"prediction": table.prediction}
    if type(table) is FlowTable:
        return {"prediction": "flow", "shift": table.shift, "steps": len(table.sigmas), "scale": table.scale}
    raise InvalidTypeError(
        f"the noise table is a {type(table).__name__}; allowed in a file: DiscreteTable, FlowTable"
    )


def _take_table(facts: _Facts, tensors: _Tensors) -> NoiseTable:
    if facts["prediction"] == "flow":
        return FlowTable(facts["shift"], steps=facts["steps"], scale=facts["scale"])
    return DiscreteTable(tensors["table.alphas_cumprod"], prediction=facts["prediction"])


def _put_state(state: State, tensors: _Tensors) -> _Facts:
    tensors["x"] = state.x
    for key, kept in state.memory.items():
        tensors.update({f"memory.{key}.{i}": each for i, each in enumerate(kept)})
    memory = {key: len(kept) for key, kept in state.memory.items()}
    return {"step": state.step, "draws": state.draws, "together": state.is_sheet, "memory": memory}


def _take_state(
    facts: _Facts, tensors: Mapping[str, Tensor], numbers: tuple[int, ...], device: torch.device | str
) -> State:
    # Files of 0.1 have None for the length of what is a single tensor.
    memory = {
        key: tuple(tensors[f"memory.{key}.{i}"].to(device) for i in range(1 if length is None else length))
        for key, length in facts["memory"].items()
    }
    rows = () if facts["together"] else numbers
    return State(facts["step"], rows, tensors["x"].to(device), memory, facts["draws"])


def _patches(places: list[list[int]], size: list[int], sheet: list[int] | tuple[int, int]) -> Patches:
    corners = tuple((top, left) for top, left in places)
    return Patches(corners, cast("tuple[int, int]", tuple(size)), cast("tuple[int, int]", tuple(sheet)))
