"""Where the panels of a contact sheet lie: side by side, or one below the other for a strip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskgrid.geometry import Grid

__all__ = ["PanelLayout", "lay_out_panels"]

BORDER, HEAD, GAP = 34, 66, 18
_SIDE, _MOST = 460, 900
"""About how many pixels a panel's longer side has, and has at most; small sheets grow by whole numbers."""
_STRIP = 1.6
"""Sheets that are so much wider than high are stacked."""
_IN_A_ROW = 4


@dataclass(frozen=True)
class PanelLayout:
    """Where the panels of a contact sheet lie, of one size in rows.

    Attributes:
        scale: Pixels of a panel per pixel of the sheet: a whole number, or below 1 for large sheets.
        panel: Height and width of a panel.
        slot: Width that a panel and its title have.
        columns: Panels in a row.
        rows: Rows of panels.
    """

    scale: float
    panel: tuple[int, int]
    slot: int
    columns: int
    rows: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all panels, with their heads and borders."""
        height = self.rows * (HEAD + self.panel[0]) + (self.rows - 1) * GAP
        return height, self.columns * (self.slot + BORDER) + BORDER

    def corner(self, number: int) -> tuple[int, int]:
        """Left and top of a panel's picture in the layout."""
        row, column = divmod(number, self.columns)
        return BORDER + column * (self.slot + BORDER), HEAD + row * (HEAD + self.panel[0] + GAP)


def lay_out_panels(grid: Grid, titles: Sequence[float]) -> PanelLayout:
    """Arrange panels that each show a sheet.

    Args:
        grid: Whose canvas the panels show.
        titles: How many pixels wide the title of each panel is.

    Returns:
        The layout: strips one below the other, other sheets in even rows of up to four.
    """
    height, width = grid.canvas
    count, is_strip = len(titles), width >= _STRIP * height
    columns = 1 if is_strip else math.ceil(count / math.ceil(count / _IN_A_ROW))
    many = count > _IN_A_ROW and not is_strip
    side, most = (_SIDE * (2 if is_strip else 1) / (2 if many else 1), _MOST / (2 if many else 1))
    longest = max(height, width)
    scale = most / longest if longest > most else max(1, round(side / longest))
    panel = (max(1, round(height * scale)), max(1, round(width * scale)))
    slot = max(panel[1], *(math.ceil(title) for title in titles))
    return PanelLayout(scale, panel, slot, columns, math.ceil(count / columns))
