"""Lists with an item for each cell of a sheet, or for each cell that was chosen; tables of rows."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from maskgrid.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from maskgrid.geometry.grid import Grid

__all__ = ["cell_numbers", "list_for_cells", "value_of_cell"]


def cell_numbers(cells: Any, grid: Grid) -> tuple[int, ...]:
    """The numbers of the cells that were chosen, in the order they were named.

    Args:
        cells: Numbers of cells, row by row from 0, or rows and columns as (1, 2); None for all.
        grid: Where the cells lie.

    Raises:
        InvalidTypeError: No list, or items that are neither.
        InvalidValueError: None are named, a cell that there is not, or one that is named twice.
    """
    if cells is None:
        return tuple(range(len(grid)))
    cells = cells.tolist() if hasattr(cells, "tolist") else cells
    if isinstance(cells, str) or not isinstance(cells, Sequence):
        raise InvalidTypeError(f"cells is {cells!r}; allowed: a list of numbers or of (row, column)")
    numbers = tuple(_number(cell, grid) for cell in cells)
    if not numbers:
        raise InvalidValueError("cells is empty; allowed: one cell or more, or None for all")
    for place, number in enumerate(numbers):
        if number in numbers[:place]:
            raise InvalidValueError(f"cells names cell {cells[place]} twice; allowed: each once")
    return numbers


def list_for_cells(value: Any, name: str, grid: Grid, chosen: Sequence[int]) -> list[Any]:
    """A list with an item for each cell of the sheet, of one for each of all or of the chosen cells.

    Args:
        value: One for each cell of the sheet, as a list or a table of rows; or one for each chosen cell.
        name: The argument's name, for errors.
        grid: Where the cells lie.
        chosen: The cells that were chosen, in order; as many as the sheet has counts as all of them.

    Returns:
        (N,) items; None for cells that were not chosen and have none.

    Raises:
        InvalidTypeError: No list.
        InvalidValueError: A list or table of another size.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidTypeError(
            f"{name} is {type(value).__name__}; allowed: a list with one for each cell, or a table of rows"
        )
    table = list(value)
    if table and _is_list(table[0]):
        if len(table) != grid.rows or any(not _is_list(row) or len(row) != grid.columns for row in table):
            shape = f"{len(table)} rows of {[len(row) if _is_list(row) else 1 for row in table]}"
            raise InvalidValueError(
                f"{name} is a table of {shape}; allowed: {grid.rows} rows of {grid.columns}"
            )
        return [item for row in table for item in row]
    if len(table) == len(grid):
        return table
    if len(table) == len(chosen):
        items = dict(zip(chosen, table, strict=True))
        return [items.get(cell) for cell in range(len(grid))]
    some = f", or {len(chosen)}, one for each of the chosen cells" if len(chosen) < len(grid) else ""
    raise InvalidValueError(
        f"{name} has {len(table)} items; allowed: one for all, or {len(grid)} items, one for each cell{some}"
    )


def value_of_cell(value: Any, cell: int, grid: Grid) -> Any:
    """What a cell has of a value that is one for all, a list or a table; None where that is not told.

    Args:
        value: As it was recorded.
        cell: The cell's number.
        grid: Where the cells lie.
    """
    if not _is_list(value):
        return value
    try:
        return list_for_cells(value, "value", grid, range(len(grid)))[cell]
    except (InvalidTypeError, InvalidValueError):
        return None


def _number(cell: Any, grid: Grid) -> int:
    """The number of a cell that is named by number or by row and column."""
    if isinstance(cell, SupportsIndex) and not isinstance(cell, bool):
        number = operator.index(cell)
        if not 0 <= number < len(grid):
            raise InvalidValueError(f"cells has cell {number}; allowed: 0 to {len(grid) - 1}")
        return number
    are_two = _is_list(cell) and len(cell) == 2
    if not are_two or not all(isinstance(i, SupportsIndex) and not isinstance(i, bool) for i in cell):
        raise InvalidTypeError(f"cells has {cell!r}; allowed: a number, or (row, column)")
    row, column = map(operator.index, cell)
    if not (0 <= row < grid.rows and 0 <= column < grid.columns):
        raise InvalidValueError(
            f"cells has ({row}, {column}); "
            f"allowed: rows 0 to {grid.rows - 1}, columns 0 to {grid.columns - 1}"
        )
    return row * grid.columns + column


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
