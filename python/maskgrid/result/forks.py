"""The result: one sheet, and for each fork the one cell that is new."""

from __future__ import annotations

import base64
import io
import operator
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.pictures.contact_sheet import Panel, contact_sheet
from maskgrid.pictures.pixel_arrays import to_pil
from maskgrid.pictures.tries_panel import CellTries
from maskgrid.result.fork_records import RunRecord, records_of_run
from maskgrid.result.load_folder import load_folder
from maskgrid.result.save_folder import save_folder

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid, Rect
    from maskgrid.result.fork_records import ForkRecord
    from maskgrid.sampling import ForkLatents

__all__ = ["Forks"]

_MODES = {"sample": "Sample then Fork", "fork": "Fork then Sample"}


class Forks(Sequence["Image"]):
    """Forks of a sheet: copies of it with one new cell each, everything else bit for bit the original.

    Held in memory are the sheet once and a patch for each fork; whole pictures are made when they are asked
    for. `forks[3]` is fork 3 as a PIL image, `forks[1, 2]` that of row 1 and column 2, `forks[1, 2, 3]` try 3
    of that cell; `forks[2:5]` are three of them as Forks, `a + b` are both.

    Args:
        original: (H, W, C) uint8, the sheet.
        patches: (n, h, w, C) uint8, the new cells.
        cells: The cell of each fork; several forks may have the same one.
        grid: Where the cells lie.
        alpha: (1, h, w) or (n, h, w) float32 in [0, 1]: how much of a patch shows at each pixel; 0 is bit for
            bit the original, 1 bit for bit the patch.
        latents: `maskgrid.sampling.ForkLatents`, what the sampling gave; None where it is not known.
        stencil: (h, w) or (N, h, w), what was allowed to change; None where it is not known.
        settings: What made them; goes into the manifest.
        records: What made each of them, in place of a stencil and settings for all.
        tint: (1, h, w) or (n, h, w) float32 in [0, 1]: what the contact sheet shows as the stencil; default
            alpha.
        save_options: The sheet's `icc_profile` and `dpi`, as far as it has them; every picture keeps them.

    Attributes:
        cells: The cell of each fork.
        grid: Where the cells lie.
        latents: As given.
        records: What made each fork: `forks.records[3].prompt`, `.seed`, `.run.settings`, `.run.stencil`.
        tint: (n, h, w) as given.
        save_options: As given.

    Raises:
        InvalidValueError: Shapes that don't go together, or a cell that does not exist.
    """

    def __init__(
        self,
        original: NDArray[np.uint8],
        patches: NDArray[np.uint8],
        cells: Sequence[int],
        grid: Grid,
        alpha: NDArray[np.float32],
        *,
        latents: ForkLatents | None = None,
        stencil: NDArray[Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        records: Sequence[ForkRecord] | None = None,
        tint: NDArray[np.float32] | None = None,
        save_options: Mapping[str, Any] | None = None,
    ) -> None:
        expected = (len(cells), *grid.cell, original.shape[2])
        if patches.shape != expected:
            raise InvalidValueError(f"patches have shape {patches.shape}; expected {expected}")
        if original.shape[:2] != tuple(grid.canvas):
            raise InvalidValueError(
                f"the sheet is {original.shape[:2]}; the grid's canvas is {tuple(grid.canvas)}"
            )
        tint = alpha if tint is None else tint
        for name, array in (("alpha", alpha), ("tint", tint)):
            if array.shape not in {(1, *grid.cell), expected[:3]}:
                raise InvalidValueError(
                    f"{name} has shape {array.shape}; expected {(1, *grid.cell)} or {expected[:3]}"
                )
        self._rects = [grid.cell_rect(cell) for cell in cells]
        self._alpha = np.broadcast_to(alpha, expected[:3])
        self._original = original
        self._patches = patches
        self.cells = tuple(cells)
        self.grid = grid
        self.latents = latents
        self.tint = np.broadcast_to(tint, expected[:3])
        self.save_options = dict(save_options or {})
        if records is None:
            is_of_these = latents is not None and len(latents) == len(cells)
            numbers = latents.numbers if latents is not None and is_of_these else range(len(cells))
            records = records_of_run(RunRecord(dict(settings or {}), stencil), cells, grid, numbers)
        self.records = tuple(records)
        if tuple(record.cell for record in self.records) != self.cells:
            raise InvalidValueError(
                "the records are of other cells than the forks; expected one for each fork"
            )

    @property
    def settings(self) -> Mapping[str, Any]:
        """What made them, to be read: of one run all of its settings, of several those that they share."""
        first, *others = self._runs() or [RunRecord()]
        shared = {
            name: value
            for name, value in first.settings.items()
            if all(name in other.settings and (other.settings[name] == value) is True for other in others)
        }
        return MappingProxyType(shared if others else dict(first.settings))

    @property
    def stencil(self) -> NDArray[Any] | None:
        """(h, w) or (N, h, w), what was allowed to change; None where it is not known or not one for all."""
        stencils = [run.stencil for run in self._runs()]
        first = stencils[0] if stencils else None
        is_one = all(each is first or np.array_equal(each, first) for each in stencils)  # type: ignore[arg-type]
        return first if is_one else None

    @property
    def original(self) -> Image:
        """The sheet that the forks are of, as it was."""
        return self._picture(self._original)

    @property
    def images(self) -> Forks:
        """The forks as a sequence of PIL images; each is made when it is asked for."""
        return self

    @property
    def patches(self) -> NDArray[np.uint8]:
        """(n, h, w, C) uint8: each fork's cell as it looks in its picture."""
        return np.stack([self.array(i)[self._rects[i].slices] for i in range(len(self))])

    def array(self, index: int) -> NDArray[np.uint8]:
        """Fork `index` as (H, W, C) uint8.

        Raises:
            IndexError: There is no such fork.
        """
        number = self._number(index)
        return self._paste([number])

    def merged(self) -> Image:
        """Every new cell in one sheet; where a cell has several forks, the last one counts."""
        return self._picture(self._paste(range(len(self))))

    def pick(self, choice: Mapping[int | tuple[int, int], int] | Sequence[int]) -> Image:
        """One sheet with the cells that were chosen, the rest as it was.

        Args:
            choice: Numbers of forks; or which fork each cell is to have, the cells by number or as (row,
                column).

        Returns:
            The picture.

        Raises:
            InvalidValueError: A fork that has another cell than the one it was chosen for, or two forks for
                one cell.
            IndexError: There is no such fork.
        """
        if not isinstance(choice, Mapping):
            chosen = self._one_for_each_cell([self._number(fork) for fork in choice])
            return self._picture(self._paste(chosen))
        numbers = []
        for where, fork in choice.items():
            cell = self.grid.index_of(*where) if isinstance(where, tuple) else where
            number = self._number(fork)
            if self.cells[number] != cell:
                raise InvalidValueError(
                    f"fork {fork} renews cell {self.cells[number]}, not cell {cell}; "
                    f"forks of cell {cell}: {[i for i, c in enumerate(self.cells) if c == cell]}"
                )
            numbers.append(number)
        return self._picture(self._paste(self._one_for_each_cell(numbers)))

    def select(self, numbers: Sequence[int]) -> Forks:
        """Some of the forks, in this order, as forks.

        Raises:
            IndexError: There is no such fork.
        """
        chosen = [self._number(number) for number in numbers]
        latents = self.latents
        if latents is not None:
            is_possible = len(latents) == len(self) and len(set(chosen)) == len(chosen)
            latents = latents.pick([latents.numbers[i] for i in chosen]) if is_possible else None
        return Forks(
            self._original,
            self._patches[chosen],
            [self.cells[i] for i in chosen],
            self.grid,
            self._alpha[chosen],
            latents=latents,
            records=[self.records[i] for i in chosen],
            tint=self.tint[chosen],
            save_options=self.save_options,
        )

    def contact_sheet(self) -> Image:
        """Before, stencil and after as panels, rows and columns numbered; small sheets are enlarged.

        Where cells have several forks the tries of each cell are shown below, with number and seed of each.
        """
        alpha = np.zeros(tuple(self.grid.canvas), np.float32)
        for i, rect in enumerate(self._rects):
            alpha[rect.slices] = np.maximum(alpha[rect.slices], self.tint[i])
        panels = [Panel("before", self._original), Panel("stencil", self._original, alpha)]
        has_tries = len(set(self.cells)) < len(self)
        if not has_tries:
            panels.append(Panel("after", self._paste(range(len(self)))))
        prompt, settings = self._caption()
        tries = self._tries() if has_tries else ()
        sheet = contact_sheet(panels, self.grid, prompt=prompt, settings=settings, tries=tries)
        sheet.info.update(self.save_options)
        return sheet

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Writes one PNG a fork, `merged.png`, `contact.png` and `manifest.json`.

        Copies of the sheet and the stencil go with them, so that `maskgrid.mask_grid.repeat` makes the same
        pictures from the folder alone. It appears as a whole or not at all, and Ctrl-C waits until it is
        there; docs/output.md says what is in it.

        Args:
            folder: Where to; it must not exist.
            force: Replace it if it does and is empty, or such a folder to which nothing was added.

        Returns:
            The folder.

        Raises:
            OutputExistsError: The folder exists and `force` is False, or it holds something else.
            MaskGridError: There are no forks, or it can't be written.
        """
        return save_folder(self, folder, force=force)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Forks:
        """The forks that `save` wrote into a folder; without latents.

        Raises:
            MaskGridError: No such folder, or pictures that don't fit its manifest.
        """
        loaded = load_folder(folder)
        # The cells were cut from finished pictures, so they show as they are.
        alpha = np.ones((1, *loaded.grid.cell), np.float32)
        cells = [record.cell for record in loaded.records]
        return Forks(
            loaded.original,
            loaded.patches,
            cells,
            loaded.grid,
            alpha,
            records=loaded.records,
            tint=loaded.tint,
            save_options=loaded.save_options,
        )

    def __len__(self) -> int:
        return len(self.cells)

    def find(self, row: int, column: int, variant: int = 0) -> int:
        """The number of the fork that is a try of a cell.

        Args:
            row: Of the cell, counted from 0.
            column: Likewise.
            variant: Which of the cell's forks, in order.

        Raises:
            InvalidValueError: There is no such cell.
            IndexError: The cell has no such fork.
        """
        cell = self.grid.index_of(row, column)
        numbers = [number for number, each in enumerate(self.cells) if each == cell]
        if not 0 <= operator.index(variant) < len(numbers):
            raise IndexError(
                f"cell ({row}, {column}) has {len(numbers)} forks, and no fork {variant} of them"
            )
        return numbers[variant]

    @overload
    def __getitem__(self, index: int | tuple[int, int] | tuple[int, int, int]) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Forks: ...
    def __getitem__(self, index: int | tuple[int, ...] | slice) -> Image | Forks:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        if isinstance(index, tuple):
            if not 2 <= len(index) <= 3:
                raise IndexError(f"forks have no {index}; allowed: a number, or row, column and try")
            index = self.find(*index)
        return self._picture(self.array(index))

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Forks) -> Forks:
        if not isinstance(other, Forks):
            return NotImplemented
        if self.grid != other.grid or not np.array_equal(self._original, other._original):
            raise InvalidValueError(
                "forks of different sheets or grids can't be joined; allowed: the same sheet and grid"
            )
        return Forks(
            self._original,
            np.concatenate([self._patches, other._patches]),
            self.cells + other.cells,
            self.grid,
            np.concatenate([self._alpha, other._alpha]),
            records=self.records + other.records,
            tint=np.concatenate([self.tint, other.tint]),
            save_options=self.save_options or other.save_options,
        )

    def __repr__(self) -> str:
        height, width = self.grid.canvas
        cells = f"{self.grid.rows} x {self.grid.columns} cells"
        return f"<Forks: {len(self)} of a {width} x {height} px sheet of {cells}>"

    def _repr_html_(self) -> str:
        """The forks' contact sheet, for notebooks."""
        buffer = io.BytesIO()
        self.contact_sheet().save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'<img alt="{len(self)} forks: before, stencil, after" src="data:image/png;base64,{data}">'

    def _tries(self) -> list[CellTries]:
        """Each cell that has forks, with all of them."""
        of_cells: dict[int, list[int]] = {}
        for number, cell in enumerate(self.cells):
            of_cells.setdefault(cell, []).append(number)
        return [self._tries_of(cell, numbers) for cell, numbers in sorted(of_cells.items())]

    def _tries_of(self, cell: int, numbers: list[int]) -> CellTries:
        rect, (row, column) = self.grid.cell_rect(cell), self.grid.position(cell)
        prompts = dict.fromkeys(self.records[number].prompt for number in numbers)
        own = [prompt for prompt in prompts if prompt and not isinstance(self.settings.get("prompt"), str)]
        tries = [
            (
                self.array(number)[rect.slices],
                f"fork {number}" + ("" if seed is None else f" \N{MIDDLE DOT} seed {seed}"),
            )
            for number in numbers
            for seed in [self.records[number].seed]
        ]
        title = " \N{MIDDLE DOT} ".join([f"row {row}, column {column}", *own])
        return CellTries(title, self._original[rect.slices], tries)

    def _caption(self) -> tuple[str, str]:
        """The prompt, and the settings in a line."""
        told = self.settings
        prompt, fork_at, mode = told.get("prompt"), told.get("fork_at"), str(told.get("mode", ""))
        has_prompts = prompt or any(record.prompt for record in self.records)
        seeds = {record.seed for record in self.records}
        words = prompt if isinstance(prompt, str) else "a prompt for each cell" if has_prompts else ""
        parts = [
            _MODES.get(mode, mode) if fork_at is None else f"forked at step {fork_at}",
            str(told.get("sampler", "")),
            f"{told['steps']} steps" if "steps" in told else "",
            "" if seeds <= {None} else f"seed {seeds.pop()}" if len(seeds) == 1 else "a seed for each fork",
        ]
        return words, " \N{MIDDLE DOT} ".join(part for part in parts if part)

    def _picture(self, pixels: NDArray[np.uint8]) -> Image:
        """A picture in the sheet's colours, at its resolution."""
        image = to_pil(pixels)
        image.info.update(self.save_options)
        return image

    def _runs(self) -> list[RunRecord]:
        """The runs that the forks are of, each once."""
        return list({id(record.run): record.run for record in self.records}.values())

    def _one_for_each_cell(self, numbers: list[int]) -> list[int]:
        """Numbers of forks, unless two of them are for one cell."""
        chosen: dict[int, int] = {}
        for number in numbers:
            cell = self.cells[number]
            if cell in chosen:
                raise InvalidValueError(
                    f"forks {chosen[cell]} and {number} both renew cell {cell}; allowed: one for each cell"
                )
            chosen[cell] = number
        return numbers

    def _number(self, index: int) -> int:
        try:
            number = operator.index(index)
        except TypeError as error:
            raise InvalidTypeError(f"fork {index!r} is no whole number") from error
        if not -len(self) <= number < len(self):
            raise IndexError(f"fork {number} does not exist; there are {len(self)}, numbered from 0")
        return number % len(self)

    def _paste(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """The sheet with the cells of these forks."""
        chosen = list(numbers)
        if not chosen:
            return self._original.copy()
        # A later fork of the same cell takes the earlier one's place.
        latest = list({self.cells[number]: number for number in chosen}.values())
        rects: list[Rect] = [self._rects[number] for number in latest]
        result: NDArray[np.uint8] = canvas.paste(
            self._original, self._patches[latest], rects, self._alpha[latest], together=True
        )
        return result
