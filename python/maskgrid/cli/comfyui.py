"""`maskgrid comfyui install`: the node pack into a ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskgrid.cli.tell import give_result

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Copy the node pack, say what was found and what to do next."""
    from maskgrid.hosts.comfyui.install_pack import install_pack

    lines = list(install_pack(options.path).lines())
    give_result(options, "\n".join(lines), lines=lines)
    return 0
