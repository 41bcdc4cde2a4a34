"""Draws docs/images/forks_part.png: how the forks of a sheet part, for several fork_at.

The sheet is a smooth random field, and the denoiser is the exact one of such fields: each spatial frequency
    of the noisy
field is kept by the share of it that is signal (a Wiener filter), so a cell does depend on its neighbours. No
network and no weights are needed.

    python tools/plot_forks.py
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from torch import Tensor

from maskgrid.sampling import ForkMasks, NoiseTable, Request, sample_forks

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

TARGET = Path(__file__).parent.parent / "docs" / "images" / "forks_part.png"
TABLE = NoiseTable.stable_diffusion()
SIDE, CELL, STEPS = 3, 16, 20
FORK_AT = (0, 4, 8, 12, 16, 20)
SIZE = SIDE * CELL
ENDS = {0: " (Fork then Sample)", STEPS: " (Sample then Fork)"}
STRIP_FORK_AT, STRIP_STEPS, STRIP_FORKS = 8, (0, 4, 7, 8, 12, 16, STEPS), (0, 4, 5)


class SmoothFields:
    """The exact denoiser of smooth Gaussian fields, which keeps what it was asked.

    Attributes:
        asked: Every x, (N or 1, C, h, w), and its sigma.
    """

    def __init__(self, length: float = 3.5) -> None:
        frequency = torch.fft.fftfreq(SIZE) * 2 * torch.pi
        power = torch.exp(-0.5 * length**2 * (frequency[:, None] ** 2 + frequency[None] ** 2)) + 1e-6
        self._power = power / power.mean()
        self.asked: list[tuple[Tensor, Tensor]] = []

    def draw(self, channels: int, seed: int) -> Tensor:
        """A field of unit variance, (1, channels, h, w)."""
        white = torch.randn(1, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
        return torch.fft.ifft2(torch.fft.fft2(white) * self._power.sqrt()).real

    def respond(self, request: Request) -> Tensor:
        """E[field | field + sigma * noise]."""
        self.asked.append((request.x.clone(), request.sigma))
        kept = self._power / (self._power + request.sigma**2)
        return torch.fft.ifft2(torch.fft.fft2(request.x) * kept).real


def disc_masks() -> ForkMasks:
    """A disc in the middle of every cell."""
    y, x = torch.meshgrid(torch.arange(CELL), torch.arange(CELL), indexing="ij")
    middle = (CELL - 1) / 2
    disc = ((y - middle) ** 2 + (x - middle) ** 2 < (CELL * 0.47) ** 2).float()
    masks = torch.zeros(SIDE**2, 1, SIZE, SIZE)
    for n, mask in enumerate(masks):
        top, left = n // SIDE * CELL, n % SIDE * CELL
        mask[0, top : top + CELL, left : left + CELL] = disc
    return ForkMasks.from_tensor(masks, rows=SIDE, columns=SIDE)


@dataclass(frozen=True)
class Parting:
    """What a run showed.

    Attributes:
        x: What the network was shown at each step, (N or 1, C, h, w), of unit variance; last the result, (N,
            C, h, w).
        spread: How far x differs between the forks inside the stencils at each step, rms.
        cells: The finished new pixels of each fork, (N, C, pixels).
    """

    x: list[Tensor]
    spread: list[float]
    cells: Tensor


def rms(values: Tensor) -> float:
    """Root of the mean square."""
    return float(values.square().mean().sqrt())


def run(fork_at: int, masks: ForkMasks) -> Parting:
    """Sample with the forks parting at a step."""
    model = SmoothFields()
    forks = sample_forks(
        model, model.draw(4, seed=1), masks, table=TABLE, steps=STEPS, fork_at=fork_at, seed=3
    )
    stencil = masks.sheet()[0, 0] > 0
    spread = [rms(x[..., stencil] - x[..., stencil].mean(0)) for x, _ in model.asked]
    shown = [TABLE.scale_input(x, sigma) for x, sigma in model.asked]
    own = [fork[0][:, mask[0] > 0] for fork, mask in zip(forks, masks.batch(), strict=True)]
    return Parting([*shown, forks.latents], spread, torch.stack(own))


def draw_strip(figure: SubFigure, parting: Parting, fork_at: int) -> None:
    """The x of some forks over the steps; one sheet while they are together."""
    grid = figure.subplots(len(STRIP_FORKS), len(STRIP_STEPS))
    figure.suptitle(f"x of three of nine forks, fork_at = {fork_at}", fontsize=11)
    for column, step in enumerate(STRIP_STEPS):
        x = parting.x[step]
        for row, (axes, fork) in enumerate(zip(grid[:, column], STRIP_FORKS, strict=True)):
            axes.axis("off")
            if len(x) == 1 and row != len(STRIP_FORKS) // 2:
                continue
            axes.imshow(x[fork if len(x) > 1 else 0, 0], vmin=-2.2, vmax=2.2, cmap="RdYlBu_r")
            for n in range(SIDE**2) if len(x) == 1 else (fork,):
                corner = (n % SIDE * CELL - 0.5, n // SIDE * CELL - 0.5)
                axes.add_patch(Rectangle(corner, CELL, CELL, fill=False, linewidth=1.2))
        grid[0, column].set_title("result" if step == STEPS else f"step {step}", fontsize=9)


def draw_curves(figure: SubFigure, runs: dict[int, Parting]) -> None:
    """The spread over the steps, and how far the new cells lie from those of the modes."""
    left, right = figure.subplots(1, 2)
    shades = mpl.colormaps["viridis"]([i / len(FORK_AT) for i in range(len(FORK_AT))])
    for fork_at, shade in zip(FORK_AT, shades, strict=True):
        label = f"{fork_at}{ENDS.get(fork_at, '')}"
        left.plot(range(STEPS), runs[fork_at].spread, "o-", color=shade, markersize=3, label=label)
    left.set(xlabel="step", ylabel="spread of x between forks (rms)")
    left.legend(title="fork_at", fontsize=8)
    for end, style in ((0, "o-"), (STEPS, "s-")):
        apart = [rms(runs[k].cells - runs[end].cells) for k in range(STEPS + 1)]
        label = f"from fork_at = {end}{ENDS[end]}"
        right.plot(range(STEPS + 1), apart, style, markersize=3, label=label)
    right.set(xlabel="fork_at", ylabel="distance of the new cells (rms)")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xticks(range(0, STEPS + 1, 4))


def main() -> None:
    """Run, draw, save."""
    masks = disc_masks()
    runs = {fork_at: run(fork_at, masks) for fork_at in range(STEPS + 1)}
    figure: Figure = plt.figure(figsize=(10, 8.2), layout="constrained")
    strip, curves = figure.subfigures(2, 1, height_ratios=[1.2, 1])
    draw_strip(strip, runs[STRIP_FORK_AT], STRIP_FORK_AT)
    draw_curves(curves, runs)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
