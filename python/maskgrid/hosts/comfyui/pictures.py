"""The picture nodes: stencils, forks pasted over the sheet's own pixels, previews and contact sheets.

All calls of `maskgrid.pictures` that the nodes need are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from maskgrid.errors import InvalidValueError
from maskgrid.geometry import ForkPlan, Grid, canvas
from maskgrid.hosts.comfyui.sheet_plan import read_cells, stencil_of
from maskgrid.pictures.contact_sheet import Panel, contact_sheet
from maskgrid.pictures.paste_weights import paste_weights
from maskgrid.pictures.prepare_stencil import prepare_stencil as prepare_pixel_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compare_sheets", "paste_forks", "prepare_stencil", "preview_grid"]


def prepare_stencil(mask: torch.Tensor, **steps: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Prepare a stencil of ComfyUI's pictures for the cells.

    Args:
        mask: (B, H, W, C), (B, H, W) or (H, W).
        steps: As `maskgrid.pictures.prepare_stencil.prepare_stencil` takes them.

    Returns:
        The same as an IMAGE (B, H, W, 3) and as a MASK (B, H, W).
    """
    pictures = [stencil_of(picture, 1) for picture in (mask[None] if mask.ndim == 2 else mask[:, None])]
    ready = [torch.from_numpy(prepare_pixel_mask(picture, **steps)) for picture in pictures]
    result = torch.stack(ready)
    return result[..., None].expand(-1, -1, -1, 3).contiguous(), result


def paste_forks(
    forks: torch.Tensor,
    sheet: torch.Tensor,
    mask: torch.Tensor,
    rows: int,
    columns: int,
    *,
    cells: str = "",
    feather: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decoded forks cut out and laid over the sheet's own pixels; outside the stencil no bit changes.

    Args:
        forks: (n * B, H, W, C), fork after fork.
        sheet: (B, H, W, C), the picture that was encoded.
        mask: The stencil.
        rows: Rows of cells.
        columns: Columns of cells.
        cells: The cells of the forks, as `read_cells` takes it.
        feather: Pixels inside a hard stencil's edge over which old and new mix.

    Returns:
        The forks, (n * B, H, W, C), and the merged sheet, (B, H, W, C).

    Raises:
        InvalidValueError: Sizes or counts that do not fit each other.
    """
    grid, alpha = _alpha(mask, rows, columns, feather)
    numbers = read_cells(cells, len(grid))
    numbers = list(range(len(grid))) if numbers is None else numbers
    expected = (len(numbers) * len(sheet), *sheet.shape[1:3])
    if tuple(forks.shape[:3]) != expected or tuple(sheet.shape[1:3]) != tuple(grid.canvas):
        raise InvalidValueError(
            f"forks have shape {tuple(forks.shape)}, the sheet {tuple(sheet.shape)} and the grid is "
            f"{grid.canvas.height} x {grid.canvas.width} px; allowed: one size, and {expected[0]} forks of "
            f"{len(numbers)} cells"
        )
    sheet = sheet.detach().cpu()
    forks = forks.detach().to(sheet)
    places = [grid.cell_rect(number) for number in numbers]
    masks = alpha[numbers] if len(alpha) > 1 else alpha[0]
    pasted = torch.empty_like(forks)
    merged = torch.empty_like(sheet)
    for item, original in enumerate(sheet):
        own = forks[item :: len(sheet)]
        patches = torch.stack([fork[rect.slices] for fork, rect in zip(own, places, strict=True)])
        pasted[item :: len(sheet)] = canvas.paste(original, patches, places, masks)
        merged[item] = canvas.paste(original, patches, places, masks, together=True)
    return pasted, merged


def preview_grid(
    sheet: torch.Tensor,
    mask: torch.Tensor,
    rows: int,
    columns: int,
    *,
    coverage: str = "center",
    stride: int = 8,
) -> torch.Tensor:
    """Grid, stencil, noise mask and what the coverage loses, drawn over the sheet.

    Args:
        sheet: (B, H, W, C), of which the first is shown.
        mask: The stencil.
        rows: Rows of cells.
        columns: Columns of cells.
        coverage: As `ForkPlan` has it.
        stride: Pixels per latent cell.

    Returns:
        (1, H', W', 3).

    Raises:
        InvalidValueError: Sizes that do not fit each other.
    """
    grid, alpha = _alpha(mask, rows, columns, 0.0, stride=stride)
    pixels = _pixels(sheet, grid)
    plan = ForkPlan(grid, stencil_of(mask, rows * columns), coverage=coverage)
    stencil = np.zeros(tuple(grid.canvas), np.float32)
    for number, rect in enumerate(grid.cell_rects):
        stencil[rect.slices] = alpha[number if len(alpha) > 1 else 0]
    latent = np.asarray(plan.sheet_mask())[0, 0]
    blocks = np.kron(latent, np.ones((stride, stride), np.float32))[: stencil.shape[0], : stencil.shape[1]]
    lost = ((stencil > 0) & (blocks == 0)).astype(np.float32)
    share = lost.sum() / max(1, (stencil > 0).sum())
    lined = _lined(pixels, grid)
    panels = [
        Panel("sheet", lined),
        Panel("stencil", lined, stencil),
        Panel(f"noise mask, {coverage}", lined, blocks),
        Panel(f"lost, {share:.1%} of the stencil", lined, lost),
    ]
    told = f"{rows} x {columns} cells of {grid.cell.height} x {grid.cell.width} px, stride {stride}"
    # Two rows of two, so that something can be seen in a node.
    halves = [contact_sheet(panels[:2], grid), contact_sheet(panels[2:], grid, settings=told)]
    paper = halves[0].getpixel((0, 0))
    width, height = max(half.width for half in halves), sum(half.height for half in halves)
    stacked = np.full((height, width, 3), paper, np.uint8)
    stacked[: halves[0].height, : halves[0].width] = np.asarray(halves[0])
    stacked[halves[0].height :, : halves[1].width] = np.asarray(halves[1])
    return _image(stacked)


def compare_sheets(
    before: torch.Tensor, after: torch.Tensor, mask: torch.Tensor | None, rows: int, columns: int
) -> torch.Tensor:
    """Before, stencil and after side by side, (1, H', W', 3).

    Args:
        before: (B, H, W, C), of which the first is shown.
        after: (n, H, W, C): all are shown.
        mask: The stencil, None to leave it out.
        rows: Rows of cells.
        columns: Columns of cells.

    Raises:
        InvalidValueError: Sizes that do not fit each other.
    """
    grid = Grid.from_canvas(before.shape[1:3], rows, columns, stride=1)
    pixels = _pixels(before, grid)
    panels = [Panel("before", pixels)]
    if mask is not None:
        cells, alpha = _alpha(mask, rows, columns, 0.0)
        if cells.canvas != grid.canvas:
            raise InvalidValueError(
                f"the mask makes a sheet of {cells.canvas.height} x {cells.canvas.width} px; allowed: "
                f"{grid.canvas.height} x {grid.canvas.width}"
            )
        shown = np.zeros(tuple(grid.canvas), np.float32)
        for number, rect in enumerate(grid.cell_rects):
            shown[rect.slices] = alpha[number if len(alpha) > 1 else 0]
        panels.append(Panel("stencil", pixels, shown))
    titles = ["after"] if len(after) == 1 else [f"fork {number}" for number in range(len(after))]
    panels += [Panel(title, _pixels(image[None], grid)) for title, image in zip(titles, after, strict=True)]
    return _image(contact_sheet(panels, grid))


def _alpha(
    mask: torch.Tensor, rows: int, columns: int, feather: float, *, stride: int = 1
) -> tuple[Grid, NDArray[np.float32]]:
    """The grid of a stencil, and (1 or N, h, w) how much of a new cell shows."""
    stencil = stencil_of(mask, rows * columns)
    cell = stencil.shape[-2], stencil.shape[-1]
    return Grid(rows, columns, cell=cell, stride=stride), paste_weights(stencil.numpy(), feather)


def _pixels(image: torch.Tensor, grid: Grid) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of the first of ComfyUI's pictures."""
    if tuple(image.shape[1:3]) != tuple(grid.canvas):
        raise InvalidValueError(
            f"the image is {image.shape[1]} x {image.shape[2]} px; allowed: {grid.canvas.height} x "
            f"{grid.canvas.width}, the size of the sheet"
        )
    values = image[0].detach().float().cpu().clamp(0, 1).numpy()
    values = np.repeat(values[..., :1], 3, 2) if values.shape[2] < 3 else values[..., :3]
    result: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return result


def _lined(pixels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """A picture with the borders of the cells in dark lines."""
    result = pixels.copy()
    for rect in grid.cell_rects:
        for line in (
            np.s_[rect.top, rect.left : rect.right],
            np.s_[rect.bottom - 1, rect.left : rect.right],
            np.s_[rect.top : rect.bottom, rect.left],
            np.s_[rect.top : rect.bottom, rect.right - 1],
        ):
            result[line] = (32, 33, 36)
    return result


def _image(picture: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture, np.float32) / np.float32(255))[None]
