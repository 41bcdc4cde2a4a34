"""Where cells, latent cells and windows lie: the definitions in plain Python, to check the Rust core against.

Rectangles are tuples (top, left, bottom, right), half open; sizes are (height, width). Nothing here is fast.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PlainGrid", "fitting_cell", "windows"]

Box = tuple[int, int, int, int]
Pair = tuple[int, int]


@dataclass(frozen=True)
class PlainGrid:
    """The numbers of a grid, and what follows from them.

    Attributes:
        rows: Rows of cells.
        columns: Columns of cells.
        cell: Size of a cell in pixels.
        gap: Pixels between neighbouring cells.
        margin: Pixels before the first and after the last cell.
        stride: Pixels per latent cell.
        canvas: Size of the sheet in pixels.
    """

    rows: int
    columns: int
    cell: Pair
    gap: Pair
    margin: Pair
    stride: int
    canvas: Pair

    @classmethod
    def of_cell(cls, rows: int, columns: int, cell: Pair, gap: Pair, margin: Pair, stride: int) -> PlainGrid:
        """The grid whose canvas is as large as cells, gaps and margins together."""
        height = margin[0] + rows * cell[0] + (rows - 1) * gap[0] + margin[0]
        width = margin[1] + columns * cell[1] + (columns - 1) * gap[1] + margin[1]
        return cls(rows, columns, cell, gap, margin, stride, (height, width))

    def cell_rect(self, index: int) -> Box:
        """The pixels of a cell; cells are numbered row by row."""
        top = self.margin[0] + index // self.columns * (self.cell[0] + self.gap[0])
        left = self.margin[1] + index % self.columns * (self.cell[1] + self.gap[1])
        return top, left, top + self.cell[0], left + self.cell[1]

    def latent_size(self) -> Pair:
        """Latent cells that hold a pixel of the canvas."""
        height = len({y // self.stride for y in range(self.canvas[0])})
        width = len({x // self.stride for x in range(self.canvas[1])})
        return height, width

    def latent_rect(self, index: int) -> Box:
        """The latent cells that hold a pixel of the cell."""
        top, left, bottom, right = self.cell_rect(index)
        rows = {y // self.stride for y in range(top, bottom)}
        columns = {x // self.stride for x in range(left, right)}
        return min(rows), min(columns), max(rows) + 1, max(columns) + 1

    def write_cells(self, index: int) -> set[Pair]:
        """The latent cells (row, column) whose centre lies in the cell."""
        top, left, bottom, right = self.cell_rect(index)
        height, width = self.latent_size()
        # Twice all numbers, so that centres are whole ones.
        rows = [i for i in range(height) if 2 * top <= (2 * i + 1) * self.stride < 2 * bottom]
        columns = [j for j in range(width) if 2 * left <= (2 * j + 1) * self.stride < 2 * right]
        return {(i, j) for i in rows for j in columns}


def fitting_cell(canvas: int, count: int, gap: int, margin: int) -> int:
    """The largest side of `count` equal cells in a canvas side; 0 where not even one pixel each has room."""
    sides = (side for side in range(1, canvas + 1) if 2 * margin + count * side + (count - 1) * gap <= canvas)
    return max(sides, default=0)


def windows(grid: PlainGrid, cells: list[int], halo: int, align: int) -> list[Box]:
    """What the forks of these cells read, in latent cells: cell and halo, aligned, of one shape.

    The latent size must be a multiple of `align`.
    """
    height, width = grid.latent_size()
    spans = []
    for cell in cells:
        top, left, bottom, right = grid.latent_rect(cell)
        spans.append((_span(top, bottom, halo, align, height), _span(left, right, halo, align, width)))
    tall = max((rows[1] - rows[0] for rows, _ in spans), default=0)
    wide = max((columns[1] - columns[0] for _, columns in spans), default=0)
    boxes = []
    for rows, columns in spans:
        # A window that would reach over the border is pushed inward.
        top, left = min(rows[0], height - tall), min(columns[0], width - wide)
        boxes.append((top, left, top + tall, left + wide))
    return boxes


def _span(start: int, end: int, halo: int, align: int, length: int) -> Pair:
    """The smallest aligned span around a span and its halo, as far as the canvas reaches."""
    start, end = max(start - halo, 0), min(end + halo, length)
    while start % align:
        start -= 1
    while end % align:
        end += 1
    return start, end
