"""Makes the README's pictures with the bundled model.

docs/images/contact.png is the contact sheet of `maskgrid demo`, docs/images/modes.png what the network draws
at several steps of both modes and of a run between them.

    python tools/plot_readme.py
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from maskgrid import MaskGrid
from maskgrid.bundled_model import BUNDLED, read_demo
from maskgrid.result.picture_file import write_picture
from maskgrid.sampling import Progress

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

IMAGES = Path(__file__).parent.parent / "docs" / "images"
STEPS, PART_AT = 20, 8
SHOWN_STEPS, SHOWN_FORKS = (0, 4, 7, 8, 12, 19), (0, 4, 8)
MODES = (
    (STEPS, "Sample then Fork: one sampling, the new cells see each other; fork n takes cell n of it"),
    (
        PART_AT,
        f"fork_at = {PART_AT}: together for {PART_AT} steps, then each fork among the original neighbours",
    ),
    (0, "Fork then Sample: each new cell forms among the original neighbours"),
)
SEED = 1


@dataclass
class Recorder:
    """Keeps what the network draws at the steps that are shown.

    Attributes:
        drawn: By step, one picture (H, W, 3) of the sheet or one for each of the shown forks.
    """

    maker: MaskGrid
    drawn: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def __call__(self, progress: Progress) -> None:
        """Decode what the network makes of its noise at this step."""
        if progress.step not in SHOWN_STEPS:
            return
        latents = progress.denoised if progress.together else progress.denoised[list(SHOWN_FORKS)]
        pictures = [self.maker.host.decode(latent[None])[0].permute(1, 2, 0) for latent in latents]
        self.drawn[progress.step] = [(picture.numpy() + 1) / 2 for picture in pictures]


def settings() -> dict[str, Any]:
    """The demonstration's, without its prompts."""
    shown = read_demo()
    sheet = {"image": shown.image, "mask": shown.mask, "rows": shown.rows, "columns": shown.columns}
    return {**sheet, "steps": STEPS, "cfg": shown.cfg}


def draw_mode(figure: SubFigure, maker: MaskGrid, fork_at: int, title: str) -> None:
    """One run: its pictures by step, one above the other once the forks are apart, and its forks."""
    recorder = Recorder(maker)
    prompt = read_demo().prompts[4]
    forks = maker(**settings(), prompt=prompt, fork_at=fork_at, seed=SEED, callback=recorder)
    axes = figure.subplots(
        len(SHOWN_FORKS), len(SHOWN_STEPS) + 1, gridspec_kw={"wspace": 0.06, "hspace": 0.06}
    )
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    middle = len(SHOWN_FORKS) // 2
    for column, step in enumerate((*SHOWN_STEPS, STEPS)):
        pictures = [forks.array(n) for n in SHOWN_FORKS] if step == STEPS else recorder.drawn[step]
        for row, fork in enumerate(SHOWN_FORKS):
            place = axes[row, column]
            place.axis("off")
            if len(pictures) > 1 or row == middle:
                place.imshow(pictures[row if len(pictures) > 1 else 0])
            if len(pictures) > 1:
                rect = forks.grid.cell_rect(fork)
                corner, size = (rect.left - 0.5, rect.top - 0.5), (rect.width, rect.height)
                place.add_patch(Rectangle(corner, *size, fill=False, linewidth=1.2, edgecolor="#ff4081"))
        axes[0, column].set_title("forks" if step == STEPS else f"step {step + 1}", fontsize=8)


def main() -> None:
    """Run, draw, save."""
    IMAGES.mkdir(exist_ok=True)
    maker = MaskGrid.load(BUNDLED, device="cpu")
    forks = maker(**settings(), prompt=list(read_demo().prompts), mode="fork")
    write_picture(forks.contact_sheet(), IMAGES / "contact.png", force=True)
    figure: Figure = plt.figure(figsize=(10, 13), layout="constrained")
    for part, (fork_at, title) in zip(figure.subfigures(len(MODES), 1), MODES, strict=True):
        draw_mode(part, maker, fork_at, title)
    figure.savefig(IMAGES / "modes.png", dpi=90)


if __name__ == "__main__":
    main()
