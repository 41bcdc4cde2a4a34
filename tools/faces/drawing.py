"""Draws the faces: a head, a mood, an accessory, on a plain background.

Every function here draws many cells at once. What a cell shows is said by a `Look`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from faces.shapes import CELL, Brush

COLOURS = {
    "red": (0.89, 0.24, 0.22),
    "orange": (0.98, 0.58, 0.16),
    "yellow": (0.98, 0.86, 0.25),
    "green": (0.33, 0.73, 0.32),
    "blue": (0.27, 0.52, 0.92),
    "purple": (0.62, 0.36, 0.80),
}
BACKGROUNDS = {
    "navy": (0.10, 0.14, 0.33),
    "cream": (0.98, 0.94, 0.82),
    "grey": (0.58, 0.60, 0.63),
    "pink": (0.97, 0.71, 0.79),
    "mint": (0.67, 0.90, 0.78),
}
MOODS = ("happy", "sad", "angry", "surprised", "sleepy", "laughing")
ACCESSORIES = ("crown", "hat", "bow", "glasses", "headphones")
BARE = len(ACCESSORIES)  # the index that stands for no accessory

INK = (0.09, 0.08, 0.11)
WHITE = (1.0, 1.0, 1.0)
GOLD = (1.0, 0.78, 0.18)
BAND = (0.85, 0.20, 0.25)
FELT = (0.29, 0.26, 0.33)
RIBBON = (0.93, 0.28, 0.55)
PADS = (0.25, 0.72, 0.74)
TONGUE = (0.90, 0.36, 0.40)
ARC = ((0.93, 0.36), (0.74, 0.68), (0.4, 0.92), (0, 1), (-0.4, 0.92), (-0.74, 0.68), (-0.93, 0.36))
HALF_DISC = ((-1, 0), (1, 0), *ARC)


@dataclass(frozen=True)
class Look:
    """What N cells show. Indices are into the tables above; lengths are in face units.

    Attributes:
        colour, background, mood, accessory: (N,) integers.
        centre: (N,2) head centres in pixels; unit: (N,) pixels a face unit.
        width: (N,) half width of the head; stroke: (N,) half a bold stroke.
        spread, eye, mouth, chin: (N,) distance of an eye from the middle, eye size, half width of the
            mouth, height of the mouth below the middle.
        strength: (N,) how strongly the mood shows, about 1.
    """

    colour: Tensor
    background: Tensor
    mood: Tensor
    accessory: Tensor
    centre: Tensor
    unit: Tensor
    width: Tensor
    stroke: Tensor
    spread: Tensor
    eye: Tensor
    mouth: Tensor
    chin: Tensor
    strength: Tensor

    def __getitem__(self, index: Tensor) -> Look:
        """The looks of some of the cells."""
        return Look(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def draw(look: Look) -> Tensor:
    """Draws N cells: (N,3,64,64) float32 in -1..1."""
    background = torch.tensor(list(BACKGROUNDS.values()))[look.background]
    rgb = background[:, :, None, None].expand(-1, -1, CELL, CELL).contiguous()
    brush = Brush(rgb, look.centre, look.unit, look.stroke)
    head = brush.ellipse(0, 0, look.width, 1.0)
    brush.outlined(head, torch.tensor(list(COLOURS.values()))[look.colour], INK)
    # The moods come first: glasses lie over the eyes, a hat over the brows.
    for table, chosen in ((MOOD_PAINTERS, look.mood), (ACCESSORY_PAINTERS, look.accessory)):
        for index, painter in enumerate(table):
            where = (chosen == index).nonzero()[:, 0]
            if len(where):
                part = look[where]
                brush = Brush(rgb[where], part.centre, part.unit, part.stroke)
                painter(brush, part)
                rgb[where] = brush.rgb
    return rgb.mul_(2).sub_(1)


def eyes(brush: Brush, look: Look, grow: float = 1.0) -> None:
    """Two white eyes with dark pupils."""
    for side in (-1, 1):
        x, size = look.spread * side, look.eye * grow
        brush.outlined(brush.ellipse(x, -0.15, size, size * 1.15), WHITE, INK)
        brush.paint(brush.ellipse(x, -0.13, look.eye * 0.34, look.eye * 0.46), INK)


def closed_eyes(brush: Brush, look: Look, bend: float) -> None:
    """Two curved lids; a positive bend hangs down, a negative one arches up."""
    for side in (-1, 1):
        x, half = look.spread * side, look.eye * 1.2
        lid = brush.curve((x - half, -0.12 - bend / 2), (x, -0.12 + bend * 1.5), (x + half, -0.12 - bend / 2))
        brush.line(lid, INK)


def brows(brush: Brush, look: Look, inner: float, outer: float) -> None:
    """Two straight brows; `inner` and `outer` are the heights of their ends."""
    for side in (-1, 1):
        near, far = look.spread * side * 0.42, look.spread * side * 1.5
        mid = (inner + outer) / 2
        tilt = (inner - outer) / 2 * look.strength
        brush.line(brush.segment(near, mid + tilt, far, mid - tilt), INK)


def happy(brush: Brush, look: Look) -> None:
    """Open eyes and a wide smile."""
    eyes(brush, look)
    rise = 0.30 * look.strength
    smile = brush.curve(
        (-look.mouth, look.chin - rise / 2), (0.0, look.chin + rise * 1.7), (look.mouth, look.chin - rise / 2)
    )
    brush.line(smile, INK)


def sad(brush: Brush, look: Look) -> None:
    """Brows that rise to the middle and a mouth that hangs."""
    eyes(brush, look, 0.9)
    brows(brush, look, -0.74, -0.52)
    fall = 0.24 * look.strength
    brush.line(
        brush.curve(
            (-look.mouth * 0.8, look.chin + 0.10 + fall / 2),
            (0.0, look.chin + 0.05 - fall * 1.6),
            (look.mouth * 0.8, look.chin + 0.10 + fall / 2),
        ),
        INK,
    )


def angry(brush: Brush, look: Look) -> None:
    """Brows that fall to the middle and bared teeth."""
    eyes(brush, look, 0.9)
    brows(brush, look, -0.36, -0.68)
    wide, high = look.mouth * 0.85, 0.17 * look.strength
    y = look.chin + 0.05
    teeth = [(-wide, y - high), (wide, y - high), (wide, y + high), (-wide, y + high)]
    brush.outlined(brush.polygon(teeth), WHITE, INK)
    for at in (-0.34, 0.34):
        brush.line(brush.segment(wide * at, y - high, wide * at, y + high), INK, 0.6)


def surprised(brush: Brush, look: Look) -> None:
    """Large eyes and a round mouth."""
    eyes(brush, look, 1.2)
    size = 0.25 * look.strength
    brush.outlined(brush.ellipse(0, look.chin + 0.06, size * 0.9, size * 1.15), TONGUE, INK)


def sleepy(brush: Brush, look: Look) -> None:
    """Hanging lids and a short flat mouth."""
    closed_eyes(brush, look, 0.16)
    half = look.mouth * 0.42
    brush.line(brush.segment(-half, look.chin + 0.05, half, look.chin + 0.05), INK)


def laughing(brush: Brush, look: Look) -> None:
    """Arched lids and a wide open mouth."""
    closed_eyes(brush, look, -0.20)
    wide, deep, top = look.mouth, 0.46 * look.strength, look.chin - 0.14
    rim = [(wide * x, top + deep * y) for x, y in HALF_DISC]
    brush.outlined(brush.polygon(rim), TONGUE, INK)


def crown(brush: Brush, look: Look) -> None:
    """Three golden points."""
    w = look.width * 0.78
    tips = [(-1, -0.72), (-1.08, -1.42), (-0.5, -1.08), (0, -1.52), (0.5, -1.08), (1.08, -1.42), (1, -0.72)]
    brush.outlined(brush.polygon([(w * x, y) for x, y in tips]), GOLD, INK)


def hat(brush: Brush, look: Look) -> None:
    """A top hat with a red band."""
    w = look.width
    tall = [(w * x, y) for x, y in ((-0.62, -0.80), (-0.62, -1.55), (0.62, -1.55), (0.62, -0.80))]
    brush.outlined(brush.polygon(tall), FELT, INK)
    band = [(w * x, y) for x, y in ((-0.56, -0.86), (-0.56, -1.08), (0.56, -1.08), (0.56, -0.86))]
    brush.paint(brush.polygon(band), BAND)
    brush.line(brush.segment(-1.0 * w, -0.76, 1.0 * w, -0.76), INK, 1.7)


def bow(brush: Brush, look: Look) -> None:
    """A pink bow at the top right of the head."""
    x, y = look.width * 0.52, -0.92
    for side in (-1, 1):
        wing = [(x, y), (x + side * 0.48, y - 0.30), (x + side * 0.48, y + 0.30)]
        brush.outlined(brush.polygon(wing), RIBBON, INK)
    brush.outlined(brush.ellipse(x, y, 0.13, 0.13), RIBBON, INK)


def glasses(brush: Brush, look: Look) -> None:
    """Round golden glasses."""
    size = look.spread * 0.86
    for side in (-1, 1):
        rim = brush.ellipse(look.spread * side, -0.14, size, size).abs()
        brush.line(rim, INK, 1.5)
        brush.line(rim, GOLD, 0.75)
        arm = brush.segment(look.spread * side + size * side, -0.16, look.width * 1.02 * side, -0.24)
        brush.line(arm, INK, 1.0)


def headphones(brush: Brush, look: Look) -> None:
    """A band over the head and two pads on the ears."""
    w = look.width
    band = brush.ellipse(0, 0.02, w * 1.13, 1.15).abs()
    above = torch.maximum(band, brush.y - 0.0)
    brush.line(above, INK, 1.4)
    for side in (-1, 1):
        brush.outlined(brush.ellipse(w * 1.08 * side, 0.0, 0.20, 0.34), PADS, INK)


MOOD_PAINTERS = (happy, sad, angry, surprised, sleepy, laughing)
ACCESSORY_PAINTERS = (crown, hat, bow, glasses, headphones)
