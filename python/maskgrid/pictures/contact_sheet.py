"""The contact sheet: before, stencil and after as panels with cells numbered, prompt and settings below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.pictures.draw_text import draw_line, legible, line_width, wrap_text
from maskgrid.pictures.open_image import pillow
from maskgrid.pictures.paint_panel import paint_panel
from maskgrid.pictures.panel_layout import BORDER, GAP, lay_out_panels
from maskgrid.pictures.tries_panel import TriesPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid
    from maskgrid.pictures.panel_layout import PanelLayout
    from maskgrid.pictures.tries_panel import CellTries

__all__ = ["Panel", "contact_sheet", "layout_of"]

_PAPER, _INK, _FAINT = (250, 250, 248), (32, 33, 36), (128, 130, 134)
_TITLE, _SMALL, _LINE = 18, 14, 20
_NARROWEST = 420
"""Pixels of text below a sheet that is narrower, so that its settings can be read."""
_FEW_TRIES, _MANY_TRIES = 900, 1440
"""Pixels of width that the tries of up to three cells, or of more, may have below a narrower sheet."""
_PROMPT_LINES, _SETTINGS_LINES = 3, 2


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture of the sheet in a contact sheet.

    Attributes:
        title: What stands above it.
        pixels: (H, W, 3 or 4) uint8.
        mask: (H, W) float32 in [0, 1] to lay over it in colour; None for none.
    """

    title: str
    pixels: NDArray[np.uint8]
    mask: NDArray[np.float32] | None = None


def contact_sheet(
    panels: Sequence[Panel],
    grid: Grid,
    *,
    prompt: str = "",
    settings: str = "",
    tries: Sequence[CellTries] = (),
) -> Image:
    """Panels of one sheet, each with a title and row and column numbers, and below them what made it.

    Args:
        panels: What to show; strips are stacked, other sheets stand side by side.
        grid: Where the cells lie, for the numbers.
        prompt: What was drawn; up to three lines, so that no prompt is in the way of the settings.
        settings: Such as mode, sampler and seed; up to two lines.
        tries: Cells with their forks, one by one, below the panels; for cells that have several.

    Returns:
        An RGB picture.
    """
    layout = layout_of(panels, grid)
    height, width = layout.size
    room = max(width, _NARROWEST + 2 * BORDER) - 2 * BORDER
    shown = TriesPanel(tries, max(room, _FEW_TRIES if len(tries) < 4 else _MANY_TRIES)) if tries else None
    top = height + GAP
    if shown:
        room, height = max(room, shown.size[1]), top + shown.size[0]
    told = [(line, _INK) for line in wrap_text(legible(prompt, _SMALL), _SMALL, room, _PROMPT_LINES)]
    told += [(line, _FAINT) for line in wrap_text(legible(settings, _SMALL), _SMALL, room, _SETTINGS_LINES)]
    foot = 18 + (8 + _LINE * len(told) if told else 0)
    picture: Image = pillow().new("RGB", (room + 2 * BORDER, height + foot), _PAPER)
    draw = _draw(picture)
    for number, panel in enumerate(panels):
        left, corner_top = layout.corner(number)
        picture.paste(paint_panel(panel.pixels, layout.panel, panel.mask), (left, corner_top))
        draw_line(draw, (left, corner_top - 38), legible(panel.title, _TITLE), _TITLE, fill=_INK)
        _number_cells(draw, grid, layout.scale, (left, corner_top))
    if shown:
        shown.paint(picture, draw, (BORDER, top))
    for number, (line, colour) in enumerate(told):
        draw_line(draw, (BORDER, height + 8 + _LINE * (number + 1)), line, _SMALL, fill=colour)
    return picture


def layout_of(panels: Sequence[Panel], grid: Grid) -> PanelLayout:
    """Where the panels of a contact sheet lie in it."""
    return lay_out_panels(grid, [line_width(legible(panel.title, _TITLE), _TITLE) for panel in panels])


def _number_cells(draw: Any, grid: Grid, scale: float, corner: tuple[int, int]) -> None:
    """Numbers of columns above and of rows on the left, as many as there is room for."""
    left, top = corner
    cell = grid.cell_rect(0)
    across = _every((cell.right - cell.left) * scale, line_width(str(grid.columns - 1), _SMALL) + 6)
    for column in range(0, grid.columns, across):
        rect = grid.cell_rect(column)
        name = str(column)
        middle = left + (rect.left + rect.right) / 2 * scale
        draw_line(draw, (middle - line_width(name, _SMALL) / 2, top - 9), name, _SMALL, fill=_FAINT)
    down = _every((cell.bottom - cell.top) * scale, _SMALL + 2)
    for row in range(0, grid.rows, down):
        rect = grid.cell_rect(row * grid.columns)
        name = str(row)
        baseline = top + (rect.top + rect.bottom) / 2 * scale + _SMALL * 0.36
        draw_line(draw, (left - 10 - line_width(name, _SMALL), baseline), name, _SMALL, fill=_FAINT)


def _every(room: float, needed: float) -> int:
    """Which of a sheet's row and column numbers fit: each second, each third, ..."""
    return max(1, -int(-needed // max(room, 1e-9)))


def _draw(picture: Any) -> Any:
    from PIL import ImageDraw

    return ImageDraw.Draw(picture)
