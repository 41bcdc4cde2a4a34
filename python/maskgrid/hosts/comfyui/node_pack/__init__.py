"""The node pack of maskgrid for ComfyUI: which nodes there are; what they do is in the package maskgrid."""

from __future__ import annotations

import nodes
from comfy_api.latest import ComfyExtension, io

from . import cell_nodes, old_ids, picture_nodes, sampler_nodes

__all__ = ["comfy_entrypoint"]


class MaskGridExtension(ComfyExtension):
    """The nodes; the old ids only where no other pack has them."""

    async def on_load(self) -> None:
        """Offer the new nodes for the old ones, in the page's dialog for nodes that are missing."""
        await old_ids.register_replacements()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes of the pack."""
        taken = nodes.NODE_CLASS_MAPPINGS
        old = [node for node in old_ids.NODES if node.GET_SCHEMA().node_id not in taken]
        return [*sampler_nodes.NODES, *cell_nodes.NODES, *picture_nodes.NODES, *old]


async def comfy_entrypoint() -> ComfyExtension:
    """What ComfyUI calls when it starts."""
    return MaskGridExtension()
