"""Which cells of a LATENT fork, and their masks: what the nodes' mask, rows and columns mean for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import ForkPlan, Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SheetPlan", "over_time", "plan_sheet", "read_cells", "stencil_of", "stride_for"]


@dataclass(frozen=True, slots=True)
class SheetPlan:
    """The plan of the forks that a ComfyUI node was asked for.

    Attributes:
        grid: Where the cells lie.
        cells: The cell of each fork, row by row.
        live: The numbers of the forks with something to sample; the others stay as the sheet is.
        masks: (n, 1, h, w) float32, the noise masks of the live forks.
        union: (1, 1, h, w) float32, all of them together.
    """

    grid: Grid
    cells: tuple[int, ...]
    live: tuple[int, ...]
    masks: torch.Tensor
    union: torch.Tensor


def plan_sheet(
    mask: torch.Tensor,
    size: Sequence[int],
    rows: int,
    columns: int,
    *,
    stride: int | None,
    coverage: str = "center",
    cells: Sequence[int] | None = None,
) -> SheetPlan:
    """Read a stencil and lay it into the cells at latent size.

    Args:
        mask: (B, H, W, C) or (B, H, W), one for all cells or one per cell.
        size: (h, w) of the latents.
        rows: Rows of cells.
        columns: Columns of cells.
        stride: Pixels per latent cell, None when the model does not say.
        coverage: As `ForkPlan` has it.
        cells: Which to fork; default all.

    Raises:
        InvalidValueError: Sizes that do not fit each other, another count of masks, a cell that does not
            exist or is named twice.
    """
    stencil = stencil_of(mask, rows * columns)
    cell = stencil.shape[-2], stencil.shape[-1]
    grid = Grid(rows, columns, cell=cell, stride=stride_for(cell, size, rows, columns, stride=stride))
    wanted = tuple(range(len(grid)) if cells is None else cells)
    plan = ForkPlan(grid, stencil, coverage=coverage, cells=wanted)
    masks = torch.as_tensor(plan.noise_masks())
    # Values that only rounding takes past 1 where cells share a latent cell.
    union = torch.as_tensor(plan.sheet_mask()).clamp(max=1)
    if coverage == "center" and not any(side % grid.stride for side in cell):
        masks = _rounded_as_comfyui(stencil, plan)
        union = masks.sum(0, keepdim=True)
    seen = [bool((mask > 0).any()) for mask in masks]
    live = [wanted.index(cell) for cell, there in zip(plan.cells, seen, strict=True) if there]
    return SheetPlan(grid, wanted, tuple(live), masks[torch.tensor(seen, dtype=torch.bool)], union)


def _rounded_as_comfyui(stencil: torch.Tensor, plan: ForkPlan) -> torch.Tensor:
    """The noise masks (n, 1, h, w) of cells that the stride divides, with the last bit as ComfyUI has it.

    They are the plan's but for rounding; a sampler that chooses its steps by an error makes 2e-5 out of that.
    """
    grid = plan.grid
    size = tuple(side // grid.stride for side in grid.cell)
    pixels = stencil.reshape(-1, 1, *grid.cell)
    small = torch.nn.functional.interpolate(pixels, size=size, mode="bilinear")
    masks = torch.zeros(len(plan), 1, *grid.latent_size)
    for mask, number in zip(masks, plan.cells, strict=True):
        mask[(..., *grid.latent_rect(number).slices)] = small[number if len(small) > 1 else 0]
    return masks


def stencil_of(mask: torch.Tensor, count: int) -> torch.Tensor:
    """An IMAGE or a MASK as (H, W) for all cells or (count, H, W) for one each, values cut to [0, 1].

    Raises:
        InvalidTypeError: No tensor.
        InvalidValueError: Other axes, or another number of masks.
    """
    if not isinstance(mask, torch.Tensor):
        raise InvalidTypeError(f"mask is a {type(mask).__name__}; allowed: an IMAGE or a MASK")
    mask = mask[..., 0] if mask.ndim == 4 else mask
    if mask.ndim not in (2, 3):
        raise InvalidValueError(
            f"mask has shape {tuple(mask.shape)}; allowed: (B, H, W, C), (B, H, W), (H, W)"
        )
    # Resizing leaves values a little outside.
    mask = mask.detach().float().cpu().clamp(0, 1)
    if mask.ndim == 2 or len(mask) == 1:
        return mask.reshape(mask.shape[-2:])
    if len(mask) != count:
        raise InvalidValueError(
            f"mask has {len(mask)} pictures; allowed: 1 for all cells, or {count}, one each"
        )
    return mask


def stride_for(
    cell: Sequence[int], size: Sequence[int], rows: int, columns: int, *, stride: int | None
) -> int:
    """Pixels per latent cell, where mask and latents agree about it.

    Raises:
        InvalidValueError: They don't.
    """
    sheet = rows * cell[0], columns * cell[1]
    if stride is None:
        stride = max(1, round(sheet[0] / size[0]))
    needed = tuple(-(-side // stride) for side in sheet)
    if needed == tuple(size):
        return stride
    fitting = f"{size[0] * stride / rows:g} x {size[1] * stride / columns:g}"
    raise InvalidValueError(
        f"the mask is {cell[0]} x {cell[1]} px (height x width); {rows} rows and {columns} columns of it "
        f"make "
        f"{sheet[0]} x {sheet[1]} px, but the latents are {size[0]} x {size[1]}, which at {stride} px each "
        f"is "
        f"{size[0] * stride} x {size[1] * stride}; allowed: {fitting} px, or other rows and columns"
    )


def read_cells(text: str, count: int) -> list[int] | None:
    """Numbers of cells from a line of text: "" for all, else like "0, 2, 4-6", counted from 0 row by row.

    Raises:
        InvalidValueError: Anything else, or cells that do not exist or come twice.
    """
    if not text.strip():
        return None
    cells: list[int] = []
    for part in re.split(r"[\s,;]+", text.strip().strip(",;")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise InvalidValueError(f'cells has {part!r}; allowed: numbers and ranges such as "0, 2, 4-6"')
        first, last = int(match[1]), int(match[2] or match[1])
        # Checked before a range is written out, however long it is.
        if max(first, last) >= count:
            raise InvalidValueError(f"cells has {part!r}; allowed: 0 to {count - 1}")
        cells.extend(range(first, last + 1))
    if len(set(cells)) != len(cells):
        raise InvalidValueError(f"cells is {text!r} and has a cell twice; allowed: each once")
    return cells


def over_time(masks: torch.Tensor, latents: Any) -> torch.Tensor:
    """Masks (n, 1, h, w) as latents of 5 axes need them, (n, 1, T, h, w); as they are for 4.

    ComfyUI takes the masks of a batch for moments of time where latents have that axis.
    """
    if latents.ndim == 4:
        return masks
    return masks.unsqueeze(2).expand(-1, -1, latents.shape[2], -1, -1)
