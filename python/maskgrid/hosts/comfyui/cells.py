"""Cells of IMAGE and LATENT batches: repeated, cut, merged and laid side by side. Needs torch only."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import Grid
from maskgrid.hosts.comfyui.carried_forks import latent_with
from maskgrid.hosts.comfyui.sheet_plan import stride_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskgrid.geometry import Rect

__all__ = [
    "cut_image",
    "join_latents",
    "merge_images",
    "merge_latents",
    "read_picks",
    "repeat_image",
    "repeat_latent",
    "split_image",
]

Latent = dict[str, Any]
_OLD_STRIDE = 8


def repeat_latent(latent: Latent, rows: int, columns: int) -> Latent:
    """A LATENT tiled into rows and columns, its noise mask with it."""
    samples = _samples(latent)
    result = latent_with(latent, _tiled(samples, rows, columns))
    if result.get("noise_mask") is not None:
        result["noise_mask"] = _tiled(result["noise_mask"], rows, columns)
    return result


def repeat_image(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """An IMAGE (B, H, W, C) tiled into rows and columns."""
    return image.repeat(1, rows, columns, 1)


def cut_image(image: torch.Tensor, rows: int, columns: int) -> list[torch.Tensor]:
    """An IMAGE (B, H, W, C) cut into a list of (B, h, w, C), row by row; no pixel is lost.

    Where the sides do not divide, cells differ by one pixel.

    Raises:
        InvalidValueError: More rows or columns than pixels.
    """
    height, width = image.shape[1:3]
    if rows > height or columns > width:
        raise InvalidValueError(
            f"the image is {height} x {width} px; allowed: at most so many rows and columns, not {rows} x "
            f"{columns}"
        )
    return [image[:, rect[0], rect[1]] for rect in _even_places((height, width), rows, columns)]


def split_image(
    image: torch.Tensor, rows: int, columns: int, *, gap: int = 0, margin: int = 0
) -> torch.Tensor:
    """The cells of an IMAGE (B, H, W, C) as (B * N, h, w, C), sheet by sheet and in each row by row.

    Raises:
        InvalidValueError: A size that these rows, columns, gap and margin do not divide.
    """
    grid = Grid.from_canvas(image.shape[1:3], rows, columns, gap=gap, margin=margin, stride=1)
    end = grid.cell_rects[-1]
    needed = end.bottom + margin, end.right + margin
    if needed != tuple(grid.canvas):
        raise InvalidValueError(
            f"{rows} rows and {columns} columns, gap {gap} and margin {margin} do not divide the image of "
            f"{grid.canvas.height} x {grid.canvas.width} px; allowed: such as {needed[0]} x {needed[1]} px"
        )
    cells = [image[(slice(None), *rect.slices)] for rect in grid.cell_rects]
    return torch.stack(cells, 1).flatten(0, 1)


def merge_images(
    forks: torch.Tensor, rows: int, columns: int, *, picks: str = "", original: torch.Tensor | None = None
) -> torch.Tensor:
    """One sheet of cells that are picked from forks.

    Args:
        forks: (n * B, H, W, C), fork after fork; B is the batch of the original, 1 without one.
        rows: Rows of cells.
        columns: Columns of cells.
        picks: As `read_picks` takes it.
        original: (B, H, W, C), what everything else is taken from; default the first fork.

    Returns:
        (B, H, W, C).

    Raises:
        InvalidValueError: Picks that do not exist, sizes that differ.
    """
    places = _even_places(tuple(forks.shape[1:3]), rows, columns)
    return _merged(forks.movedim(-1, 1), places, picks, _channels_first(original)).movedim(1, -1)


def merge_latents(
    latent: Latent,
    rows: int,
    columns: int,
    *,
    picks: str = "",
    original: Latent | None = None,
    cell: Sequence[int] | None = None,
) -> Latent:
    """One LATENT of cells that are picked from forks.

    Args:
        latent: Forks, fork after fork.
        rows: Rows of cells.
        columns: Columns of cells.
        picks: As `read_picks` takes it.
        original: What everything else is taken from; default the first fork.
        cell: (height, width) of a cell in pixels, where cells need not fill the sheet.

    Raises:
        InvalidValueError: As `merge_images`.
    """
    samples = _samples(latent)
    size = samples.shape[-2], samples.shape[-1]
    places = _even_places(size, rows, columns) if cell is None else _places(cell, size, rows, columns)
    merged = _merged(samples, places, picks, None if original is None else _samples(original))
    return latent_with(latent, merged)


def join_latents(latent: Latent, columns: int = 0) -> Latent:
    """The latents of a batch side by side in one LATENT, row by row; places that are left over are 0.

    Args:
        latent: n latents.
        columns: How many stand in a row; 0 for as many as make a square, or nearly.
    """
    samples = _samples(latent)
    count = len(samples)
    columns = columns or math.isqrt(max(count - 1, 0)) + 1
    rows = -(-count // columns)
    height, width = samples.shape[-2:]
    sheet = samples.new_zeros((1, *samples.shape[1:-2], rows * height, columns * width))
    for number, cell in enumerate(samples):
        top, left = number // columns * height, number % columns * width
        sheet[0, ..., top : top + height, left : left + width] = cell
    result = latent_with(latent, sheet)
    # These were made for the single ones.
    for name in ("noise_mask", "batch_index"):
        result.pop(name, None)
    return result


def read_picks(text: str, cells: int, forks: int) -> list[int | None]:
    """Read from a node's text which fork each cell is taken from.

    Args:
        text: One word for each cell, row by row: the number of a fork from 0, or "-" to keep the original's.
            Empty for fork i in cell i.
        cells: How many cells there are.
        forks: How many forks there are.

    Raises:
        InvalidValueError: Another number of words, a fork that does not exist, or no number.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words:
        if forks < cells:
            raise InvalidValueError(
                f"there are {forks} forks for {cells} cells; allowed: picks with one number or - for each "
                f"cell"
            )
        return list(range(cells))
    if len(words) != cells:
        raise InvalidValueError(f"picks is {text!r}, {len(words)} words; allowed: {cells}, one for each cell")
    for word in words:
        if word != "-" and not (word.isdecimal() and int(word) < forks):
            raise InvalidValueError(
                f"picks has {word!r}; allowed: 0 to {forks - 1}, or - for the original's cell"
            )
    return [None if word == "-" else int(word) for word in words]


def _merged(
    forks: torch.Tensor, places: list[tuple[slice, slice]], picks: str, original: torch.Tensor | None
) -> torch.Tensor:
    """(B, ..., h, w): height and width are the last axes."""
    batch = 1 if original is None else len(original)
    if len(forks) % batch or (original is not None and original.shape[1:] != forks.shape[1:]):
        shapes = tuple(forks.shape), () if original is None else tuple(original.shape)
        raise InvalidValueError(
            f"forks have shape {shapes[0]}, the original {shapes[1]}; allowed: the same size"
        )
    numbers = read_picks(picks, len(places), len(forks) // batch)
    merged = (forks[:batch] if original is None else original).clone()
    for number, place in zip(numbers, places, strict=True):
        if number is not None:
            fork = forks[number * batch : (number + 1) * batch]
            merged[(..., *place)] = fork[(..., *place)].to(merged)
    return merged


def _even_places(size: Sequence[int], rows: int, columns: int) -> list[tuple[slice, slice]]:
    """The cells of a sheet, row by row; where the sides do not divide, some are one larger."""
    tops, lefts = (
        [side * index // count for index in range(count + 1)]
        for side, count in zip(size, (rows, columns), strict=True)
    )
    return [
        (slice(tops[row], tops[row + 1]), slice(lefts[column], lefts[column + 1]))
        for row in range(rows)
        for column in range(columns)
    ]


def _places(cell: Sequence[int], size: Sequence[int], rows: int, columns: int) -> list[tuple[slice, slice]]:
    """Cells of a size in pixels, at latent size."""
    try:
        stride = stride_for(cell, size, rows, columns, stride=None)
    except InvalidValueError:
        # Cells need not fill the sheet here; then the original node's stride counts.
        stride = _OLD_STRIDE
    grid = Grid(rows, columns, cell=tuple(cell), stride=stride)
    rects: list[Rect] = [grid.write_rect(number) for number in range(len(grid))]
    last = rects[-1]
    if last.bottom > size[0] or last.right > size[1]:
        raise InvalidValueError(
            f"{rows} x {columns} cells of {cell[0]} x {cell[1]} px end at {last.bottom} x {last.right} "
            f"latent cells; "
            f"allowed: at most {size[0]} x {size[1]}, the size of the latents"
        )
    return [rect.slices for rect in rects]


def _samples(latent: Latent) -> torch.Tensor:
    samples: torch.Tensor = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise InvalidTypeError(
            "the latent is nested, such as video with sound; allowed: the latent of pictures"
        )
    return samples


def _tiled(tensor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return tensor.repeat(*(1,) * (tensor.ndim - 2), rows, columns)


def _channels_first(image: torch.Tensor | None) -> torch.Tensor | None:
    return None if image is None else image.movedim(-1, 1)
