"""The contact sheet: what is written below it can be read, and everything that there is shows."""

import os
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given
from hypothesis import strategies as st

from maskgrid import ForkPlan, Forks, Grid
from maskgrid.pictures.contact_sheet import Panel, contact_sheet, layout_of
from maskgrid.pictures.draw_text import legible, line_width, wrap_text
from maskgrid.pictures.find_fonts import font_folders, font_with, has_letters, own_font
from maskgrid.pictures.paint_panel import paint_panel
from maskgrid.pictures.plan_picture import plan_picture

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def font_of(letter, path):
    """A font with one letter, a triangle, and a box for all others."""
    glyphs = {}
    for name, points in (
        (".notdef", [(0, 0), (0, 700), (500, 700), (500, 0)]),
        ("one", [(0, 0), (250, 700), (500, 0)]),
    ):
        pen = TTGlyphPen(None)
        pen.moveTo(points[0])
        for point in points[1:]:
            pen.lineTo(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(letter): "one"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """The folder of a user's own fonts."""
    if not any(folder.startswith(str(tmp_path)) for folder in _with_home(tmp_path, monkeypatch)):
        pytest.skip("the user's fonts can't be put elsewhere on this system")
    folder = Path(next(each for each in font_folders() if each.startswith(str(tmp_path))))
    folder.mkdir(parents=True)
    return folder


def _with_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    return font_folders()


def test_a_font_is_found_by_the_letters_it_has(tmp_path):
    font_of("小", tmp_path / "one.ttf")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    found = font_with("小", 14, (str(tmp_path),))
    assert Path(found.path).name == "one.ttf"
    assert font_with("笑", 14, (str(tmp_path),)) is None
    assert not has_letters(own_font(14), "小")


def test_letters_that_no_font_has_are_escaped_and_the_others_drawn(fonts):
    private = "\ue123"
    assert legible(f"a {private} face") == "a \\ue123 face"
    font_of(private, fonts / "one.ttf")
    later = fonts.parent / "later"
    shutil.move(fonts, later)
    os.environ["XDG_DATA_HOME"] = str(later.parent / "other")
    other = Path(next(each for each in font_folders() if each.startswith(str(fonts.parent.parent))))
    other.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(later, other)
    assert legible(f"a {private} face") == f"a {private} face"


def test_cyrillic_and_umlauts_are_drawn_where_a_font_has_them(tmp_path):
    shutil.copy(DEJAVU / "DejaVuSans.ttf", tmp_path)
    font = font_with("Грустное лицо Ä—“”", 14, (str(tmp_path),))
    assert Path(font.path).name == "DejaVuSans.ttf"


def test_breaks_and_invisible_marks_are_no_boxes():
    assert legible("a\n\tb\u200b\ufeffc\x07  d") == "a bc d"


@given(st.text(st.sampled_from("ab cdefghi."), max_size=300), st.integers(40, 300), st.integers(1, 4))
def test_wrapped_lines_fit_and_lose_nothing_before_the_dots(text, width, count):
    lines = wrap_text(" ".join(text.split()), 14, width, count)
    assert len(lines) <= count
    assert all(line_width(line, 14) <= width for line in lines)
    joined = "".join(lines).replace(" ", "")
    whole = "".join(text.split())
    assert joined == whole or (joined.endswith("...") and whole.startswith(joined[:-3]))


def many(rows, columns, cell, *, prompt="a sad face", cells=None, channels=3):
    grid = Grid(rows, columns, cell=cell, stride=1)
    generator = np.random.default_rng(0)
    cells = list(range(rows * columns)) if cells is None else cells
    sheet = generator.integers(0, 256, (*grid.canvas, channels), dtype=np.uint8)
    patches = np.empty((len(cells), *grid.cell, channels), np.uint8)
    patches[...] = generator.integers(0, 256, (len(cells), 1, 1, channels))
    settings = {"prompt": prompt, "mode": "fork", "sampler": "euler", "steps": 20, "seed": 7}
    return Forks(sheet, patches, cells, grid, np.ones((1, *grid.cell), np.float32), settings=settings)


def test_a_prompt_of_any_length_leaves_the_settings_where_they_are():
    grid = Grid(1, 1, cell=64, stride=1)
    panels = [Panel("before", np.zeros((64, 64, 3), np.uint8))] * 3
    feet = []
    for prompt in ("word " * 60, "word " * 60_000):
        picture = contact_sheet(panels, grid, prompt=prompt, settings="euler, seed 7")
        feet.append(np.asarray(picture)[-34:])
    assert np.array_equal(*feet)
    empty = contact_sheet(panels, grid, prompt="word " * 60, settings="")
    assert not np.array_equal(feet[0][:20], np.asarray(empty)[-34:-14])


def test_narrow_sheets_have_room_for_their_settings():
    assert many(8, 1, 16).contact_sheet().width > line_width("Fork then Sample, euler, 20 steps, seed 7", 14)


@pytest.mark.parametrize(
    ("rows", "columns", "wanted"),
    [(1, 8, (1, 3)), (2, 8, (1, 3)), (2, 2, (3, 1)), (8, 1, (3, 1)), (3, 4, (3, 1))],
)
def test_strips_are_stacked_and_others_stand_side_by_side(rows, columns, wanted):
    grid = Grid(rows, columns, cell=32, stride=1)
    layout = layout_of([Panel("title", np.zeros((*grid.canvas, 3), np.uint8))] * 3, grid)
    assert (layout.columns, layout.rows) == wanted


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_panels_lie_inside_and_apart(count, rows, columns):
    grid = Grid(rows, columns, cell=8, stride=1)
    layout = layout_of([Panel("title", np.zeros((*grid.canvas, 3), np.uint8))] * count, grid)
    taken = np.zeros(layout.size, int)
    for number in range(count):
        left, top = layout.corner(number)
        taken[top : top + layout.panel[0], left : left + layout.panel[1]] += 1
    assert taken.max() == 1
    assert taken.sum() == count * layout.panel[0] * layout.panel[1]


def test_all_forks_of_a_cell_show():
    forks = many(2, 2, 16, cells=[0, 1, 2, 3, 0, 1, 0])
    picture = np.asarray(forks.contact_sheet()).reshape(-1, 3)
    colours = {tuple(colour) for colour in picture.tolist()}
    for patch in forks.patches:
        assert tuple(patch[0, 0].tolist()) in colours
    assert forks[:4].contact_sheet().size != forks.contact_sheet().size


def test_a_contact_sheet_of_no_forks_shows_the_sheet():
    assert many(2, 2, 16)[:0].contact_sheet().width > 100


def test_transparency_is_a_checkerboard_and_hides_what_is_hidden():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    other = 255 - pixels
    other[..., 3] = 0
    for mask in (None, np.eye(8, dtype=np.float32)):
        one = np.asarray(paint_panel(pixels, (64, 64), mask))
        assert np.array_equal(one, np.asarray(paint_panel(other, (64, 64), mask)))
    assert len(np.unique(np.asarray(paint_panel(pixels, (64, 64))))) == 2


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (3, 3), (24, 16)])
def test_opaque_panels_have_the_colours_of_the_picture(size):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[..., :3] = (10, 20, 30)
    assert (np.asarray(paint_panel(pixels, size)) == (10, 20, 30)).all()
    assert paint_panel(pixels, size).size == size[::-1]


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (1, 8), (6, 1)])
def test_a_plan_is_drawn_over_its_sheet(rows, columns, stencil):
    grid = Grid(rows, columns, cell=16, stride=2)
    plan = ForkPlan(grid, stencil, halo=2)
    sheet = np.full((*grid.canvas, 3), 90, np.uint8)
    alpha = (stencil[None] > 0).astype(np.float32)
    picture = np.asarray(plan_picture(sheet, plan, grid, alpha))
    windows = np.asarray(plan_picture(sheet, plan, grid, alpha, shows_windows=True))
    blue = [(drawn == (25, 103, 210)).all(2).any() for drawn in (picture, windows)]
    assert blue == [False, True]
    assert not np.array_equal(picture, np.asarray(plan_picture(sheet, plan, grid, alpha * 0)))
