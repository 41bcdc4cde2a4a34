"""A small classifier that says what a cell shows; it judges what the bundled model draws."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from faces.drawing import ACCESSORIES, BACKGROUNDS, COLOURS, MOODS, Look, draw
from faces.sheets import random_look, spread_over_cells

if TYPE_CHECKING:
    from torch import Tensor

SIZES = {
    "mood": len(MOODS),
    "colour": len(COLOURS),
    "accessory": len(ACCESSORIES) + 1,
    "background": len(BACKGROUNDS),
}
STEPS = 700
CLASSIFIER_SEED = 7 * 10**8
TEST_SEED = 8 * 10**8


class Classifier(nn.Module):
    """Pictures (N,3,64,64) in -1..1 to one row of scores for each thing that a caption names."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 32, 48, 64)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, size) for name, size in SIZES.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The scores by name."""
        features = self.body(images)
        return {name: head(features) for name, head in self.heads.items()}


def drawn_cells(count: int, seed: int) -> tuple[Tensor, Look]:
    """Single drawn cells and what they show."""
    g = torch.Generator().manual_seed(seed)
    look = spread_over_cells(random_look(count, g), 1, g)
    return draw(look), look


def train_classifier() -> Classifier:
    """Trains on drawn pictures only, a little noisy and shifted in brightness; about a minute."""
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    for step in range(STEPS):
        images, look = drawn_cells(64, CLASSIFIER_SEED + step)
        images = images + 0.05 * torch.randn_like(images) + 0.05 * torch.randn(len(images), 3, 1, 1)
        scores = model(images)
        loss = sum(F.cross_entropy(scores[name], getattr(look, name)) for name in SIZES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def hits(model: Classifier, images: Tensor, look: Look) -> dict[str, float]:
    """The share of the cells in which each thing is found as `look` says."""
    scores = model(images)
    return {name: (scores[name].argmax(1) == getattr(look, name)).float().mean().item() for name in SIZES}
