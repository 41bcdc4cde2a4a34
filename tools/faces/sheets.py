"""Random sheets of one identity, and what is said about them.

All cells of a sheet share the colour, the background and the proportions. Half of the sheets mix two
moods, a quarter mix two accessories; the caption names one of each, and only the cells that it
describes count. So a denoiser learns to draw a cell by the caption and to fit it to cells that differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from faces.drawing import ACCESSORIES, BACKGROUNDS, BARE, COLOURS, MOODS, Look, draw

SHAPES = tuple((rows, columns) for rows in (1, 2, 3) for columns in (1, 2, 3, 4))
PLURAL = ("glasses", "headphones")


@dataclass(frozen=True)
class Sheets:
    """B sheets of one shape.

    Attributes:
        images: (B,3,64*rows,64*columns) in -1..1.
        counts: (B,rows,columns) booleans, the cells that the caption describes.
        captions: B texts.
        shape: rows and columns.
    """

    images: Tensor
    counts: Tensor
    captions: list[str]
    shape: tuple[int, int]


def caption(mood: str, colour: str = "", accessory: str = "", background: str = "") -> str:
    """The text for a cell, for example "a sad blue face with a crown on a navy background"."""
    article = "an" if mood[0] in "aeiou" else "a"
    words = [article, mood, colour, "face"]
    if accessory:
        words += ["with", accessory] if accessory in PLURAL else ["with", "a", accessory]
    if background:
        words += ["on", "a", background, "background"]
    return " ".join(word for word in words if word)


def random_look(count: int, g: torch.Generator) -> Look:
    """Draws `count` identities, one a sheet, each with one mood and one accessory."""

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=g)

    def choice(size: int) -> Tensor:
        return torch.randint(size, (count,), generator=g)

    return Look(
        colour=choice(len(COLOURS)),
        background=choice(len(BACKGROUNDS)),
        mood=choice(len(MOODS)),
        accessory=choice(len(ACCESSORIES) + 1),
        centre=torch.stack([between(30.5, 33.5), between(36.0, 38.0)], 1),
        unit=between(18.0, 21.0),
        width=between(0.90, 1.14),
        stroke=between(0.070, 0.085),
        spread=between(0.36, 0.44),
        eye=between(0.23, 0.27),
        mouth=between(0.40, 0.52),
        chin=between(0.44, 0.50),
        strength=torch.ones(count),
    )


def spread_over_cells(look: Look, cells: int, g: torch.Generator) -> Look:
    """Repeats each identity over the cells of its sheet, with small differences of pose."""
    count = len(look.unit)
    look = look[torch.arange(count).repeat_interleave(cells)]
    shift = torch.rand(count * cells, 2, generator=g) * 2 - 1
    strength = 0.9 + 0.25 * torch.rand(count * cells, generator=g)
    return replace(look, centre=look.centre + shift, strength=strength)


def mix(value: Tensor, choices: int, share: float, cells: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Gives some cells of some sheets another value.

    Args:
        value: (B,) what the caption names.
        choices: how many values there are.
        share: the part of the sheets that is mixed.
        cells: cells a sheet.
        g: the source of chance.

    Returns:
        The values (B,cells) and the cells that still have the named one (B,cells); at least one a sheet.
    """
    count = len(value)
    other = (value + torch.randint(1, choices, (count,), generator=g)) % choices
    mixed = torch.rand(count, generator=g) < share
    # A uniform number of cells keeps the named value, so that one among many is as common as all but one.
    keep = torch.randint(1, cells + 1, (count,), generator=g)
    order = torch.rand(count, cells, generator=g).argsort(1)
    named = (order < keep[:, None]) | ~mixed[:, None]
    return torch.where(named, value[:, None], other[:, None]), named


def random_sheets(count: int, shape: tuple[int, int], g: torch.Generator) -> Sheets:
    """Draws `count` sheets of one shape with their captions."""
    rows, columns = shape
    cells = rows * columns
    named = random_look(count, g)
    look = spread_over_cells(named, cells, g)
    mood, same_mood = mix(named.mood, len(MOODS), 0.5, cells, g)
    accessory, same_accessory = mix(named.accessory, BARE + 1, 0.25, cells, g)
    look = replace(look, mood=mood.flatten(), accessory=accessory.flatten())
    counts = same_mood & same_accessory
    # Two independent mixtures may leave no cell: then the accessory is not mixed.
    lost = ~counts.any(1)
    if lost.any():
        accessory[lost] = named.accessory[lost, None]
        counts[lost] = same_mood[lost]
        look = replace(look, accessory=accessory.flatten())
    images = draw(look).unflatten(0, (count, rows, columns)).permute(0, 3, 1, 4, 2, 5)
    images = images.reshape(count, 3, rows * 64, columns * 64)
    return Sheets(images, counts.unflatten(1, shape), random_captions(named, g), shape)


def random_captions(look: Look, g: torch.Generator) -> list[str]:
    """The captions of N looks; a tenth is empty, and some leave the colour or the background open."""
    chance = torch.rand(len(look.unit), 3, generator=g)
    texts = []
    for i, (empty, colour, background) in enumerate(chance.tolist()):
        full = describe(look, i, colour=colour > 0.1, background=background > 0.1)
        texts.append("" if empty < 0.1 else full)
    return texts


def describe(look: Look, i: int, *, colour: bool = True, background: bool = True) -> str:
    """The caption of the i-th look."""
    return caption(
        MOODS[int(look.mood[i])],
        tuple(COLOURS)[int(look.colour[i])] if colour else "",
        (*ACCESSORIES, "")[int(look.accessory[i])],
        tuple(BACKGROUNDS)[int(look.background[i])] if background else "",
    )


def save_png(images: Tensor, path: str) -> None:
    """Writes (3,H,W) in -1..1 as a PNG."""
    from PIL import Image

    array = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)
