"""What a run gives: the forks' latents, and what carrying on needs when noise is left in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from typing import overload

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import ForkRun
from maskgrid.sampling.forking.patches import Patches, arrange_cells
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.result.latents_file import read_latents_file, write_latents_file

__all__ = ["ForkLatents"]


@dataclass(frozen=True, eq=False)
class ForkLatents:
    """The latents of some or all forks of a sheet, kept as the sheet and a patch for each.

    `len` and iteration go over the forks; `forks[i]` is fork i as (B, C, ..., h, w), `forks[1:3]` the result
    of these two alone.

    Attributes:
        sheets: (1, B, C, ..., h, w) the clean sheet as it was given; or (N, ...) one for each fork of the
            run.
        masks: Where each fork of the run may change.
        numbers: The forks that are here, in order; all of them unless the run was stopped or some were
            chosen.
        patches: (n, B, C, ..., height, width) what is new, of the sheets' dtype and device.
        places: Where the patches lie.
        sigma: The noise level; 0 for a whole run.
        background: (1 or n, B, C, ..., h, w) what lies around the patches: the sheet, noised to sigma.
        run: The run's constants, for `continue_forks`; None when there is nothing to carry on.
        state: Where the run stands; likewise.
    """

    sheets: Tensor
    masks: ForkMasks
    numbers: tuple[int, ...]
    patches: Tensor
    places: Patches
    sigma: float
    background: Tensor
    run: ForkRun | None = None
    state: State | None = None

    @property
    def image_latents(self) -> Tensor:
        """The clean sheet as it was given, (B, C, ..., h, w); or (N, ...) one for each fork of the run."""
        return self.sheets[0] if len(self.sheets) == 1 else self.sheets

    @property
    def rows(self) -> int:
        """Rows of the grid whose cells the forks renew."""
        return self.masks.rows

    @property
    def columns(self) -> int:
        """Columns of the grid whose cells the forks renew."""
        return self.masks.columns

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell that each of the forks here renews."""
        return tuple(self.masks.cells[i] for i in self.numbers)

    @property
    def variants(self) -> tuple[int, ...]:
        """Which try of its cell each of the forks here is, from 0."""
        tries = {fork: variant for variant, sheet in enumerate(self.masks.sheets) for fork in sheet}
        return tuple(tries[number] for number in self.numbers)

    @property
    def latents(self) -> Tensor:
        """The latents of all forks as whole sheets (n * B, C, ..., h, w), fork-major; made when asked for."""
        sheets = self.background.expand(len(self), *self.background.shape[1:])
        sheets = sheets.clone(memory_format=torch.contiguous_format)
        self.places.paste(self.patches, sheets)
        return sheets.flatten(0, 1)

    def merged(self) -> Tensor:
        """The latents of one sheet (B, C, ..., h, w) with every new cell that is here.

        A cell is the part of the sheet that is the fork's own; where a mask reaches over its border, which it
        can do when cells do not divide by the stride, that part is left out.

        Raises:
            InvalidValueError: Forks of sheets of their own.
        """
        if len(self.sheets) > 1:
            raise InvalidValueError(
                f"these are forks of {len(self.sheets)} sheets, so there is none to merge them in; "
                "allowed: forks of one sheet"
            )
        sheet = self.background[:1].clone()
        for i, number in enumerate(self.numbers):
            arrange_cells(self._sheet(i)[None], self.masks.writes[number : number + 1], sheet)
        return sheet[0]

    def pick(self, numbers: Sequence[int]) -> "ForkLatents":
        """The result of some of its forks, in this order; carrying on with it samples only these.

        Raises:
            InvalidValueError: A fork that is not here, or is named twice.
        """
        rows = [self._row(number) for number in numbers]
        if len(set(rows)) != len(rows):
            raise InvalidValueError(f"the forks to pick are {list(numbers)}; allowed: each at most once")
        return replace(
            self,
            numbers=tuple(self.numbers[row] for row in rows),
            patches=self.patches[rows],
            places=self.places.of(rows),
            background=self.background if len(self.background) == 1 else self.background[rows],
            state=self.state and self.state.pick(list(numbers)),
        )

    def carry_on(self, run: ForkRun, state: State) -> "ForkLatents":
        """The latents of forks with the run and the state that `continue_forks` goes on from."""
        return replace(self, run=run, state=state)

    @staticmethod
    def join(parts: Sequence["ForkLatents"]) -> "ForkLatents":
        """The results of micro-batches of one run as one."""
        first = parts[0]
        states = [part.state for part in parts if part.state is not None]
        shared = all(torch.equal(part.background, first.background) for part in parts)
        return replace(
            first,
            numbers=tuple(number for part in parts for number in part.numbers),
            patches=torch.cat([part.patches for part in parts]),
            places=replace(first.places, places=tuple(p for part in parts for p in part.places.places)),
            background=first.background if shared else torch.cat([part.background for part in parts]),
            state=State.join(states) if states else None,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to a safetensors file, which `load` reads in any process.

        Raises:
            InvalidTypeError: A noise table of one's own making, which no file can hold.
        """
        write_latents_file(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def load(path: str | PathLike[str], *, device: torch.device | str = "cpu") -> "ForkLatents":
        """Read forks from a safetensors file that `save` wrote.

        Raises:
            InvalidValueError: Not such a file, or one of a later version.
        """
        return ForkLatents(**read_latents_file(path, device=device))

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Tensor]:
        return (self._sheet(row) for row in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> "ForkLatents": ...
    def __getitem__(self, index: int | slice) -> "Tensor | ForkLatents":
        if isinstance(index, slice):
            return self.pick(self.numbers[index])
        try:
            return self._sheet(self._row(index))
        except InvalidValueError as error:
            raise IndexError(str(error)) from error

    def __repr__(self) -> str:
        whole = "" if len(self) == len(self.masks) else f" of {len(self.masks)}"
        left = f", sigma {self.sigma:g}" if self.sigma else ""
        shape, dtype = tuple(self.sheets.shape[1:]), str(self.sheets.dtype).removeprefix("torch.")
        grid = f"{self.rows} x {self.columns} cells"
        return f"<ForkLatents: {len(self)}{whole} forks of a sheet of {grid}, latents {shape} {dtype}{left}>"

    def _row(self, number: int) -> int:
        if number not in self.numbers:
            raise InvalidValueError(
                f"fork {number} is not here; allowed: {', '.join(map(str, self.numbers)) or 'none'}"
            )
        return self.numbers.index(number)

    def _sheet(self, row: int) -> Tensor:
        sheet = self.background[row if len(self.background) > 1 else 0][None].clone()
        self.places.of([row]).paste(self.patches[row : row + 1], sheet)
        return sheet[0]
