"""Results of runs in safetensors files: tensors by name, all else as JSON in the header."""

import json
import os
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling.controls import LatentFormat
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.forking.setup import Setup
from maskgrid.sampling.forking.stretch import Checkpoint
from maskgrid.sampling.noise_levels.noise_table import DiscreteTable, FlowTable, NoiseTable
from maskgrid.sampling.result.fork_latents import ForkLatents, RunState

if TYPE_CHECKING:
    from maskgrid.sampling.samplers.walk import Memory

__all__ = ["load", "save"]

_KEY = "maskgrid.fork_latents"
_VERSION = 1

_Tensors = dict[str, Tensor]
_Facts = dict[str, Any]


def save(forks: ForkLatents, path: str | PathLike[str]) -> None:
    """Write a result; the file appears whole or not at all.

    Raises:
        InvalidTypeError: A noise table of one's own making.
    """
    from safetensors.torch import save_file

    tensors: _Tensors = {
        "image_latents": forks.image_latents,
        "patches": forks.patches,
        "background": forks.background,
    }
    facts: _Facts = {
        "version": _VERSION,
        "numbers": forks.numbers,
        "sigma": forks.sigma,
        "places": forks.places.places,
        "size": forks.places.size,
        "masks": _put_masks(forks.masks, tensors),
    }
    if forks.state is not None:
        facts["setup"] = _put_setup(forks.state.setup, tensors)
        facts["checkpoint"] = _put_checkpoint(forks.state.checkpoint, tensors)
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


def load(path: str | PathLike[str], *, device: torch.device | str = "cpu") -> ForkLatents:
    """Read what `save` wrote; latents go to the device.

    Raises:
        InvalidValueError: Not such a file, or one of a later version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = (file.metadata() or {}).get(_KEY)
            tensors: _Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 if header else {}
    except SafetensorError as error:
        raise InvalidValueError(
            f"{path} can't be read: {error}; allowed: a file of ForkLatents.save"
        ) from error
    if header is None:
        raise InvalidValueError(f"{path} holds no forks; allowed: a file of ForkLatents.save")
    facts = json.loads(header)
    if facts["version"] > _VERSION:
        raise InvalidValueError(f"{path} is of version {facts['version']}; allowed: up to {_VERSION}")
    masks = _take_masks(facts["masks"], tensors)
    latents = tensors["image_latents"].to(device)
    state = None
    if "setup" in facts:
        setup = _take_setup(facts["setup"], tensors, latents, masks)
        state = RunState(setup, _take_checkpoint(facts["checkpoint"], tensors, device))
    return ForkLatents(
        image_latents=latents,
        masks=masks,
        numbers=tuple(facts["numbers"]),
        patches=tensors["patches"].to(device),
        places=_patches(facts["places"], facts["size"], masks.size),
        sigma=facts["sigma"],
        background=tensors["background"].to(device),
        state=state,
    )


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


_SETUP_FACTS = ("sampler", "first", "fork_at", "seeds", "blend", "sheet_conditioning", "compat")


def _put_setup(setup: Setup, tensors: _Tensors) -> _Facts:
    tensors["setup.sigmas"] = setup.sigmas
    if setup.noise is not None:
        tensors["setup.noise"] = setup.noise
    facts = {name: getattr(setup, name) for name in _SETUP_FACTS}
    for name in ("scaling_factor", "shift_factor"):
        factor = getattr(setup.latent_format, name)
        if isinstance(factor, Tensor):
            tensors[f"setup.{name}"] = factor
        else:
            facts[name] = factor
    return facts | {"table": _put_table(setup.table, tensors)}


def _take_setup(facts: _Facts, tensors: _Tensors, latents: Tensor, masks: ForkMasks) -> Setup:
    factors = {
        name: facts[name] if name in facts else tensors[f"setup.{name}"]
        for name in ("scaling_factor", "shift_factor")
    }
    return Setup(
        latents=latents,
        masks=masks,
        table=_take_table(facts["table"], tensors),
        sampler=facts["sampler"],
        sigmas=tensors["setup.sigmas"],
        first=facts["first"],
        fork_at=facts["fork_at"],
        seeds=tuple(facts["seeds"]),
        noise=tensors.get("setup.noise"),
        blend=facts["blend"],
        sheet_conditioning=facts["sheet_conditioning"],
        compat=facts["compat"],
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


def _put_checkpoint(checkpoint: Checkpoint, tensors: _Tensors) -> _Facts:
    tensors["x"] = checkpoint.x
    for name, kept in checkpoint.memory.items():
        tensors.update({f"memory.{name}.{i}": each for i, each in enumerate(kept)})
    return {
        "step": checkpoint.step,
        "draws": checkpoint.draws,
        "together": checkpoint.together,
        "memory": {name: len(kept) for name, kept in checkpoint.memory.items()},
    }


def _take_checkpoint(facts: _Facts, tensors: Mapping[str, Tensor], device: torch.device | str) -> Checkpoint:
    x = tensors["x"].to(device)

    def recalled(name: str) -> Tensor:
        # Numbers that a solver remembers stay on the CPU, where it put them.
        kept = tensors[name]
        return kept.to(device) if kept.ndim == x.ndim else kept

    memory: Memory = {
        # Files of version 0.1 have no length where a single tensor was kept.
        name: tuple(recalled(f"memory.{name}.{i}") for i in range(1 if length is None else length))
        for name, length in facts["memory"].items()
    }
    return Checkpoint(facts["step"], x, memory, facts["draws"], facts["together"])


def _patches(places: list[list[int]], size: list[int], sheet: list[int] | tuple[int, int]) -> Patches:
    corners = tuple((top, left) for top, left in places)
    return Patches(corners, cast("tuple[int, int]", tuple(size)), cast("tuple[int, int]", tuple(sheet)))
