"""The tries of each cell in a contact sheet: the cell before, then each of its forks with number and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.pictures.draw_text import draw_line, legible, line_width, wrap_text
from maskgrid.pictures.paint_panel import paint_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["CellTries", "TriesPanel"]

_INK, _FAINT = (32, 33, 36), (128, 130, 134)
_SMALL, _LINE, _GAP, _BETWEEN = 14, 20, 12, 26
_SIDE, _MOST = 112, 160
"""About how many pixels a cell's longer side has, and has at most; small cells grow by whole numbers."""
_ACROSS = 6
"""Pictures of a cell in a line."""


@dataclass(frozen=True, eq=False)
class CellTries:
    """A cell and its forks, as a contact sheet shows them.

    Attributes:
        title: Which cell it is, and what was asked for there.
        before: (h, w, 3 or 4) uint8.
        tries: For each fork its (h, w, 3 or 4) uint8 and what stands below it.
    """

    title: str
    before: NDArray[np.uint8]
    tries: Sequence[tuple[NDArray[np.uint8], str]]


class TriesPanel:
    """Blocks of tries, a block a cell, as many side by side as there is room for.

    Args:
        cells: What to show, one or more.
        room: Pixels of width that there are; one block may need more.

    Attributes:
        size: Height and width of all of it.
    """

    def __init__(self, cells: Sequence[CellTries], room: int) -> None:
        self._cells = cells
        height, width = cells[0].before.shape[:2]
        longest, count = max(height, width), 1 + max(len(each.tries) for each in cells)
        scale = _MOST / longest if longest > _MOST else max(1, round(_SIDE / longest))
        self._picture = (max(1, round(height * scale)), max(1, round(width * scale)))
        words = [legible(text, _SMALL) for each in cells for _, text in each.tries]
        self._slot = max(self._picture[1], *(round(line_width(each, _SMALL)) + 1 for each in words))
        across = min(count, _ACROSS, max(2, (room + _GAP) // (self._slot + _GAP)))
        self._across, lines = across, -(-count // across)
        width = across * (self._slot + _GAP) - _GAP
        self._titles = [wrap_text(legible(each.title, _SMALL), _SMALL, width, 2) for each in cells]
        self._head = _LINE * max(map(len, self._titles)) + 4
        self._block = (self._head + lines * (self._picture[0] + _LINE + 8), width)
        self._columns = max(1, (room + _BETWEEN) // (self._block[1] + _BETWEEN))
        rows = -(-len(cells) // self._columns)
        self._columns = -(-len(cells) // rows)
        self.size = (
            rows * (self._block[0] + _GAP),
            self._columns * (self._block[1] + _BETWEEN) - _BETWEEN,
        )

    def paint(self, picture: Image, draw: Any, corner: tuple[int, int]) -> None:
        """Paint the tries of all cells into a contact sheet.

        Args:
            picture: The contact sheet.
            draw: What draws on it.
            corner: Left and top of where.
        """
        left, top = corner
        for number, (cell, title) in enumerate(zip(self._cells, self._titles, strict=True)):
            row, column = divmod(number, self._columns)
            x, y = left + column * (self._block[1] + _BETWEEN), top + row * (self._block[0] + _GAP)
            for line, text in enumerate(title):
                draw_line(draw, (x, y + _LINE * (line + 1) - 5), text, _SMALL, fill=_INK)
            for place, (pixels, caption) in enumerate([(cell.before, "before"), *cell.tries]):
                down, across = divmod(place, self._across)
                where = (
                    x + across * (self._slot + _GAP),
                    y + self._head + down * (self._picture[0] + _LINE + 8),
                )
                picture.paste(paint_panel(pixels, self._picture), where)
                below = (where[0], where[1] + self._picture[0] + _LINE - 4)
                draw_line(draw, below, legible(caption, _SMALL), _SMALL, fill=_FAINT)
