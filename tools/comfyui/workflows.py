"""Prompts for ComfyUI's API, put together node by node."""

from __future__ import annotations

from typing import Any

__all__ = ["OLD_SAMPLER", "Workflow", "controls", "sheet_of"]

OLD_SAMPLER = "MaskGrid N KSamplers Advanced"


class Workflow:
    """A prompt under construction.

    Args:
        meta: Whether nodes have `_meta`, as what the page exports has.
    """

    def __init__(self, *, meta: bool = True) -> None:
        self.prompt: dict[str, Any] = {}
        self._meta = meta

    def add(self, class_type: str, /, **inputs: Any) -> str:
        """Add a node; its id. Inputs that are links are (id, number of output)."""
        number = str(len(self.prompt) + 1)
        links = {name: list(value) if isinstance(value, tuple) else value for name, value in inputs.items()}
        self.prompt[number] = {"class_type": class_type, "inputs": links}
        if self._meta:
            self.prompt[number]["_meta"] = {"title": class_type}
        return number

    def save(self, name: str, node: str, output: int = 0, *, image: bool = False, **more: Any) -> None:
        """Write an output into a file."""
        self.add("MaskGridTestSave", name=name, **{"image" if image else "latent": (node, output)}, **more)


def sheet_of(flow: Workflow, **options: Any) -> dict[str, Any]:
    """Add a tiny model, a sheet and a stencil; the inputs of a sampler that come from them, and its grid.

    Args:
        flow: Where to add them.
        options: kind, mask, rows, columns, cell (latent cells a side), batch, prompts, fail_above.
    """
    rows, columns = options.get("rows", 1), options.get("columns", 3)
    height, width = options.get("cell", (8, 8))
    kind = options.get("kind", "eps")
    stride = 16 if kind == "stride 16" else 8
    model = flow.add(
        "MaskGridTestModel",
        kind=kind,
        batch=options.get("batch", 1),
        height=rows * height,
        width=columns * width,
        prompts=options.get("prompts", 1),
        fail_above=options.get("fail_above", 0),
        run=options.get("run", 0),
    )
    mask = flow.add(
        "MaskGridTestMask", kind=options.get("mask", "hard"), height=height * stride, width=width * stride
    )
    return {
        "model": (model, 0),
        "positive": (model, 1),
        "negative": (model, 2),
        "latent_image": (model, 3),
        "mask": (mask, 0),
        "rows": rows,
        "columns": columns,
    }


def controls(**changes: Any) -> dict[str, Any]:
    """KSamplerAdvanced's own inputs."""
    return {
        "add_noise": "enable",
        "noise_seed": 5,
        "steps": 6,
        "cfg": 3.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "start_at_step": 0,
        "end_at_step": 10000,
        "return_with_leftover_noise": "disable",
        **changes,
    }
