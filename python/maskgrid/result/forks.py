"""The result: one sheet, and for each fork the one cell that is new."""

from __future__ import annotations

import base64
import io
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import canvas
from maskgrid.pictures.contact_sheet import Panel, contact_sheet
from maskgrid.pictures.pixel_arrays import to_pil

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from maskgrid.geometry import Grid, Rect
    from maskgrid.sampling import ForkLatents

__all__ = ["Forks"]

_MODES = {"sample": "Sample then Fork", "fork": "Fork then Sample"}


class Forks(Sequence["Image"]):
    """Forks of a sheet: copies of it with one new cell each, everything else bit for bit the original.

    Held in memory are the sheet once and a patch for each fork; whole pictures are made when they are asked
    for. `forks[3]` is fork 3 as a PIL image, `forks[2:5]` are three of them as Forks, `a + b` are both.

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
        save_options: The sheet's `icc_profile` and `dpi`, as far as it has them; every picture keeps them.

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
        save_options: Mapping[str, Any] | None = None,
    ) -> None:
        expected = (len(cells), *grid.cell, original.shape[2])
        if patches.shape != expected:
            raise InvalidValueError(f"patches have shape {patches.shape}; expected {expected}")
        if original.shape[:2] != tuple(grid.canvas):
            raise InvalidValueError(
                f"the sheet is {original.shape[:2]}; the grid's canvas is {tuple(grid.canvas)}"
            )
        if alpha.shape not in {(1, *grid.cell), expected[:3]}:
            raise InvalidValueError(
                f"alpha has shape {alpha.shape}; expected {(1, *grid.cell)} or {expected[:3]}"
            )
        self._rects = [grid.cell_rect(cell) for cell in cells]
        self._alpha = np.broadcast_to(alpha, expected[:3])
        self._original = original
        self._patches = patches
        self.cells = tuple(cells)
        self.grid = grid
        self.latents = latents
        self.stencil = stencil
        self.settings = dict(settings or {})
        self.save_options = dict(save_options or {})

    @property
    def original(self) -> Image:
        """The sheet as it was."""
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
        return self._pasted([number])

    def merged(self) -> Image:
        """Every new cell in one sheet; where a cell has several forks, the last one counts."""
        return self._picture(self._pasted(range(len(self))))

    def pick(self, choice: Mapping[int | tuple[int, int], int] | Sequence[int]) -> Image:
        """One sheet with the cells that were chosen, the rest as it was.

        Args:
            choice: Numbers of forks; or which fork each cell is to have, the cells by number or as (row,
                column).

        Returns:
            The picture.

        Raises:
            InvalidValueError: A fork that has another cell than the one it was chosen for.
            IndexError: There is no such fork.
        """
        if not isinstance(choice, Mapping):
            return self._picture(self._pasted([self._number(fork) for fork in choice]))
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
        return self._picture(self._pasted(numbers))

    def contact_sheet(self) -> Image:
        """Before, stencil and after as panels, rows and columns numbered; small sheets are enlarged.

        Where cells have several forks there is a panel "after" for each of them.
        """
        alpha = np.zeros(tuple(self.grid.canvas), np.float32)
        for i, rect in enumerate(self._rects):
            alpha[rect.slices] = np.maximum(alpha[rect.slices], self._alpha[i])
        layers = self._layers()
        panels = [
            Panel("before", self._original),
            Panel("stencil", self._original, alpha),
            *(
                Panel(
                    "after" if len(layers) == 1 else f"after, {number + 1} of {len(layers)}",
                    self._pasted(layer),
                )
                for number, layer in enumerate(layers)
            ),
        ]
        prompt, settings = self._caption()
        sheet = contact_sheet(panels, self.grid, prompt=prompt, settings=settings)
        sheet.info.update(self.save_options)
        return sheet

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Writes one PNG a fork, `merged.png`, `contact.png` and `manifest.json`.

        Copies of the sheet and the stencil go with them, so that `maskgrid.mask_grid.repeat` makes the same
        pictures from the folder alone. It appears as a whole or not at all.

        Args:
            folder: Where to; it must not exist.
            force: Replace it if it does and is empty or such a folder.

        Returns:
            The folder.

        Raises:
            OutputExistsError: The folder exists and `force` is False, or it holds something else.
        """
        from maskgrid.result.folder import save_forks

        return save_forks(self, folder, force=force)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Forks:
        """What `save` wrote; without latents.

        Raises:
            MaskGridError: No such folder, or pictures that don't fit its manifest.
        """
        from maskgrid.result.folder import load_forks

        return load_forks(folder)

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Forks: ...
    def __getitem__(self, index: int | slice) -> Image | Forks:
        if not isinstance(index, slice):
            return self._picture(self.array(index))
        return Forks(
            self._original,
            self._patches[index],
            self.cells[index],
            self.grid,
            self._alpha[index],
            latents=self.latents[index] if self.latents is not None else None,
            stencil=self.stencil,
            settings=self.settings,
            save_options=self.save_options,
        )

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
            stencil=self.stencil,
            settings=self.settings,
            save_options=self.save_options or other.save_options,
        )

    def __repr__(self) -> str:
        height, width = self.grid.canvas
        cells = f"{self.grid.rows} x {self.grid.columns} cells"
        return f"<Forks: {len(self)} of a {width} x {height} px sheet of {cells}>"

    def _repr_html_(self) -> str:
        """The contact sheet, for notebooks."""
        buffer = io.BytesIO()
        self.contact_sheet().save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'<img alt="{len(self)} forks: before, stencil, after" src="data:image/png;base64,{data}">'

    def _layers(self) -> list[list[int]]:
        """All forks in sheets that each have at most one of a cell; one of no forks where there are none."""
        layers: list[list[int]] = []
        seen: dict[int, int] = {}
        for number, cell in enumerate(self.cells):
            layer = seen[cell] = seen.get(cell, -1) + 1
            layers += [[]] * (layer == len(layers))
            layers[layer] = [*layers[layer], number]
        return layers or [[]]

    def _caption(self) -> tuple[str, str]:
        """The prompt, and the settings in a line."""
        told = self.settings
        prompt, fork_at, mode = told.get("prompt"), told.get("fork_at"), str(told.get("mode", ""))
        words = prompt if isinstance(prompt, str) else "a prompt for each cell" if prompt else ""
        parts = [
            _MODES.get(mode, mode) if fork_at is None else f"forked at step {fork_at}",
            told.get("sampler", ""),
            f"{told['steps']} steps" if "steps" in told else "",
            f"seed {told['seed']}" if "seed" in told else "",
        ]
        return words, " \N{MIDDLE DOT} ".join(part for part in parts if part)

    def _picture(self, pixels: NDArray[np.uint8]) -> Image:
        """A picture in the sheet's colours, at its resolution."""
        image = to_pil(pixels)
        image.info.update(self.save_options)
        return image

    def _number(self, index: int) -> int:
        try:
            number = operator.index(index)
        except TypeError as error:
            raise InvalidTypeError(f"fork {index!r} is no whole number") from error
        if not -len(self) <= number < len(self):
            raise IndexError(f"fork {number} does not exist; there are {len(self)}, numbered from 0")
        return number % len(self)

    def _pasted(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
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
