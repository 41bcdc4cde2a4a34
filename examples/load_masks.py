"""Prepare masks in the workers of a torch DataLoader: a random stencil a sheet, and its noise masks.

    python examples/load_masks.py [--sheets 64] [--batch 8] [--workers 2]

Needs `pip install maskgrid torch`; no model.
"""

import argparse

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from maskgrid import ForkPlan, Grid, masks

GRID = Grid(3, 4, cell=64, stride=8)


class RandomStencils(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Stencils drawn at random, each known by its number, with a noise mask for each fork."""

    def __init__(self, sheets: int) -> None:
        self.sheets = sheets

    def __len__(self) -> int:
        """How many there are."""
        return self.sheets

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(64, 64) and (12, 1, 24, 32) float32; the same for the same number in any worker."""
        if not 0 <= number < self.sheets:
            raise IndexError(number)
        draw = np.random.default_rng(number)
        dots = draw.random((64, 64)) > 0.999
        dots[draw.integers(16, 48), draw.integers(16, 48)] = True
        stencil = masks.feather(masks.grow(dots.astype(np.float32), 8), 4)
        return torch.from_numpy(stencil), torch.from_numpy(ForkPlan(GRID, stencil).noise_masks())


def main() -> None:
    """Loads everything once and says how many masks there were."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sheets", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(default: %(default)s)")
    options = parser.parse_args()
    loader = DataLoader(RandomStencils(options.sheets), options.batch, num_workers=options.workers)
    forks = sum(
        noise_masks[:, :, 0].shape.numel() // noise_masks[0, 0, 0].numel() for _, noise_masks in loader
    )
    print(f"{forks} noise masks of {options.sheets} sheets")


if __name__ == "__main__":
    main()
