"""Checks of the nodes inside a real ComfyUI; `tools/test_comfyui.py` runs them."""
