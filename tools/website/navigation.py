"""Orders the pages of the website under headings; a page that nobody named here appears by itself."""

from __future__ import annotations

__all__ = ["GROUPS", "REST", "order_pages"]

REST = "Guides"
"""Where a page of docs/ goes that is named nowhere."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Start": ("index.md", "tutorial.md", "bundled-model.md"),
    "How to": ("how-to/",),
    REST: (
        "python.md",
        "command-line.md",
        "page.md",
        "pictures.md",
        "sheets.md",
        "sampling.md",
        "output.md",
        "jobs.md",
        "comfyui.md",
        "diffusers.md",
        "samplers.md",
    ),
    "Reference": (
        "reference/mask_grid.md",
        "reference/commands.md",
        "reference/geometry.md",
        "reference/masks.md",
        "reference/canvas.md",
        "reference/",
    ),
    "Measured": ("benchmarks.md", "speed.md", "reliability.md", "scale.md"),
    "Project": ("architecture.md", "contributing.md", "changelog.md"),
}
"""Heading, and its pages in order; a name with a slash at its end means what else is in that folder."""


def order_pages(pages: list[str]) -> list[dict[str, list[str]]]:
    """The `nav` of the site: every page once, pages that are named but not there left out."""
    left = sorted(set(pages))
    ordered: dict[str, list[str]] = {}
    named = {name for names in GROUPS.values() for name in names}
    for title, names in GROUPS.items():
        ordered[title] = []
        for name in names:
            taken = [page for page in left if page == name or _falls_into(page, name, named)]
            ordered[title] += taken
            left = [page for page in left if page not in taken]
    ordered[REST] += left
    return [{title: inside} for title, inside in ordered.items() if inside]


def _falls_into(page: str, name: str, named: set[str]) -> bool:
    return name.endswith("/") and page.startswith(name) and page not in named
