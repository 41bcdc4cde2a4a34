"""The state of a run: where it stands, and all that going on from there needs besides the run's constants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maskgrid.sampling.forking.patches import Patches
from maskgrid.sampling.samplers.walk import Memory

__all__ = ["State"]


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stands: what is saved and carried on.

    Attributes:
        step: The next step of the run's sigmas to walk.
        rows: The fork of each row; empty while the forks are one sheet, which is one row.
        x: (n, B, C, ..., height, width) the solver's own x inside the patches, not blended; of the sheet
            together it is the whole sheet.
        memory: What the solver remembers: by name tensors like x, newest first.
        draws: Step noise drawn so far.
    """

    step: int
    rows: tuple[int, ...]
    x: Tensor
    memory: Memory
    draws: int

    @property
    def is_sheet(self) -> bool:
        """Whether the forks are still one sheet."""
        return not self.rows

    def expand(self, rows: int) -> "State":
        """The state with `rows` rows, also where they are still alike."""
        return self._map(lambda t: t.expand(rows, *(-1,) * (t.ndim - 1)))

    def part(self, forks: Sequence[int], patches: Patches) -> "State":
        """The state of some forks when they part: each has what the sheet has inside its patch."""
        own = self._map(lambda t: patches.cut(t).expand(len(patches), *(-1,) * (t.ndim - 1)))
        return replace(own, rows=tuple(forks))

    def pick(self, forks: Sequence[int]) -> "State":
        """The state of some of its forks; the sheet together stays as it is."""
        if self.is_sheet:
            return self
        places = [self.rows.index(fork) for fork in forks]
        return replace(self._map(lambda t: t[places]), rows=tuple(forks))

    @staticmethod
    def join(parts: Sequence["State"]) -> "State":
        """The state of the forks of all parts, which stand at the same step."""
        first = parts[0]
        if first.is_sheet:
            return first
        return replace(
            first,
            rows=tuple(row for part in parts for row in part.rows),
            x=torch.cat([part.x for part in parts]),
            memory={
                key: tuple(
                    torch.cat(same) for same in zip(*(part.memory[key] for part in parts), strict=True)
                )
                for key in first.memory
            },
        )

    def _map(self, change: Callable[[Tensor], Tensor]) -> "State":
        memory = {key: tuple(change(each) for each in kept) for key, kept in self.memory.items()}
        return replace(self, x=change(self.x), memory=memory)
