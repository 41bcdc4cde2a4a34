"""Open workflows in ComfyUI's page: write the examples, test that old workflows open, take screenshots.

    python tools/comfyui_page.py --comfyui PATH [--python PYTHON] [--examples] [--screenshots docs/images]

Needs playwright in this Python, a chromium, and comfyui-frontend-package in ComfyUI's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from comfyui.examples import CHECKPOINT, EXAMPLES, old_workflow, preview
from comfyui.page_workflow import page_workflow
from comfyui.server import Server
from test_comfyui import PACK, SOURCE, make_base

_READY = "() => !!(window.app?.graph && window.LiteGraph?.registered_node_types?.MaskGridSampler)"
# Zooms so that all nodes show, or one kind of them, below the page's own bars; where they are then.
_FIT = """(only) => {
    const nodes = window.app.graph._nodes.filter((node) => !only || node.type === only)
    const left = Math.min(...nodes.map((n) => n.pos[0])) - 20
    const top = Math.min(...nodes.map((n) => n.pos[1])) - 60
    const right = Math.max(...nodes.map((n) => n.pos[0] + n.size[0])) + 20
    const bottom = Math.max(...nodes.map((n) => n.pos[1] + n.size[1])) + 20
    const [x, y] = [70, 110]
    const width = window.innerWidth - x - 10
    const height = window.innerHeight - y - 10
    const scale = Math.min(width / (right - left), height / (bottom - top), 1)
    const view = window.app.canvas.canvas.getBoundingClientRect()
    window.app.canvas.show_info = false
    window.app.canvas.ds.scale = scale
    window.app.canvas.ds.offset = [(x - view.left) / scale - left, (y - view.top) / scale - top]
    window.app.canvas.setDirty(true, true)
    return {x, y, width: (right - left) * scale, height: (bottom - top) * scale}
}"""
_NODES_ONLY = """
body > *:not(#vue-app) { display: none }
.p-toast, .litegraph-minimap, [class*="minimap"], [data-testid*="minimap"], [data-testid*="toast"],
[class*="pointer-events-auto"], [role="alert"], [role="dialog"], [role="status"]
{ visibility: hidden !important }
"""
FACES = SOURCE / "maskgrid" / "models" / "faces"


def main() -> int:
    """Do what was asked for; 0 when all workflows open as they were made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comfyui", type=Path, required=True, help="a checkout of ComfyUI")
    parser.add_argument("--python", default=sys.executable, help="the Python that ComfyUI runs with")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    parser.add_argument("--examples", action="store_true", help="write the examples of the node pack again")
    parser.add_argument("--screenshots", type=Path, help="the folder to take pictures into")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="maskgrid-page-") as folder:
        base = make_base(options.comfyui, Path(folder), original=None)
        _make_pictures(base)
        with Server(options.comfyui, options.python, base, SOURCE) as server, sync_playwright() as browsers:
            known = server.get("/object_info")
            if options.examples:
                write_examples(known)
            browser = browsers.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 2000, "height": 1150})
            page.goto(f"http://127.0.0.1:{server.port}/")
            page.wait_for_function(_READY)
            wrong = open_all(page, known)
            if options.screenshots is not None:
                take_screenshots(page, known, options.screenshots)
            browser.close()
    print("\n".join(wrong) or "all workflows open as they were made")
    return 1 if wrong else 0


def write_examples(known: dict[str, Any]) -> None:
    """Write the node pack's example workflows."""
    for name, make in EXAMPLES.items():
        path = PACK / "example_workflows" / f"{name}.json"
        path.write_text(
            json.dumps(page_workflow(make().prompt, known, {}), indent=1) + "\n", encoding="utf-8"
        )
        print(f"wrote {path}")


def open_all(page: Page, known: dict[str, Any]) -> list[str]:
    """Open the examples and an old workflow; what the page would send that differs from the prompt."""
    wrong = []
    for name, make in {**EXAMPLES, "old workflow": old_workflow, "preview": preview}.items():
        prompt = make().prompt
        if name in EXAMPLES:
            text = (PACK / "example_workflows" / f"{name}.json").read_text(encoding="utf-8")
            workflow = json.loads(text)
        else:
            workflow = page_workflow(prompt, known, {})
        sent = _open(page, workflow)
        for number, entry in prompt.items():
            for field, value in entry["inputs"].items():
                found = sent[number]["inputs"].get(field)
                if found != value and not (isinstance(found, list) and found[1] == value[1]):
                    wrong.append(f"{name}: {entry['class_type']}.{field} is {found!r}, not {value!r}")
    return wrong


def take_screenshots(page: Page, known: dict[str, Any], folder: Path) -> None:
    """The pictures of docs/comfyui.md."""
    shots = (
        ("expressions", EXAMPLES["expressions"], None),
        ("sampler", EXAMPLES["expressions"], "MaskGridSampler"),
        ("old", old_workflow, None),
        ("preview", preview, None),
    )
    for name, make, only in shots:
        _open(page, page_workflow(make().prompt, known, {}))
        if name == "preview":
            page.evaluate("window.app.queuePrompt(0)")
            page.wait_for_timeout(4000)
        page.add_style_tag(content=_NODES_ONLY)
        clip = page.evaluate(_FIT, only)
        page.wait_for_timeout(1500)
        _save(page, folder / f"comfyui_{name}.png", clip)


def _open(page: Page, workflow: dict[str, Any]) -> dict[str, Any]:
    """Load a workflow into the page; the prompt that it would send."""
    page.evaluate("async (w) => { await window.app.loadGraphData(w) }", workflow)
    page.wait_for_timeout(500)
    prompt: dict[str, Any] = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    return prompt


def _save(page: Page, path: Path, clip: dict[str, float]) -> None:
    """A screenshot with few colours, so that it stays small."""
    page.screenshot(path=path, clip=clip)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(96, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size // 1000} KB")


def _make_pictures(base: Path) -> None:
    """What the workflows name; the checkpoint is only listed, never loaded."""
    checkpoints = base / "models" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    (checkpoints / CHECKPOINT).touch()
    (base / "input").mkdir(exist_ok=True)
    shutil.copy(FACES / "demo_sheet.png", base / "input" / "sheet.png")
    shutil.copy(FACES / "demo_stencil.png", base / "input" / "stencil.png")


if __name__ == "__main__":
    sys.exit(main())
