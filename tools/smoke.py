"""Uses an installed maskgrid once over; needs nothing but numpy."""

import pickle
import sys
import sysconfig

import numpy as np

from maskgrid import ForkPlan, Grid, MaskGridError, Rect, Size, __version__, canvas, masks


def prepare() -> None:
    """Draws a stencil, prepares it, plans its forks and merges them."""
    grid = Grid(3, 4, cell=64, stride=8)
    assert grid.canvas == Size(192, 256), grid
    drawn = np.zeros((64, 64), np.uint8)
    drawn[24:40, 24:40] = 255
    grown = masks.grow(drawn, 4)
    assert masks.bounding_box(grown) == Rect(20, 20, 44, 44)
    soft = masks.feather(grown.astype(np.float32) / 255, 6)

    plan = ForkPlan(grid, soft, halo=1)
    into = np.full((12, 1, 24, 32), np.nan, np.float32)
    plan.noise_masks(out=into)
    assert into[5, 0, 12, 12] == 1
    assert np.count_nonzero(into[5]) == np.count_nonzero(into[5, 0, 8:16, 8:16]) > 0
    assert pickle.loads(pickle.dumps(plan)) == plan

    sheet = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    cells = canvas.split(sheet, grid)
    assert np.array_equal(canvas.join(cells, grid), sheet)
    forks = canvas.paste(sheet, 255 - cells, grid, soft)
    merged = canvas.merge(forks, grid, cells=plan.cells)
    kept = np.tile(soft == 0, (3, 4))
    assert np.array_equal(merged[kept], sheet[kept])
    assert not np.array_equal(merged, sheet)


def refuse() -> None:
    """Bad input is an error that says what is wrong."""
    message = ""
    try:
        masks.grow(np.full((4, 4), 1.5), 1)
    except MaskGridError as error:
        message = str(error)
    assert "1.5" in message, f"a mask of 1.5: {message!r}"


def main() -> None:
    """Runs everything; an AssertionError says what failed."""
    prepare()
    refuse()
    assert not {"torch", "diffusers"} & set(sys.modules), "preparing masks imported torch or diffusers"
    if hasattr(sys, "_is_gil_enabled"):
        free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        assert sys._is_gil_enabled() is not free, "importing maskgrid switched the GIL on"
    print(f"Python {sys.version.split()[0]}: maskgrid {__version__} with numpy {np.__version__}")


if __name__ == "__main__":
    main()
