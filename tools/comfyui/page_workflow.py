"""Prompts turned into workflows as ComfyUI's page saves them: places, links and lists of values."""

from __future__ import annotations

from typing import Any

__all__ = ["page_workflow"]

_WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
_GAP_X, _GAP_Y, _LINE = 70, 50, 26


def page_workflow(prompt: dict[str, Any], known: dict[str, Any], titles: dict[str, str]) -> dict[str, Any]:
    """A workflow for the page.

    Args:
        prompt: As the API takes it.
        known: What /object_info says of the nodes.
        titles: Titles of some nodes, by their id.

    Returns:
        What the page saves as JSON.
    """
    nodes, links = {}, []
    for order, (number, entry) in enumerate(prompt.items()):
        nodes[number] = _node(int(number), order, entry, known[entry["class_type"]])
        if number in titles:
            nodes[number]["title"] = titles[number]
    for number, entry in prompt.items():
        for name, value in entry["inputs"].items():
            if isinstance(value, list):
                links.append(_link(len(links) + 1, nodes[value[0]], value[1], nodes[number], name))
    _place(nodes, prompt)
    return {
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": list(nodes.values()),
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _node(number: int, order: int, entry: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    given, inputs, values = entry["inputs"], [], []
    for group in ("required", "optional"):
        for name in info.get("input_order", {}).get(group, ()):
            kind, options = _kind(info["input"][group][name])
            if kind not in _WIDGETS:
                inputs.append({"name": name, "type": kind, "link": None})
                continue
            values.append(given.get(name, options.get("default", _first(info["input"][group][name]))))
            if options.get("control_after_generate"):
                values.append("fixed")
            if options.get("image_upload"):
                values.append("image")
    outputs = [
        {"name": name, "type": kind, "links": []}
        for name, kind in zip(info["output_name"], info["output"], strict=True)
    ]
    rows = max(len(inputs), len(outputs)) + len(values)
    return {
        "id": number,
        "type": entry["class_type"],
        "pos": [0, 0],
        "size": _size(entry["class_type"], _LINE * rows + 20),
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        "properties": {"Node name for S&R": entry["class_type"]},
        "widgets_values": values,
    }


def _size(kind: str, height: int) -> list[int]:
    """Width and height, with room for what a node shows below its values."""
    if kind == "MaskGridPreview":
        return [430, 640]
    if kind in ("LoadImage", "SaveImage", "MaskGridContactSheet"):
        return [330, max(height, 320)]
    return [330, 130 if kind == "CLIPTextEncode" else max(height, 110)]


def _kind(entry: list[Any]) -> tuple[str, dict[str, Any]]:
    options = entry[1] if len(entry) > 1 else {}
    return ("COMBO" if isinstance(entry[0], list) else entry[0]), options


def _first(entry: list[Any]) -> Any:
    options = entry[0] if isinstance(entry[0], list) else entry[1].get("options", [""])
    return options[0] if options else ""


def _link(number: int, source: dict[str, Any], output: int, target: dict[str, Any], name: str) -> list[Any]:
    slot = next(index for index, entry in enumerate(target["inputs"]) if entry["name"] == name)
    kind = source["outputs"][output]["type"]
    source["outputs"][output]["links"].append(number)
    target["inputs"][slot]["link"] = number
    return [number, source["id"], output, target["id"], slot, kind]


def _place(nodes: dict[str, Any], prompt: dict[str, Any]) -> None:
    """Columns by the longest way from a node without inputs, and rows in the order of the prompt."""
    depth: dict[str, int] = {}
    for number, entry in prompt.items():
        before = [value[0] for value in entry["inputs"].values() if isinstance(value, list)]
        depth[number] = max((depth[source] + 1 for source in before), default=0)
    widths = [0] * (max(depth.values()) + 1)
    for number, node in nodes.items():
        widths[depth[number]] = max(widths[depth[number]], node["size"][0])
    bottoms: dict[int, int] = {}
    for number, node in nodes.items():
        column = depth[number]
        top = bottoms.get(column, 60)
        node["pos"] = [40 + sum(widths[:column]) + column * _GAP_X, top]
        bottoms[column] = top + node["size"][1] + _GAP_Y
