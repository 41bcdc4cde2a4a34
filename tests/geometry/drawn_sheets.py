"""Draws sheets at random with what is known of them: where cells lie, what lies in each, what can be seen.

Sprites, sprites on boxes, and pictures of smooth or rough noise; on transparent or coloured ground; gutters,
lines or nothing between the cells; margins of all kinds; empty cells; JPEG.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["DrawnSheet", "draw_sheet", "is_right"]

Pair = tuple[int, int]
Pixels = np.ndarray
STYLES = ("sprite", "box", "smooth", "rough")


@dataclass(frozen=True)
class DrawnSheet:
    """A drawn sheet and the truth about it.

    Attributes:
        pixels: (H, W, 3) or (H, W, 4) uint8.
        rows: Rows of cells.
        columns: Columns of cells.
        cell: Height and width of a cell.
        gap: Pixels between cells, vertical and horizontal.
        corner: Top and left of the first cell.
        sprites: By cell what was drawn there: top, left, bottom, right; None for an empty cell.
        shows_edges: Whether the edges of the cells can be seen: all of them, not only what lies in them.
        is_jpeg: Whether it went through a JPEG file.
        words: What it is, for whoever reads a list of failures.
    """

    pixels: Pixels
    rows: int
    columns: int
    cell: Pair
    gap: Pair
    corner: Pair
    sprites: tuple[tuple[int, int, int, int] | None, ...]
    shows_edges: bool
    is_jpeg: bool
    words: str


def is_right(sheet: DrawnSheet, rows: int, columns: int, boxes: list[tuple[int, int, int, int]]) -> bool:
    """Whether a grid that was found is that of the sheet, as far as the sheet shows it.

    Where the edges of the cells can be seen they have to be found, after JPEG to a pixel. Where they can't
    (sprites on one common ground), every sprite has to lie in the cell that it was drawn in, whole.

    Args:
        sheet: The drawn sheet.
        rows: Rows that were found.
        columns: Columns that were found.
        boxes: The cells that were found: top, left, bottom, right, row by row.
    """
    if (rows, columns) != (sheet.rows, sheet.columns):
        return False
    if not sheet.shows_edges:
        pairs = zip(sheet.sprites, boxes, strict=True)
        return all(drawn is None or _contains(box, drawn) for drawn, box in pairs)
    slack = 1 if sheet.is_jpeg else 0
    expected = [_box(sheet, index) for index in range(rows * columns)]
    return bool(np.abs(np.array(expected) - np.array(boxes)).max() <= slack)


def _contains(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return box[0] <= other[0] and box[1] <= other[1] and box[2] >= other[2] and box[3] >= other[3]


def _box(sheet: DrawnSheet, index: int) -> tuple[int, int, int, int]:
    row, column = divmod(index, sheet.columns)
    top = sheet.corner[0] + row * (sheet.cell[0] + sheet.gap[0])
    left = sheet.corner[1] + column * (sheet.cell[1] + sheet.gap[1])
    return top, left, top + sheet.cell[0], left + sheet.cell[1]


@dataclass(frozen=True)
class _Layout:
    rows: int
    columns: int
    cell: Pair
    gap: Pair
    margin: tuple[int, int, int, int]

    def __str__(self) -> str:
        return f"{self.rows} x {self.columns}, cell {self.cell}, gap {self.gap}, margin {self.margin}"

    def corner(self, row: int, column: int) -> Pair:
        return (
            self.margin[0] + row * (self.cell[0] + self.gap[0]),
            self.margin[1] + column * (self.cell[1] + self.gap[1]),
        )

    @property
    def canvas(self) -> Pair:
        bottom, right = self.corner(self.rows, self.columns)
        return bottom - self.gap[0] + self.margin[2], right - self.gap[1] + self.margin[3]


def draw_sheet(rng: np.random.Generator, *, largest: int = 256) -> DrawnSheet:
    """A sheet of 2 to 64 cells of 16 to `largest` px, drawn at random."""
    style = str(rng.choice(STYLES, p=[0.4, 0.25, 0.2, 0.15]))
    layout = _draw_layout(rng, largest)
    has_lines = rng.random() < 0.2
    if has_lines:
        layout = _with_lines(rng, layout)
    is_jpeg = rng.random() < 0.2
    is_clear = not is_jpeg and style in ("sprite", "box") and rng.random() < 0.5
    ground = np.zeros(4, np.uint8) if is_clear else _colour(rng)
    pixels = np.empty((*layout.canvas, 4), np.uint8)
    pixels[:] = ground
    if has_lines:
        ground = _draw_lines(rng, pixels, layout, ground)
    count = layout.rows * layout.columns
    empty = int(rng.integers(count)) if count >= 3 and rng.random() < 0.25 else None
    sprites = _draw_cells(_Drawing(rng, ground, style, layout.cell), pixels, layout, empty)
    has_boxes = style != "sprite"
    boxes_differ = style in ("smooth", "rough") or _boxes_differ(pixels, layout)
    shows = has_lines or (has_boxes and (boxes_differ or _has_gaps(layout)))
    if not is_clear:
        pixels = pixels[..., :3]
    words = f"{style}{' lines' * has_lines}{' clear' * is_clear}, {layout}, empty {empty}"
    if is_jpeg:
        quality = int(rng.integers(60, 96))
        pixels, words = _through_jpeg(pixels, quality), f"{words}, jpeg {quality}"
    return DrawnSheet(
        np.ascontiguousarray(pixels),
        layout.rows,
        layout.columns,
        layout.cell,
        layout.gap,
        layout.corner(0, 0),
        tuple(sprites),
        shows,
        is_jpeg,
        words,
    )


def _draw_layout(rng: np.random.Generator, largest: int) -> _Layout:
    form = rng.random()
    rows = 1 if form < 0.15 else int(rng.integers(1, 9))
    columns = 1 if 0.15 <= form < 0.3 and rows > 1 else int(rng.integers(1, 9))
    if rows == columns == 1:
        columns = 2
    cell = _draw_cell(rng, largest)
    gaps = (_draw_gap(rng, cell[0]), _draw_gap(rng, cell[1]))
    gap = (gaps[0], gaps[0]) if rng.random() < 0.7 and gaps[0] < cell[1] / 2 else gaps
    kind = rng.random()
    if kind < 0.4:
        margin = (0, 0, 0, 0)
    elif kind < 0.6:
        margin = (gap[0], gap[1], gap[0], gap[1])
    elif kind < 0.8:
        margin = (int(rng.integers(1, min(cell) // 2)),) * 4
    else:
        top, left, bottom, right = (int(rng.integers(0, side // 2)) for side in (*cell, *cell))
        margin = (top, left, bottom, right)
    return _Layout(rows, columns, cell, gap, margin)


def _draw_cell(rng: np.random.Generator, largest: int) -> Pair:
    sides = np.exp(rng.uniform(np.log(16), np.log(largest), 2))
    if rng.random() < 0.6:
        sides[1] = sides[0]
    if rng.random() < 0.5:
        sides = np.maximum(16, np.round(sides / 8) * 8)
    return int(sides[0]), int(sides[1])


def _draw_gap(rng: np.random.Generator, side: int) -> int:
    kind = rng.random()
    if kind < 0.35:
        return 0
    return int(rng.integers(1, 5)) if kind < 0.6 else int(rng.integers(1, side // 3 + 1))


def _with_lines(rng: np.random.Generator, layout: _Layout) -> _Layout:
    """The same cells with a line in every gap, and around them all or not."""
    width = int(rng.integers(1, 5))
    margin = (width,) * 4 if rng.random() < 0.5 else (0,) * 4
    return _Layout(layout.rows, layout.columns, layout.cell, (width, width), margin)


def _draw_lines(rng: np.random.Generator, pixels: Pixels, layout: _Layout, ground: Pixels) -> Pixels:
    """Draws dark lines where no cell lies; returns the ground of the cells, which is lighter."""
    dark = np.append(rng.integers(0, 60, 3), 255).astype(np.uint8)
    inside = np.zeros(pixels.shape[:2], bool)
    for row in range(layout.rows):
        for column in range(layout.columns):
            top, left = layout.corner(row, column)
            inside[top : top + layout.cell[0], left : left + layout.cell[1]] = True
    pixels[~inside] = dark
    if ground[3] and int(ground[:3].max()) < 130:
        ground = np.array([200, 200, 200, 255], np.uint8)
        pixels[inside] = ground
    return ground


def _colour(rng: np.random.Generator) -> Pixels:
    kind = rng.random()
    rgb = [255] * 3 if kind < 0.3 else [0] * 3 if kind < 0.4 else rng.integers(0, 256, 3)
    return np.append(rgb, 255).astype(np.uint8)


def _draw_cells(
    draw: _Drawing, pixels: Pixels, layout: _Layout, empty: int | None
) -> list[tuple[int, int, int, int] | None]:
    (height, width), style = layout.cell, draw.style
    keeps_its_box = draw.rng.random() < 0.5
    found: list[tuple[int, int, int, int] | None] = []
    for index in range(layout.rows * layout.columns):
        top, left = layout.corner(*divmod(index, layout.columns))
        place = pixels[top : top + height, left : left + width]
        if index == empty:
            if style == "box" and keeps_its_box:
                place[:] = draw.box(index)
            found.append(None)
            continue
        if style == "box":
            place[:] = draw.box(index)
        if style in ("smooth", "rough"):
            place[..., :3], place[..., 3] = draw.picture(), 255
            box = (0, 0, height, width)
        else:
            box = draw.sprite(place)
        found.append((top + box[0], left + box[1], top + box[2], left + box[3]))
    return found


def _has_gaps(layout: _Layout) -> bool:
    """Whether there is ground between any two cells."""
    axes = zip((layout.rows, layout.columns), layout.gap, strict=True)
    return all(gap > 0 for count, gap in axes if count > 1)


def _boxes_differ(pixels: Pixels, layout: _Layout) -> bool:
    """Whether the corners of all neighbouring cells have different colours."""
    corners = np.array(
        [
            [pixels[layout.corner(row, column)] for column in range(layout.columns)]
            for row in range(layout.rows)
        ],
        int,
    )
    apart = [np.abs(np.diff(corners, axis=axis)).max(-1, initial=0) for axis in (0, 1)]
    return all(bool((each > 40).all()) for each in apart)


class _Drawing:
    """What all cells of a sheet have in common: colours, shapes, how much they differ."""

    def __init__(self, rng: np.random.Generator, ground: Pixels, style: str, cell: Pair) -> None:
        self.rng, self.ground, self.style, self.cell = rng, ground, style, cell
        self.boxes = self._far_colours(1 if rng.random() < 0.6 else 7)
        self.body = self._far_colours(3)
        self.padding = rng.uniform(0.02, 0.25)
        self.moves = rng.uniform(0, 0.1)
        self.are_alike = rng.random() < 0.5
        self.parts = self._parts()

    def _far_colours(self, count: int) -> list[Pixels]:
        """Colours that can be told from the ground and from those before."""
        found: list[Pixels] = []
        taken = [self.ground] if self.ground[3] else []
        while len(found) < count:
            colour = np.append(self.rng.integers(0, 256, 3), 255).astype(np.uint8)
            others = np.array([*taken, *found[-1:]], int).reshape(-1, 4)
            if (np.abs(others - colour).max(1, initial=0) > 60).all():
                found.append(colour)
        return found

    def box(self, index: int) -> Pixels:
        return self.boxes[index % len(self.boxes)]

    def _parts(self) -> list[tuple[float, float, float, float, bool]]:
        """Ellipses and blocks around the middle, as shares of the cell: y, x, half height, half width."""
        rng = self.rng
        parts = [(0.5, 0.5, 0.5, rng.uniform(0.2, 0.5), True)]
        for _ in range(int(rng.integers(1, 5))):
            half = rng.uniform(0.05, 0.3, 2)
            y, x = (rng.uniform(size, 1 - size) for size in half)
            parts.append((y, x, half[0], half[1], bool(rng.random() < 0.6)))
        return parts

    def sprite(self, place: Pixels) -> tuple[int, int, int, int]:
        """Draws a sprite into a cell; returns the box around it."""
        height, width = self.cell
        parts = self.parts if self.are_alike else self._parts()
        scale = 1 - 2 * self.padding
        shift = self.rng.uniform(-self.padding, self.padding, 2) * min(1.0, self.moves * 10)
        y, x = np.mgrid[:height, :width]
        y, x = (y + 0.5) / height, (x + 0.5) / width
        drawn = np.zeros((height, width), bool)
        taken = self.boxes if self.style == "box" else []
        for number, (middle_y, middle_x, half_y, half_x, is_round) in enumerate(parts):
            at_y = (y - 0.5 - shift[0]) / scale + 0.5 - middle_y
            at_x = (x - 0.5 - shift[1]) / scale + 0.5 - middle_x
            wobble = 1 + self.moves * self.rng.uniform(-1, 0)
            far_y, far_x = np.abs(at_y) / half_y / wobble, np.abs(at_x) / half_x / wobble
            inside = far_y**2 + far_x**2 < 1 if is_round else np.maximum(far_y, far_x) < 1
            colour = self.body[number % len(self.body)]
            if any(np.abs(colour.astype(int) - box).max() <= 40 for box in taken):
                colour = np.append(255 - taken[0][:3], 255).astype(np.uint8)
            place[inside] = colour
            drawn |= inside
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    def picture(self) -> Pixels:
        """Like a photograph: noise of a few pixels to half a cell, smooth or rough."""
        height, width = self.cell
        total = np.zeros((height, width, 3))
        for points, weight in ((2, 1.0), (4, 0.6), (8, 0.4), (16, 0.3 if self.style == "rough" else 0.05)):
            small = self.rng.uniform(-1, 1, (points + 1, points + 1, 3))
            total += weight * _enlarge(small, height, width)
        if self.style == "rough":
            total += self.rng.normal(0, 0.15, total.shape)
        return np.clip(self.rng.uniform(60, 200, 3) + total * 70, 0, 255).astype(np.uint8)


def _enlarge(small: Pixels, height: int, width: int) -> Pixels:
    y = np.linspace(0, small.shape[0] - 1.001, height)
    x = np.linspace(0, small.shape[1] - 1.001, width)
    rows, columns = y.astype(int), x.astype(int)
    down, across = (y - rows)[:, None, None], (x - columns)[None, :, None]
    upper = small[rows][:, columns] * (1 - across) + small[rows][:, columns + 1] * across
    lower = small[rows + 1][:, columns] * (1 - across) + small[rows + 1][:, columns + 1] * across
    return upper * (1 - down) + lower * down


def _through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))
