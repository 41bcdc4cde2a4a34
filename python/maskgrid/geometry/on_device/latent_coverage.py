"""How pixel masks become latent coverages, as torch operations on the mask's device.

A latent cell (i, j) reads the stride x stride block of pixels that starts at (i * stride, j * stride); pixels
outside the cells, and those that the canvas is continued by, are zero.

- "center": the mean of the 2 x 2 pixels in the middle of the block, or its one centre pixel where the stride
  is odd; what bilinear interpolation without antialias reads.
- "nearest": the block's first pixel.
- "area", "max", "min": over the whole block.

All of them work along one axis at a time, so only the cell is read and nothing of the sheet's pixel size is
made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from maskgrid.errors import InvalidValueError
from maskgrid.geometry.on_device.argument_checks import cell_numbers, choice
from maskgrid.geometry.on_device.mask_values import from_units, prepare_out, read_masks, to_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from maskgrid._native import DistinctCoverages
    from maskgrid.geometry.grid import Grid

__all__ = ["COVERAGES", "cover_cells", "cover_sheet", "lay_noise_masks"]

COVERAGES = ("center", "nearest", "area", "max", "min")


@torch.no_grad()
def cover_cells(
    mask: Tensor, grid: Grid, *, coverage: str = "center", out: Tensor | None = None
) -> tuple[Tensor, list[bool]]:
    """The distinct latent coverages of cells on the device, each as if the rest of the sheet were zero.

    With one mask for all cells that is one for each distinct (top mod stride, left mod stride), in the order
    in which the cells show them; with one mask per cell, one per cell.

    Args:
        mask: The stencil: one mask for all cells or one per cell, each of the cell's size.
        grid: Where the cells lie.
        coverage: One of `COVERAGES`.
        out: Where to write the masks, float32.

    Returns:
        The masks (count, h, w), float32, as large as the largest latent rectangle of a cell and zero at the
        end where a cell needs less; and for each mask given whether it has a pixel above zero.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values outside [0, 1], another size or count of masks, an unknown coverage.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    values = _cell_values(mask, grid, coverage)
    phases = _phases(grid, len(values))
    count = sum(len(places) for places in phases.values())
    height = max(_blocks(top, grid.cell.height, grid.stride) for top, _ in phases)
    width = max(_blocks(left, grid.cell.width, grid.stride) for _, left in phases)
    result = prepare_out(out, (count, height, width), torch.float32, [mask], allowed=(torch.float32,))
    result.zero_()
    lines: dict[int, Tensor] = {}
    for (top, left), places in phases.items():
        if left not in lines:
            # Along the rows first, for all masks at once: few phases, many cells.
            lines[left] = _cover_alone(values, left, grid.stride, coverage)
        chosen = lines[left] if len(places) == len(values) else lines[left][places]
        part = _cover_alone(chosen.transpose(1, 2), top, grid.stride, coverage).transpose(1, 2)
        result[places, : part.shape[1], : part.shape[2]] = part
    return result, values.flatten(1).any(dim=1).tolist()


@torch.no_grad()
def lay_noise_masks(
    masks: Tensor, distinct: DistinctCoverages, grid: Grid, cells: Sequence[int], *, out: Tensor | None = None
) -> Tensor:
    """Noise masks on the device: zeros, and each cell's latent coverage at its place.

    Args:
        masks: The distinct latent coverages of `cover_cells`, float32.
        distinct: Which of them belongs to a cell.
        grid: Where the cells lie.
        cells: Numbers of n cells.
        out: Where to write the result; any dtype that a mask may have.

    Returns:
        (n, 1, latent height, latent width), float32 without `out`.

    Raises:
        InvalidTypeError: An `out` of a dtype that no mask has.
        InvalidValueError: A cell that does not exist, or an `out` of another shape.
        InvalidBufferError: An `out` on another device, or one that overlaps the masks.
    """
    numbers = cell_numbers(cells, len(grid))
    result = prepare_out(out, (len(numbers), 1, *grid.latent_size), torch.float32, [masks])
    result.zero_()
    for place, cell in zip(result[:, 0], numbers, strict=True):
        rect = grid.latent_rect(cell)
        mask = masks[distinct.index(cell), : rect.height, : rect.width]
        place[rect.slices] = from_units(mask, result.dtype)
    return result


@torch.no_grad()
def cover_sheet(mask: Tensor, grid: Grid, *, coverage: str = "center", out: Tensor | None = None) -> Tensor:
    """The latent coverage on the device of a sheet with a mask in every cell; shared blocks are read as one.

    Args:
        mask: The stencil: one mask for all cells or one per cell, each of the cell's size.
        grid: Where the cells lie.
        coverage: One of `COVERAGES`.
        out: Where to write the result; any dtype that a mask may have.

    Returns:
        (latent height, latent width), float32 without `out`.

    Raises:
        InvalidTypeError: A dtype that no mask has.
        InvalidValueError: Values outside [0, 1], another size or count of masks, an unknown coverage.
        InvalidBufferError: An `out` on another device, or one that overlaps the mask.
    """
    values = _cell_values(mask, grid, coverage)
    height, width = grid.latent_size
    result = prepare_out(out, (height, width), torch.float32, [mask])
    tops = [grid.cell_rect(row * grid.columns).top for row in range(grid.rows)]
    lefts = [grid.cell_rect(column).left for column in range(grid.columns)]
    # One mask for all cells is one row of one column of masks, read again for every row and column.
    counts = (1, 1) if len(values) == 1 else (grid.rows, grid.columns)
    cells = values.reshape(*counts, *values.shape[1:])
    # (columns, rows, h, w) -> (rows, h, latent width) -> (latent width, latent height)
    joined = _join_axis(cells.transpose(0, 1), lefts, grid.stride, width, coverage)
    sheet = _join_axis(joined.transpose(1, 2), tops, grid.stride, height, coverage).T
    if coverage == "min":
        full = _find_covered(tops, grid.cell.height, grid.stride, height)[:, None]
        full = full & _find_covered(lefts, grid.cell.width, grid.stride, width)
        sheet = torch.where(full.to(sheet.device), sheet, 0.0)
    return result.copy_(from_units(sheet, result.dtype))


def _cell_values(mask: Tensor, grid: Grid, coverage: str) -> Tensor:
    """The masks (1 or cells, h, w) as float32 in [0, 1], once count and size are what the grid needs."""
    choice(coverage, "coverage", COVERAGES)
    masks = read_masks(mask, size=grid.cell)
    count, height, width = masks.shape
    if (height, width) != tuple(grid.cell) or count not in (1, len(grid)):
        cells = "1 mask" if len(grid) == 1 else f"1 or {len(grid)} masks"
        raise InvalidValueError(
            f"the mask has shape {tuple(mask.shape)}; "
            f"allowed: {cells} of the cell's size {grid.cell.height} x {grid.cell.width}"
        )
    return to_units(masks)


def _phases(grid: Grid, count: int) -> dict[tuple[int, int], list[int]]:
    """For each (top mod stride, left mod stride) of a cell the numbers of the coverages that have it."""
    phases: dict[tuple[int, int], list[int]] = {}
    for cell, rect in enumerate(grid.cell_rects):
        phase = rect.top % grid.stride, rect.left % grid.stride
        if count > 1:
            phases.setdefault(phase, []).append(cell)
        else:
            phases.setdefault(phase, [len(phases)])
    return phases


def _blocks(phase: int, side: int, stride: int) -> int:
    """How many blocks a side touches that starts `phase` pixels into a block."""
    return -(-(phase + side) // stride)


def _cover_alone(values: Tensor, phase: int, stride: int, coverage: str) -> Tensor:
    """Coverage along the last axis, where all around the values is zero."""
    reduced = _reduce(values, phase, stride, coverage)
    if coverage == "min":
        full = _find_covered([phase], values.shape[-1], stride, reduced.shape[-1])
        reduced = torch.where(full.to(values.device), reduced, 0.0)
    return reduced


def _join_axis(cells: Tensor, starts: list[int], stride: int, length: int, coverage: str) -> Tensor:
    """Coverage along the last axis of (1 or one for each start, ..., side), laid at the starts."""
    # Shared blocks add up, but for max and min; 1 is neutral for a minimum of numbers from 0 to 1.
    combine = {"max": torch.maximum, "min": torch.minimum}.get(coverage, torch.add)
    joined = cells.new_full((*cells.shape[1:-1], length), 1.0 if coverage == "min" else 0.0)
    for index, start in enumerate(starts):
        part = _reduce(cells[index if len(cells) > 1 else 0], start % stride, stride, coverage)
        first = start // stride
        place = joined[..., first : first + part.shape[-1]]
        place.copy_(combine(place, part))
    return joined


def _reduce(values: Tensor, phase: int, stride: int, coverage: str) -> Tensor:
    """Coverage along the last axis, of the values alone, that start `phase` pixels into their first block."""
    if coverage == "nearest":
        return _tap(values, phase, stride, 0)
    if coverage == "center":
        middle = stride // 2
        if stride % 2 == 1:
            return _tap(values, phase, stride, middle)
        return (_tap(values, phase, stride, middle - 1) + _tap(values, phase, stride, middle)) * 0.5
    side = values.shape[-1]
    # The first and the last block may be cut; between them lie whole ones.
    begin = min(-phase % stride, side)
    end = begin + (side - begin) // stride * stride
    whole = values[..., begin:end].reshape(*values.shape[:-1], (end - begin) // stride, stride)
    pieces = [values[..., None, :begin], whole, values[..., None, end:]]
    reduced = [_over_block(piece, stride, coverage) for piece in pieces if piece.numel() > 0]
    return torch.cat(reduced, dim=-1)


def _over_block(blocks: Tensor, stride: int, coverage: str) -> Tensor:
    if coverage == "max":
        return blocks.amax(dim=-1)
    if coverage == "min":
        return blocks.amin(dim=-1)
    return blocks.sum(dim=-1) / stride


def _tap(values: Tensor, phase: int, stride: int, tap: int) -> Tensor:
    """Of every block the pixel number `tap`, zero where it lies outside the values."""
    side = values.shape[-1]
    taken = values.new_zeros((*values.shape[:-1], _blocks(phase, side, stride)))
    first = 1 if tap < phase else 0
    picked = values[..., first * stride + tap - phase :: stride]
    taken[..., first : first + picked.shape[-1]] = picked
    return taken


def _find_covered(starts: list[int], side: int, stride: int, length: int) -> Tensor:
    """Which of `length` blocks are covered to the last pixel by sides at these starts; on the CPU."""
    pixels = torch.zeros(length * stride, dtype=torch.bool, device="cpu")
    for start in starts:
        pixels[start : start + side] = True
    return pixels.view(length, stride).all(dim=1)
