"""Fonts of this machine that can draw a text: Pillow's own first, then whatever has the letters it lacks."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["font_folders", "font_with", "has_letters", "own_font"]

_PREFERRED = (
    *("notosans-regular", "dejavusans", "liberationsans-regular", "segoeui", "helvetica", "arial"),
    *("notosanscjk", "sourcehansans", "notosanssc", "notosansjp", "notosanskr", "wqy", "droidsansfallback"),
    *("pingfang", "hiragino", "applesdgothic", "msyh", "msgothic", "yugoth", "malgun", "simhei", "simsun"),
    *("arialunicode", "arial unicode", "unifont"),
)
"""How the names of upright fonts of many scripts begin, the better ones first."""
_ODD = (
    "bold",
    "italic",
    "oblique",
    "condensed",
    "narrow",
    "mono",
    "emoji",
    "symbol",
    "thin",
    "black",
    "light",
)
_MOST = 300
"""Files that are tried at most; a machine of a designer has thousands."""
_NOWHERE = "\uffff"
"""No letter, in no font: it is drawn as the box for what is missing."""


@lru_cache(maxsize=16)
def own_font(size: int) -> Any:
    """The font that comes with Pillow; it has little besides the letters of English."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def has_letters(font: Any, text: str) -> bool:
    """Whether a font has a glyph for every letter of a text."""
    missing = _draw_letter(font, _NOWHERE)
    return all(letter.isspace() or _draw_letter(font, letter) != missing for letter in set(text))


@lru_cache(maxsize=1024)
def font_with(text: str, size: int, folders: tuple[str, ...]) -> Any | None:
    """The first font of this machine that has every letter of a text.

    Args:
        text: What is to be drawn.
        size: In pixels.
        folders: Where fonts lie, such as `font_folders()`.

    Returns:
        A font of Pillow's; None where no font has them all.
    """
    from PIL import ImageFont

    for path in _files(folders):
        try:
            font = ImageFont.truetype(path, size)
            if has_letters(font, text):
                return font
        # Some are broken, some only have bitmaps of other sizes.
        except (OSError, ValueError):
            continue
    return None


def font_folders() -> tuple[str, ...]:
    """The folders in which this system keeps its fonts."""
    home = Path.home() if os.environ.get("HOME") or sys.platform == "win32" else Path("/")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home / "AppData" / "Local"))
        folders = [
            Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts",
            Path(local) / "Microsoft/Windows/Fonts",
        ]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    else:
        data = os.environ.get("XDG_DATA_HOME", str(home / ".local" / "share"))
        folders = [
            Path("/usr/share/fonts"),
            Path("/usr/local/share/fonts"),
            Path(data) / "fonts",
            home / ".fonts",
        ]
    return tuple(map(str, folders))


@lru_cache(maxsize=8)
def _files(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Font files, those that are likely to be good first."""
    found = [
        os.path.join(folder, name)  # noqa: PTH118 - thousands of them
        for root in folders
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc", ".otc"))
    ]
    return tuple(sorted(found, key=_rank)[:_MOST])


def _rank(path: str) -> tuple[bool, int, str]:
    name = Path(path).stem.lower()
    place = next((i for i, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
    return any(word in name for word in _ODD), place, path


def _draw_letter(font: Any, letter: str) -> tuple[Any, bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
