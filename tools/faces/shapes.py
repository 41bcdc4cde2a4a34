"""Antialiased shapes painted on many cells at once, as signed distances in face units.

A face unit is the half height of the head. The origin is the head's centre, x points right and y down.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

Number: TypeAlias = float | Tensor  # one for all cells, or (N,)
Point: TypeAlias = tuple[Number, Number]
CELL = 64  # pixels a side
SEGMENTS = 7  # straight pieces of a curve; at 64 pixels the corners can't be seen


class Brush:
    """Paints filled shapes and strokes on N cells.

    Args:
        rgb: (N,3,64,64) in 0..1, changed in place.
        centre: (N,2) head centres in pixels, x first.
        unit: (N,) pixels a face unit.
        stroke: (N,) half the width of a bold stroke, in face units.
    """

    def __init__(self, rgb: Tensor, centre: Tensor, unit: Tensor, stroke: Tensor) -> None:
        self.rgb = rgb
        self.unit = unit[:, None, None]
        self.stroke = stroke[:, None, None]
        pixel = torch.arange(CELL) + 0.5
        self.x = (pixel[None, None, :] - centre[:, 0, None, None]) / self.unit
        self.y = (pixel[None, :, None] - centre[:, 1, None, None]) / self.unit

    def paint(self, distance: Tensor, colour: Tensor | Sequence[float], opacity: float = 1.0) -> None:
        """Covers the pixels whose signed distance (N,64,64), in face units, is negative."""
        alpha = (0.5 - distance * self.unit).clamp_(0, 1).mul_(opacity)[:, None]
        paint = torch.as_tensor(colour, dtype=self.rgb.dtype).reshape(-1, 3, 1, 1)
        self.rgb += alpha * (paint - self.rgb)

    def ellipse(self, x: Number, y: Number, rx: Number, ry: Number) -> Tensor:
        """Distance to an ellipse, exact to first order at its edge."""
        u, v = (self.x - wide(x)) / wide(rx), (self.y - wide(y)) / wide(ry)
        level = torch.sqrt(u * u + v * v)
        slope = torch.sqrt((u / wide(rx)) ** 2 + (v / wide(ry)) ** 2).clamp_min(1e-6)
        return level * (level - 1) / slope

    def segment(self, ax: Number, ay: Number, bx: Number, by: Number) -> Tensor:
        """Distance to the straight line from a to b, unsigned."""
        ax, ay, bx, by = wide(ax), wide(ay), wide(bx), wide(by)
        dx, dy = bx - ax, by - ay
        px, py = self.x - ax, self.y - ay
        along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0, 1)
        return torch.hypot(px - along * dx, py - along * dy)

    def curve(self, start: Point, control: Point, end: Point) -> Tensor:
        """Distance to a quadratic curve (a Bezier curve with one control point), unsigned."""
        points = [bezier(start, control, end, i / SEGMENTS) for i in range(SEGMENTS + 1)]
        pieces = [self.segment(*a, *b) for a, b in pairwise(points)]
        return torch.stack(pieces).amin(0)

    def polygon(self, points: Sequence[Point]) -> Tensor:
        """Signed distance to a closed polygon, by counting the edges a ray crosses."""
        inside = torch.zeros_like(self.x + self.y, dtype=torch.bool)
        distance = torch.full_like(self.x + self.y, torch.inf)
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
            distance = torch.minimum(distance, self.segment(ax, ay, bx, by))
            ax, ay, bx, by = wide(ax), wide(ay), wide(bx), wide(by)
            spans = (self.y < by) != (self.y < ay)
            inside ^= spans & ((self.x - ax) * (by - ay) < (bx - ax) * (self.y - ay)) ^ (spans & (by < ay))
        return torch.where(inside, -distance, distance)

    def outlined(self, distance: Tensor, fill: Tensor | Sequence[float], line: Sequence[float]) -> None:
        """Fills a shape and draws its edge with the bold stroke."""
        self.paint(distance - self.stroke, line)
        self.paint(distance + self.stroke, fill)

    def line(self, distance: Tensor, colour: Sequence[float], width: float = 1.0) -> None:
        """Draws along an unsigned distance; `width` is a multiple of the bold stroke."""
        self.paint(distance - self.stroke * width, colour)


def wide(value: Number) -> Number:
    """A number, or one number a cell (N,) as (N,1,1)."""
    return value[:, None, None] if isinstance(value, torch.Tensor) and value.ndim == 1 else value


def bezier(start: Point, control: Point, end: Point, t: float) -> Point:
    """The point at t in 0..1."""
    a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
    x, y = (a * p + b * q + c * r for p, q, r in zip(start, control, end, strict=True))
    return x, y
