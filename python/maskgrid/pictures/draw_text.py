"""Lines of text in a picture: in fonts that have their letters, wrapped and cut to a width."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Any

from maskgrid.pictures.find_fonts import font_folders, font_with, has_letters, own_font

__all__ = ["draw_line", "legible", "line_width", "wrap_text"]

_ELLIPSIS = "..."


def draw_line(draw: Any, place: tuple[float, float], text: str, size: int, **options: Any) -> None:
    """Draw a line of text, each letter in a font that has it.

    Args:
        draw: An ImageDraw.
        place: Left end and baseline, in pixels.
        text: The line, as `legible` gives it.
        size: Of the letters, in pixels.
        **options: As ImageDraw.text takes them, such as fill.
    """
    left, baseline = place
    for part, font in _runs(text, size):
        draw.text((left, baseline), part, font=font, anchor="ls", **options)
        left += font.getlength(part)


def line_width(text: str, size: int) -> float:
    """How wide a line of text is, in pixels."""
    return float(sum(font.getlength(part) for part, font in _runs(text, size)))


def legible(text: str, size: int = 14) -> str:
    """A text in one line that this machine can draw: what no font has is escaped as Python does it.

    Args:
        text: Any text.
        size: Of the letters, in pixels.

    Returns:
        Without line breaks and invisible marks, and with an escape in place of what would be a box.
    """
    shown = "".join(each for each in text if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf"))
    line = " ".join(unicodedata.normalize("NFC", shown).split())
    return "".join(each if _font_of(each, size) else _escape(each) for each in line)


def wrap_text(text: str, size: int, width: float, lines: int) -> list[str]:
    """A text as lines of at most a width, broken at spaces where there are any; the last one ends in dots.

    Args:
        text: What `legible` gives.
        size: Of the letters, in pixels.
        width: In pixels.
        lines: How many there may be.

    Returns:
        The lines; none for an empty text.
    """
    # No letter is thinner than a pixel, so that a text of any length is measured quickly.
    rest = text[: int(width) * lines + 1]
    result: list[str] = []
    while rest and len(result) < lines:
        count = _fitting(rest, size, width)
        space = rest.rfind(" ", 0, count + 1)
        if count < len(rest) and space > 0:
            count = space
        result.append(rest[:count].rstrip())
        rest = rest[count:].lstrip()
    if rest and result:
        last = result[-1]
        last = last[: _fitting(last, size, width - line_width(_ELLIPSIS, size))]
        result[-1] = last.rstrip() + _ELLIPSIS
    return result


def _fitting(text: str, size: int, width: float) -> int:
    """How many letters of a text a line can take, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if line_width(text[:middle], size) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _runs(text: str, size: int) -> list[tuple[str, Any]]:
    """A line as parts, each with a font that has all of its letters; in one font where one has them all."""
    own = own_font(size)
    if has_letters(own, text):
        return [(text, own)] if text else []
    whole = font_with("".join(sorted(set(text))), size, font_folders())
    if whole is not None:
        return [(text, whole)]
    fonts = [(letter, _font_of(letter, size) or own) for letter in text]
    groups = [list(group) for _, group in itertools.groupby(fonts, key=lambda each: id(each[1]))]
    return [("".join(letter for letter, _ in group), group[0][1]) for group in groups]


def _font_of(letter: str, size: int) -> Any | None:
    own = own_font(size)
    return own if has_letters(own, letter) else font_with(letter, size, font_folders())


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
