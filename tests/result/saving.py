"""Saves forks again and again, as a program of its own, to be killed or interrupted while it does.

python saving.py OUT: OUT is replaced by turns with two and with three forks. A line is printed before each
save, and "interrupted" for a Ctrl-C that came out of it.
"""

import itertools
import sys

import numpy as np

from maskgrid import Forks, Grid

SIZE, FORKS = 16, (2, 3)


def forks_of(count: int) -> Forks:
    """The forks of a round, the same in every process."""
    random = np.random.default_rng(count)
    sheet = np.random.default_rng(0).integers(0, 256, (SIZE, 3 * SIZE, 3), dtype=np.uint8)
    patches = random.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    alpha = np.ones((1, SIZE, SIZE), np.float32)
    return Forks(sheet, patches, range(count), Grid(1, 3, cell=SIZE, stride=8), alpha, settings={"seed": 3})


def main() -> None:
    both = [forks_of(count) for count in FORKS]
    for forks in itertools.cycle(both):
        print("saving", flush=True)
        try:
            forks.save(sys.argv[1], force=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            return


if __name__ == "__main__":
    main()
