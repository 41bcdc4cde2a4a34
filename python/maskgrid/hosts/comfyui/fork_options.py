"""What the sampler nodes let people choose about forks, checked and with its meaning for a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from maskgrid.errors import InvalidValueError

__all__ = ["BLENDS", "COVERAGES", "MODES", "SEED_MODES", "ForkOptions", "seeds_of"]

MODES = ("Sample then Fork", "Fork then Sample")
COVERAGES = ("center", "nearest", "area", "max", "min")
BLENDS = ("lerp", "differential")
SEED_MODES = ("same", "increment", "list")
_SEEDS = 2**64


@dataclass(frozen=True, slots=True)
class ForkOptions:
    """The inputs of a sampler node that are not ComfyUI's own.

    Attributes:
        rows: Rows of cells.
        columns: Columns of cells.
        mode: One of MODES.
        fork_at: The step up to which all cells are sampled together; -1 leaves it to the mode.
        coverage: One of COVERAGES.
        blend: One of BLENDS.
        cells: Which cells to fork, as `read_cells` takes it.
        seed_mode: One of SEED_MODES.
        seeds: The seeds of "list", separated by commas or blanks.
        micro_batch: The most forks in one call of the network; 0 for as many as fit.
        compat: Whether leftover noise comes out as the original node gives it.
        prompt_per_fork: Whether row i of the conditioning is the prompt of fork i.
    """

    rows: int = 1
    columns: int = 3
    mode: str = MODES[0]
    fork_at: int = -1
    coverage: str = COVERAGES[0]
    blend: str = BLENDS[0]
    cells: str = ""
    seed_mode: str = SEED_MODES[0]
    seeds: str = ""
    micro_batch: int = 0
    compat: bool = False
    prompt_per_fork: bool = False

    def __post_init__(self) -> None:
        named = (("mode", MODES), ("coverage", COVERAGES), ("blend", BLENDS), ("seed_mode", SEED_MODES))
        for name, allowed in named:
            if getattr(self, name) not in allowed:
                raise InvalidValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name, least in (("rows", 1), ("columns", 1), ("fork_at", -1), ("micro_batch", 0)):
            if getattr(self, name) < least:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; allowed: {least} or more")

    def steps_together(self, start: int, steps: int) -> int:
        """How many of the `steps` that are taken from step `start` on come before the forks part."""
        if self.fork_at < 0:
            return steps if self.mode == MODES[0] else 0
        return max(0, min(self.fork_at - start, steps))


def seeds_of(options: ForkOptions, seed: int, count: int) -> list[int]:
    """The seed of each fork, by the node's seed_mode.

    Raises:
        InvalidValueError: Another number of seeds than forks, or what is no seed.
    """
    if options.seed_mode == "same":
        return [seed] * count
    if options.seed_mode == "increment":
        return [(seed + number) % _SEEDS for number in range(count)]
    words = [word for word in re.split(r"[\s,;]+", options.seeds) if word]
    if not all(word.isdecimal() and int(word) < _SEEDS for word in words):
        raise InvalidValueError(f"seeds is {options.seeds!r}; allowed: numbers from 0 to 2^64 - 1")
    if len(words) != count:
        raise InvalidValueError(f"seeds has {len(words)} numbers; allowed: {count}, one for each fork")
    return [int(word) for word in words]
