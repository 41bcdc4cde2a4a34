"""Gathers the pages of the website, README, docs/, changelog and others, and makes their links fit."""

from __future__ import annotations

import posixpath
import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["page_places", "rewrite_links", "stage_pages"]

REPOSITORY = "https://github.com/maskgrid/maskgrid"
BLOB = re.compile(
    rf"^(?:{re.escape(REPOSITORY)}/(?:blob|tree)/main|https://raw\.githubusercontent\.com/maskgrid/maskgrid/main)/"
)
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
FENCE = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "python/maskgrid/models/faces/README.md": "bundled-model.md",
}
# The site has a navigation of its own in its place.
REPLACED = {"docs/README.md": "index.md"}


def page_places(root: Path) -> dict[str, str]:
    """Where each file of the repository that is a page, or a page's picture, lies in the site's source."""
    docs = root / "docs"
    found = dict(OUTSIDE)
    for path in sorted(docs.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and name not in REPLACED:
            found[name] = path.relative_to(docs).as_posix()
    return found


def stage_pages(root: Path, folder: Path) -> list[str]:
    """Copies all pages and pictures into `folder`.

    Returns:
        The pages, as paths in `folder`.
    """
    places = page_places(root)
    for name, place in places.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".md"):
            text = (root / name).read_text(encoding="utf-8")
            target.write_text(rewrite_links(text, name, root, places | REPLACED), encoding="utf-8")
        else:
            shutil.copyfile(root / name, target)
    return [place for place in places.values() if place.endswith(".md")]


def rewrite_links(text: str, name: str, root: Path, places: dict[str, str]) -> str:
    """A page's text with links to pages as they lie in the site, and to other files as they lie on GitHub.

    Args:
        text: Markdown; blocks of code stay as they are.
        name: The page's path in the repository.
        root: The repository.
        places: Of `page_places`.
    """

    def moved(found: re.Match[str]) -> str:
        path, hash_sign, anchor = found[1].partition("#")
        inside = BLOB.sub("", path)
        if inside == path:
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if not path or "://" in inside or not (root / inside).exists():
            return found[1]
        if inside in places:
            return (
                posixpath.relpath(places[inside], posixpath.dirname(places[name]) or ".") + hash_sign + anchor
            )
        kind = "tree" if (root / inside).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{inside}{hash_sign}{anchor}"

    parts = FENCE.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(moved, part) for part in parts)
