"""Finds the links, pictures and anchors of a built website that lead nowhere."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["find_lost"]


class _Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remembers ids, and what `href` and `src` say."""
        for name, value in attrs:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.anchors.add(value)
            elif value and name in ("href", "src") and tag != "base":
                self.targets.append(value)


def find_lost(folder: Path, base: str = "/") -> list[tuple[str, str]]:
    """Pairs of a page and a target in this site that it does not have.

    Args:
        folder: The built site.
        base: The path that the site is served under, with a slash at its end.
    """
    pages = {path: _read(path) for path in sorted(folder.rglob("*.html"))}
    return [
        (path.relative_to(folder).as_posix(), target)
        for path, page in pages.items()
        for target in page.targets
        if not _is_there(path, target, folder, pages, base)
    ]


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _is_there(path: Path, target: str, folder: Path, pages: dict[Path, _Page], base: str) -> bool:
    address = urlsplit(target)
    if address.scheme or address.netloc:
        return True
    place = unquote(address.path)
    if place.startswith("/"):
        where = folder / place.removeprefix(base) if place.startswith(base) else folder / "outside the site"
    else:
        where = path.parent / place if place else path
    found = next((one for one in _files(where.resolve()) if one.is_file()), None)
    if found is None:
        return False
    anchor = unquote(address.fragment)
    return not anchor or found not in pages or anchor in pages[found].anchors


def _files(where: Path) -> Iterator[Path]:
    yield where
    yield where / "index.html"
