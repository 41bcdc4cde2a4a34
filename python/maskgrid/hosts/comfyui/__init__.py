"""ComfyUI as a host: its own samplers with the forks as rows of one batch; masks, plans and merging are ours.

What imports `comfy` runs inside ComfyUI only. `node_pack` is the folder that goes into its custom_nodes.
"""
