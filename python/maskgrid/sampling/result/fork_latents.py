"""What a run gives: the forks' latents, and what carrying on needs when noise is left in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import overload

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.patches import Patches, arrange
from maskgrid.sampling.forking.setup import Setup
from maskgrid.sampling.forking.stretch import Checkpoint

__all__ = ["ForkLatents", "RunState"]


@dataclass(frozen=True, eq=False)
class RunState:
    """What carrying on needs.

    That is the clean latents, masks, noise and sigmas, and where the solver stands with its history.

    Attributes:
        setup: The run's constants.
        checkpoint: Where it stands; a row for each fork of the result, or one sheet while they are together.
    """

    setup: Setup
    checkpoint: Checkpoint

    @property
    def step(self) -> int:
        """The step of the schedule to go on with."""
        return self.setup.first + self.checkpoint.step

    def of(self, rows: Sequence[int]) -> "RunState":
        """The state of some forks, by their place in the result."""
        return self if self.checkpoint.together else replace(self, checkpoint=self.checkpoint.of(rows))


@dataclass(frozen=True, eq=False)
class ForkLatents:
    """The latents of some or all forks of a sheet, kept as the sheet and a patch for each.

    `len` and iteration go over the forks; `forks[i]` is fork i as (B, C, ..., h, w), `forks[1:3]` the result
    of these two alone.

    Attributes:
        image_latents: (B, C, ..., h, w) the clean sheet as it was given.
        masks: Where each fork of the run may change.
        numbers: The forks that are here, in order; all of them unless the run was stopped or some were
            chosen.
        patches: (n, B, C, ..., height, width) what is new, of image_latents' dtype and device.
        places: Where the patches lie.
        sigma: The noise level; 0 for a whole run.
        background: (1 or n, B, C, ..., h, w) what lies around the patches: the sheet, noised to sigma.
        state: What `continue_forks` needs; None when there is nothing to carry on.
    """

    image_latents: Tensor
    masks: ForkMasks
    numbers: tuple[int, ...]
    patches: Tensor
    places: Patches
    sigma: float
    background: Tensor
    state: RunState | None = None

    @property
    def rows(self) -> int:
        """Rows of the grid."""
        return self.masks.rows

    @property
    def columns(self) -> int:
        """Columns of the grid."""
        return self.masks.columns

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell of each fork that is here."""
        return tuple(self.masks.cells[i] for i in self.numbers)

    @property
    def latents(self) -> Tensor:
        """(n * B, C, ..., h, w) all sheets, fork-major; made anew when asked for."""
        sheets = self.background.expand(len(self), *self.background.shape[1:])
        sheets = sheets.clone(memory_format=torch.contiguous_format)
        self.places.paste(self.patches, sheets)
        return sheets.flatten(0, 1)

    def merged(self) -> Tensor:
        """(B, C, ..., h, w): one sheet with every new cell that is here.

        A cell is the part of the sheet that is the fork's own; where a mask reaches over its border, which it
        can do when cells do not divide by the stride, that part is left out.
        """
        sheet = self.background[:1].clone()
        for i, number in enumerate(self.numbers):
            arrange(self._sheet(i)[None], self.masks.writes[number : number + 1], sheet)
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
            state=self.state and self.state.of(rows),
        )

    @staticmethod
    def joined(parts: Sequence["ForkLatents"]) -> "ForkLatents":
        """The results of micro-batches of one run as one."""
        first = parts[0]
        state = first.state
        if state is not None and not state.checkpoint.together:
            checkpoints = [part.state.checkpoint for part in parts if part.state is not None]
            state = replace(state, checkpoint=Checkpoint.joined(checkpoints))
        shared = all(torch.equal(part.background, first.background) for part in parts)
        return replace(
            first,
            numbers=tuple(number for part in parts for number in part.numbers),
            patches=torch.cat([part.patches for part in parts]),
            places=replace(first.places, places=tuple(p for part in parts for p in part.places.places)),
            background=first.background if shared else torch.cat([part.background for part in parts]),
            state=state,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to a safetensors file, which `load` reads in any process.

        Raises:
            InvalidTypeError: A noise table of one's own making, which no file can hold.
        """
        from maskgrid.sampling.result.latents_file import save

        save(self, path)

    @staticmethod
    def load(path: str | PathLike[str], *, device: torch.device | str = "cpu") -> "ForkLatents":
        """Read what `save` wrote.

        Raises:
            InvalidValueError: Not such a file, or one of a later version.
        """
        from maskgrid.sampling.result.latents_file import load

        return load(path, device=device)

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
        shape, dtype = tuple(self.image_latents.shape), str(self.image_latents.dtype).removeprefix("torch.")
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
