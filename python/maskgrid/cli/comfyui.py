"""`maskgrid comfyui install`: the node pack into a ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Copy the node pack, say what was found and what to do next."""
    from maskgrid.hosts.comfyui.install_pack import install_pack

    for line in install_pack(options.path).lines():
        print(line)
    return 0
