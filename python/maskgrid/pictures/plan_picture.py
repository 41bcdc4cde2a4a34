"""A plan drawn over its sheet: cells, stencil, windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.pictures.contact_sheet import Panel, contact_sheet, layout_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import ForkPlan, Grid, Rect
    from maskgrid.pictures.panel_layout import PanelLayout

__all__ = ["plan_picture", "zoomed_plan_picture"]

_CELL, _WINDOW, _KEPT = (32, 33, 36), (25, 103, 210), (128, 130, 134)


def plan_picture(
    pixels: NDArray[np.uint8],
    plan: ForkPlan,
    grid: Grid,
    alpha: NDArray[np.float32],
    *,
    shows_windows: bool = False,
) -> Image:
    """The sheet with the stencil over it, and the noise masks; on request with the windows of the plan.

    Args:
        pixels: (H, W, 3 or 4) uint8, the sheet.
        plan: The forks; its grid's canvas may be larger than the sheet, rounded up for the network.
        grid: Where the cells lie in the sheet.
        alpha: (1 or N, h, w) float32, how much of a new cell will show.
        shows_windows: Draw the plan's windows.

    Returns:
        An RGB picture of two panels.
    """
    shown = _lay_stencil(grid, plan.cells, alpha)
    size, window = plan.grid.latent_size, plan.window_size
    windows = f", windows of {window.height} x {window.width} latent cells (blue)" if shows_windows else ""
    # Latent cells as blocks of pixels, so that it shows what the network can tell apart.
    blocks = np.kron(plan.sheet_mask()[0, 0], np.ones((grid.stride, grid.stride), np.float32))
    white = np.full_like(pixels[..., :3], 255)
    title = f"noise masks, {size.height} x {size.width} latent cells"
    settings = f"{len(plan)} forks, stride {grid.stride}, coverage {plan.coverage}{windows}"
    panels = [Panel("stencil", pixels, shown), Panel(title, white, _fit(blocks, shown.shape))]
    picture = contact_sheet(panels, grid, settings=settings)
    layout = layout_of(panels, grid)
    _outline_cells(picture, plan.cells, grid, layout)
    if shows_windows:
        windows_of_forks = [fork.window for fork in plan]
        overlap = plan.halo > 0 or plan.align > 1
        _outline_rects(picture, windows_of_forks, layout, panel=1, unit=grid.stride, overlap=overlap)
    return picture


def zoomed_plan_picture(
    pixels: NDArray[np.uint8],
    grid: Grid,
    forks: Mapping[int, Rect],
    alpha: NDArray[np.float32],
    noise: NDArray[np.float32],
    *,
    settings: str,
) -> Image:
    """The sheet with the stencil over it, and with the windows that are enlarged for a model.

    Args:
        pixels: (H, W, 3 or 4) uint8, the sheet.
        grid: Where the cells lie in it.
        forks: By cell, the window of its fork in pixels.
        alpha: (1 or N, h, w) float32, how much of a new cell will show.
        noise: (H, W) float32, the noise masks brought back to the sheet.
        settings: What stands below.

    Returns:
        An RGB picture of two panels.
    """
    white = np.full_like(pixels[..., :3], 255)
    panels = [
        Panel("stencil, windows (blue)", pixels, _lay_stencil(grid, forks, alpha)),
        Panel("noise masks, brought back", white, noise),
    ]
    picture = contact_sheet(panels, grid, settings=settings)
    layout = layout_of(panels, grid)
    _outline_cells(picture, forks, grid, layout)
    _outline_rects(picture, list(forks.values()), layout, panel=0)
    return picture


def _lay_stencil(grid: Grid, cells: Collection[int], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) how much of each new cell shows, where it lies."""
    shown = np.zeros(tuple(grid.canvas), np.float32)
    for cell in cells:
        shown[grid.cell_rect(cell).slices] = alpha[cell if len(alpha) > 1 else 0]
    return shown


def _fit(blocks: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Cut or continued with 0 to the sheet's size."""
    height, width = shape
    below, right = max(height - blocks.shape[0], 0), max(width - blocks.shape[1], 0)
    fitted: NDArray[np.float32] = np.pad(blocks, ((0, below), (0, right)))[:height, :width]
    return fitted


def _outline_cells(picture: Any, forked: Collection[int], grid: Grid, layout: PanelLayout) -> None:
    """Draw the outlines of cells over both panels of a plan."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    for panel in range(2):
        left, top = layout.corner(panel)
        for cell in range(len(grid)):
            colour = _CELL if cell in forked else _KEPT
            draw.rectangle(_box(grid.cell_rect(cell), layout.scale, left, top), outline=colour)


def _outline_rects(
    picture: Any,
    rects: Sequence[Rect],
    layout: PanelLayout,
    *,
    panel: int,
    unit: int = 1,
    overlap: bool = True,
) -> None:
    """Draw the outlines of windows over a panel of a plan.

    Args:
        picture: The picture of the plan.
        rects: The windows, in units.
        layout: Where its panels lie.
        panel: Which of them.
        unit: Pixels of the sheet per unit.
        overlap: Whether windows overlap; each is then a little smaller than the last, so that all show.
    """
    from PIL import ImageDraw

    draw, scale = ImageDraw.Draw(picture), layout.scale
    left, top = layout.corner(panel)
    height, width = layout.panel
    for number, rect in enumerate(rects):
        x0, y0, x1, y1 = _box(rect, scale * unit, left, top)
        inset = 2 + 2 * (number % 3) * overlap
        box = (x0 + inset, y0 + inset, min(x1, left + width) - inset, min(y1, top + height) - inset)
        if box[0] < box[2] and box[1] < box[3]:
            draw.rectangle(box, outline=_WINDOW, width=1)


def _box(rect: Rect, scale: float, left: float, top: float) -> tuple[float, float, float, float]:
    return (
        left + rect.left * scale,
        top + rect.top * scale,
        left + rect.right * scale - 1,
        top + rect.bottom * scale - 1,
    )
