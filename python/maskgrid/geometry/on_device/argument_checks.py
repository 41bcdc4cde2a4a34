"""Numbers and names as they are given; refusals say which argument, its value, and what is allowed."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import torch

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["a_grid", "cell_numbers", "choice", "fill_number", "level_number", "pixels"]


def level_number(value: Any) -> float:
    """Check an argument that is a mask's level.

    Raises:
        InvalidTypeError: No number.
        InvalidValueError: A number outside [0, 1], or NaN.
    """
    level = _number(value, "level")
    if not 0.0 <= level <= 1.0:
        raise InvalidValueError(f"level is {level}; allowed: 0 to 1")
    return level


def pixels(value: Any, name: str) -> float:
    """Check an argument that is a length in pixels.

    Raises:
        InvalidTypeError: No number.
        InvalidValueError: A negative or infinite number, or NaN.
    """
    length = _number(value, name)
    if not 0.0 <= length < math.inf:
        raise InvalidValueError(f"{name} is {length}; allowed: 0 or more pixels")
    return length


def choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """Check an argument that is one of a few names.

    Raises:
        InvalidValueError: Anything else.
    """
    for allowed in choices:
        if isinstance(value, str) and value == allowed:
            return allowed
    names = ", ".join(repr(allowed) for allowed in choices)
    raise InvalidValueError(f"{name} is {value!r}; allowed: {names}")


def cell_numbers(cells: Iterable[Any], count: int, *, most: int | None = None) -> list[int]:
    """Numbers of cells of which there are `count`; not more than `most`, as an iterator may never end.

    Raises:
        InvalidTypeError: No whole number.
        InvalidValueError: A cell that does not exist, or more than `most`.
    """
    numbers: list[int] = []
    for cell in cells:
        if len(numbers) == most:
            raise InvalidValueError(f"cells has more than {most} numbers; allowed: {most} at most")
        if isinstance(cell, bool) or not hasattr(cell, "__index__"):
            raise InvalidTypeError(f"a cell is a {type(cell).__name__}; allowed: a whole number")
        number = operator.index(cell)
        if not 0 <= number < count:
            raise InvalidValueError(f"cell {number} does not exist; there are {count}, numbered from 0")
        numbers.append(number)
    return numbers


def a_grid(value: Any) -> Grid:
    """Check an argument that is a grid.

    Raises:
        InvalidTypeError: Anything else.
    """
    if not isinstance(value, Grid):
        raise InvalidTypeError(f"grid is a {type(value).__name__}; allowed: a Grid")
    return value


def fill_number(value: Any, name: str, dtype: torch.dtype) -> int | float:
    """A number that a dtype has; fractions are rounded to the nearest that it has.

    Raises:
        InvalidTypeError: No number.
        InvalidValueError: A number that the dtype does not have.
    """
    whole = isinstance(value, int) or hasattr(value, "__index__")
    if not whole and not hasattr(value, "__float__"):
        raise InvalidTypeError(f"{name} is a {type(value).__name__}; allowed: a number or a sheet")
    number = operator.index(value) if whole else float(value)
    word = str(dtype).removeprefix("torch.")
    if dtype.is_floating_point:
        near = torch.tensor(float(number), dtype=torch.float64, device="cpu").to(dtype)
        if math.isfinite(number) and bool(near.isinf()):
            raise InvalidValueError(f"{name} is {value}; {word} has no number as large")
        return number
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    if number != number or number % 1 != 0 or not low <= number <= high:
        raise InvalidValueError(f"{name} is {value}; {word} has whole numbers from {low} to {high}")
    return int(number)


def _number(value: Any, name: str) -> float:
    # float() would read strings too.
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise InvalidTypeError(f"{name} is a {type(value).__name__}; allowed: a number")
    return float(value)
