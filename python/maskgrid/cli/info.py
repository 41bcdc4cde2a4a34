"""`maskgrid info`: versions, devices, model families and threads."""

from __future__ import annotations

import platform
import tomllib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from maskgrid._native import __version__, num_threads
from maskgrid.cli.tell import give_result

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]

_PACKAGES = ("numpy", "pillow", "torch", "diffusers", "transformers", "accelerate", "torchsde", "safetensors")


def run(options: argparse.Namespace) -> int:
    """Print what somebody who helps has to know."""
    versions = {name: _version(name) for name in _PACKAGES}
    devices, families = _devices(versions), _families(versions)
    pack = _pack_version()
    system = f"{platform.system()} {platform.machine()}"
    lines = [
        f"maskgrid {__version__}, Python {platform.python_version()}, {system}, {num_threads()} threads",
        ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        f"missing: {', '.join(missing)}" if (missing := [n for n, v in versions.items() if not v]) else "",
        f"nodes for ComfyUI: {pack}",
        f"devices: {', '.join(devices)}" if devices else "",
        f"{len(families)} families of pipelines: {', '.join(families)}" if families else "",
    ]
    facts: dict[str, Any] = {
        "maskgrid": __version__,
        "python": platform.python_version(),
        "system": system,
        "threads": num_threads(),
        "packages": versions,
        "comfyui_pack": pack,
        "devices": devices,
        "families": families,
    }
    give_result(options, "\n".join(line for line in lines if line), **facts)
    return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _pack_version() -> str:
    """The version of the nodes that `maskgrid comfyui install` copies."""
    from maskgrid.hosts.comfyui.install_pack import pack_folder

    text = (pack_folder() / "pyproject.toml").read_text("utf-8")
    version: str = tomllib.loads(text)["project"]["version"]
    return version


def _devices(versions: dict[str, str | None]) -> list[str]:
    if not versions["torch"]:
        return []
    import torch

    cards = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def _families(versions: dict[str, str | None]) -> list[str]:
    if not (versions["torch"] and versions["diffusers"]):
        return []
    from maskgrid.hosts.diffusers.families import supported_families

    return list(supported_families())
