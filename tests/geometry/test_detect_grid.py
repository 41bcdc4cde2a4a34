"""`Grid.detect`: drawn sheets, odd ones, pictures that are no sheets, and the ways an image may come."""

import numpy as np
import pytest
import torch
from drawn_sheets import draw_sheet, is_right
from PIL import Image

from maskgrid import Grid
from maskgrid.errors import GridError, InvalidTypeError, InvalidValueError
from maskgrid.geometry.detect_grid import SURE, DetectedGrid


def boxes_of(grid: Grid) -> list[tuple[int, int, int, int]]:
    return [tuple(rect) for rect in grid.cell_rects]


def sprites(grid: Grid, *, empty: int | None = None, ground: int = 255) -> np.ndarray:
    """A disc in each cell, which moves a little."""
    pixels = np.full((*grid.canvas, 3), ground, np.uint8)
    height, width = grid.cell
    y, x = np.mgrid[:height, :width]
    for index, rect in enumerate(grid.cell_rects):
        if index != empty:
            far = ((y - height / 2 + index % 2) / height) ** 2 + ((x - width / 2) / width) ** 2
            pixels[rect.slices][far < 0.15] = 40 + 20 * (index % 5), 90, 30
    return pixels


def photographs(grid: Grid, *, line: tuple[int, int, int] = (255, 255, 255), seed: int = 0) -> np.ndarray:
    """A smooth picture in each cell."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((*grid.canvas, 3), np.uint8)
    pixels[:] = line
    for rect in grid.cell_rects:
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        pixels[rect.slices] = np.array(small.resize((rect.width, rect.height), Image.Resampling.BILINEAR))
    return pixels


def test_nearly_all_sheets_drawn_at_random_are_right_and_all_that_are_sure():
    wrong, wrong_and_sure = [], []
    for seed in range(80):
        sheet = draw_sheet(np.random.default_rng([7, seed]), largest=96)
        try:
            found = Grid.detect(sheet.pixels)
        except GridError:
            wrong.append(sheet.words)
            continue
        if not is_right(sheet, found.grid.rows, found.grid.columns, boxes_of(found.grid)):
            wrong.append(sheet.words)
            wrong_and_sure += [sheet.words] if found.is_sure else []
    assert wrong_and_sure == []
    assert len(wrong) <= 6, "\n".join(wrong)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(3, 4, cell=32),
        Grid(1, 6, cell=(48, 32)),
        Grid(5, 1, cell=24),
        Grid(8, 8, cell=16),
    ],
)
def test_photographs_without_gutters_are_found_by_their_edges(grid):
    found = Grid.detect(photographs(grid))
    assert found.grid == grid
    assert found.is_sure


def test_uneven_margins_are_found_to_the_pixel():
    grid = Grid(2, 3, cell=(40, 32), gap=(6, 4), margin=(17, 3), canvas=(17 + 86 + 2, 3 + 104 + 15))
    assert Grid.detect(photographs(grid)).grid == grid


def test_dark_lines_are_no_part_of_the_cells():
    grid = Grid(3, 3, cell=40, gap=2, margin=2)
    assert Grid.detect(photographs(grid, line=(10, 10, 10))).grid == grid


@pytest.mark.parametrize("empty", [0, 4, 11])
def test_an_empty_cell_is_a_cell(empty):
    grid = Grid(3, 4, cell=32)
    assert Grid.detect(sprites(grid, empty=empty)).grid == grid


def test_a_sheet_that_is_too_small_for_a_whole_number_of_cells_has_a_rest():
    grid = Grid(2, 3, cell=(32, 30), canvas=(64, 91))
    pixels = photographs(grid)
    pixels[:, 90] = pixels[:, 89]
    assert boxes_of(Grid.detect(pixels).grid) == boxes_of(grid)


def test_cells_without_visible_edges_share_the_sheet_out_evenly_where_that_is_possible():
    y, x = np.ogrid[:64, :64]
    disc = (((y - 31.5) ** 2 + (x - 31.5) ** 2 < 21**2) * 255).astype(np.uint8)
    grid = Grid(3, 4, cell=64)
    assert Grid.detect(np.tile(disc, (3, 4))).grid == grid


def test_hidden_colours_do_not_count():
    grid = Grid(2, 4, cell=32)
    drawn = sprites(grid)
    alpha = np.where((drawn == 255).all(2), 0, 255).astype(np.uint8)
    hidden = np.random.default_rng(0).integers(0, 256, drawn.shape, np.uint8)
    pixels = np.dstack([np.where(alpha[..., None] > 0, drawn, hidden), alpha])
    assert Grid.detect(pixels).grid == grid


def test_what_is_found_tells_how_sure_it_is_and_what_else_it_could_be():
    found = Grid.detect(photographs(Grid(3, 4, cell=32)))
    assert isinstance(found, DetectedGrid)
    assert found.confidence >= SURE
    assert len(found.runners_up) >= 1
    confidences = [found.confidence, *(confidence for _, confidence in found.runners_up)]
    assert confidences == sorted(confidences, reverse=True)
    assert all(grid.canvas == found.grid.canvas for grid, _ in found.runners_up)


@pytest.mark.parametrize("seed", range(10))
def test_a_photograph_is_no_sheet(seed):
    assert not says_it_is_sure(photographs(Grid(1, 1, cell=(150, 200)), seed=seed))


def says_it_is_sure(pixels: np.ndarray) -> bool:
    try:
        return Grid.detect(pixels).is_sure
    except GridError:
        return False


def test_a_blank_picture_is_refused():
    with pytest.raises(GridError, match="40 x 60 px shows no more than a single cell; allowed: a sheet"):
        Grid.detect(np.zeros((40, 60, 3), np.uint8))


PIXELS = sprites(Grid(2, 3, cell=24))


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(PIXELS),
        Image.fromarray(PIXELS).quantize(16),
        PIXELS.astype(np.float32) / 255,
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
        np.asfortranarray(PIXELS),
        PIXELS[..., 1],
    ],
    ids=["PIL", "palette", "floats", "tensor", "channels first", "other strides", "grey"],
)
def test_images_come_in_many_forms(image):
    assert Grid.detect(image).grid == Grid(2, 3, cell=24)


def test_grids_have_the_stride_that_is_asked_for():
    found = Grid.detect(PIXELS, stride=4)
    assert {found.grid.stride, *(grid.stride for grid, _ in found.runners_up)} == {4}


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        ("sheet.png", InvalidTypeError, "image is a str; allowed: an array, a tensor or a PIL image"),
        (PIXELS.astype(np.int32), InvalidTypeError, "image has dtype int32; allowed: uint8"),
        (PIXELS.astype(np.float32), InvalidValueError, "allowed: 0 to 1"),
        (PIXELS[None], InvalidValueError, "image has shape"),
        (PIXELS[:0], InvalidValueError, "image has shape"),
    ],
)
def test_what_is_no_image_is_refused(image, error, words):
    with pytest.raises(error, match=words):
        Grid.detect(image)


def test_what_follows_the_last_cell_is_what_the_canvas_has_left():
    grid = Grid(1, 2, cell=8, margin=(4, 4), canvas=(12, 21))
    assert [tuple(rect) for rect in grid.cell_rects] == [(4, 4, 12, 12), (4, 12, 12, 20)]
    with pytest.raises(InvalidValueError, match="at least 20 px"):
        Grid(1, 2, cell=8, margin=(4, 4), canvas=(12, 19))
