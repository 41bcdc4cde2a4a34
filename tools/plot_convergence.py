"""Draw how fast the samplers without noise converge: docs/images/convergence.png, and the numbers on the way.

    python tools/plot_convergence.py

The images are Gaussian, so the exact denoiser is linear and the probability flow is known: x keeps its
proportion to the standard deviation at sigma. Every run starts from the same x and ramps up its order itself.
"""

import math
import sys
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sampling"))

from solving import drive, gaussian_denoiser, gaussian_std

from maskgrid.sampling import NoiseTable
from maskgrid.sampling.samplers import SAMPLERS
from maskgrid.sampling.samplers.walk import Walk

TARGET = Path(__file__).parents[1] / "docs" / "images" / "convergence.png"
STEPS = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
MODELS = {
    "epsilon and v models, sigma 10 to 0.1": (NoiseTable.stable_diffusion(), 10.0, 0.1),
    "flow models, sigma 0.98 to 0.05": (NoiseTable.flow(), 0.98, 0.05),
}
STYLES = {
    "euler": ("#888888", "-"),
    "heunpp2": ("#888888", "--"),
    "heun": ("#1f77b4", "-"),
    "dpm_2": ("#1f77b4", "--"),
    "dpmpp_2m": ("#2ca02c", "-"),
    "res_multistep": ("#2ca02c", "--"),
    "lms": ("#d62728", "-"),
    "ipndm": ("#d62728", "--"),
    "ipndm_v": ("#d62728", ":"),
    "deis": ("#9467bd", "-"),
    "uni_pc": ("#ff7f0e", "-"),
    "uni_pc_bh2": ("#ff7f0e", "--"),
}


def measure(name: str, table: NoiseTable, first: float, last: float, steps: int) -> tuple[int, float]:
    """(evaluations of the network, relative error) of a run on Karras' schedule."""
    ramp = torch.linspace(first ** (1 / 7), last ** (1 / 7), steps + 1, dtype=torch.float64)
    sigmas = ramp**7
    network = gaussian_denoiser(table)
    asked = 0

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        return network(x, sigma)

    x = gaussian_std(table, sigmas[0]).reshape(1, 1, 1, 1)
    end = drive(SAMPLERS[name].solve(x, Walk(sigmas, table)), denoiser)
    return asked, abs(float(end / gaussian_std(table, sigmas[-1])) - 1)


def draw(axes: Axes, title: str, table: NoiseTable, first: float, last: float) -> None:
    """One panel: a line for each sampler."""
    print(f"{title}\n{'sampler':16} " + " ".join(f"{steps:>8}" for steps in STEPS) + "  slope")
    for name, (colour, line) in STYLES.items():
        points = [measure(name, table, first, last, steps) for steps in STEPS]
        axes.loglog(*zip(*points, strict=True), line, color=colour, label=name, linewidth=1.6)
        errors = [error for _, error in points]
        slope = math.log2(errors[-3] / errors[-1])
        print(f"{name:16} " + " ".join(f"{error:8.1e}" for error in errors) + f"  {slope:.2f}")
    axes.set(title=title, xlabel="evaluations of the network")
    axes.set_xticks([10, 20, 50, 100, 200], labels=["10", "20", "50", "100", "200"])
    axes.minorticks_off()
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)


def main() -> None:
    """Draw both panels."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axes, (title, model) in zip(panels, MODELS.items(), strict=True):
        draw(axes, title, *model)
    panels[0].set_ylabel("relative error of x")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=110)
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
