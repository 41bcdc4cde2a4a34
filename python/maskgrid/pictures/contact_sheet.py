"""The contact sheet: before, stencil and after side by side, rows and columns labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.pictures.open_image import pillow
from maskgrid.pictures.pixel_arrays import to_pil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid

__all__ = ["contact_sheet", "panel_corner", "panel_scale", "tinted"]

_PAPER, _INK, _FAINT = (250, 250, 248), (32, 33, 36), (128, 130, 134)
_TINT = (255, 64, 129)
_SIDE = 460
"""About how many pixels a panel's longer side has; small sheets are scaled up by whole numbers."""
_MOST = 900
"""Panels larger than this are scaled down."""
_BORDER, _HEAD = 34, 66


def contact_sheet(panels: Sequence[tuple[str, NDArray[np.uint8]]], grid: Grid, *, footer: str = "") -> Image:
    """Panels of one sheet side by side, each with a title, row and column numbers on the outside.

    Args:
        panels: Titles and (H, W, 3 or 4) uint8 pictures of the sheet.
        grid: Where the cells lie, for the numbers.
        footer: A line below, such as the settings.

    Returns:
        An RGB picture.
    """
    scale = panel_scale(grid)
    font, small = _font(18), _font(14)
    height, width = round(grid.canvas.height * scale), round(grid.canvas.width * scale)
    foot = 44 if footer else 18
    size = (len(panels) * (width + _BORDER) + _BORDER, _HEAD + height + foot)
    picture = pillow().new("RGB", size, _PAPER)
    draw = _draw(picture)
    for number, (title, pixels) in enumerate(panels):
        left, top = panel_corner(number, grid)
        picture.paste(_scaled(pixels, (width, height), scale), (left, top))
        draw.text((left, 10), _fitting(title, font, width), fill=_INK, font=font)
        _labels(draw, grid, scale, (left, top), small)
    caption = _fitting(footer, small, size[0] - 2 * _BORDER)
    draw.text((_BORDER, _HEAD + height + 14), caption, fill=_FAINT, font=small)
    return picture  # type: ignore[no-any-return]


def tinted(pixels: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture with a mask (H, W) in [0, 1] laid over it in colour; what is kept fades."""
    picture = pixels[..., :3].astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True) * 0.35 + 255 * 0.62
    inside = picture * 0.45 + np.array(_TINT, np.float32) * 0.55
    share = alpha[..., None]
    result: NDArray[np.uint8] = np.rint(grey * (1 - share) + inside * share).astype(np.uint8)
    return result


def panel_scale(grid: Grid) -> float:
    """Pixels of a panel per pixel of the sheet: a whole number for small sheets, below 1 for large ones."""
    side = max(grid.canvas)
    return _MOST / side if side > _MOST else max(1, round(_SIDE / side))


def panel_corner(number: int, grid: Grid) -> tuple[int, int]:
    """Left and top of a panel in the contact sheet."""
    return _BORDER + number * (round(grid.canvas.width * panel_scale(grid)) + _BORDER), _HEAD


def _fitting(text: str, font: Any, width: int) -> str:
    """A line of text, cut where it would be wider than this."""
    # No character is thinner than a pixel, so that a text of any length is measured quickly.
    line = " ".join(text.split())
    if len(line) <= width and font.getlength(line) <= width:
        return line
    line = line[:width]
    while line and font.getlength(line + "...") > width:
        line = line[: -max(len(line) // 10, 1)]
    return line + "..."


def _scaled(pixels: NDArray[np.uint8], size: tuple[int, int], scale: float) -> Image:
    image = to_pil(pixels)
    if image.mode == "RGBA":
        ground = pillow().new("RGBA", image.size, (*_PAPER, 255))
        image = pillow().alpha_composite(ground, image)
    # Whole factors keep every pixel of a small sheet visible as it is.
    resampling = pillow().Resampling
    return image.convert("RGB").resize(size, resampling.NEAREST if scale >= 1 else resampling.LANCZOS)


def _labels(draw: Any, grid: Grid, scale: float, corner: tuple[int, int], font: Any) -> None:
    left, top = corner
    for column in range(grid.columns):
        rect = grid.cell_rect(column)
        middle = left + (rect.left + rect.right) / 2 * scale
        draw.text((middle, top - 14), str(column), fill=_FAINT, font=font, anchor="mm")
    for row in range(grid.rows):
        rect = grid.cell_rect(row * grid.columns)
        middle = top + (rect.top + rect.bottom) / 2 * scale
        draw.text((left - 14, middle), str(row), fill=_FAINT, font=font, anchor="mm")


def _draw(picture: Any) -> Any:
    from PIL import ImageDraw

    return ImageDraw.Draw(picture)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
