"""Uses an installed maskgrid once over; needs nothing but numpy."""

import sys
import sysconfig

import numpy as np

import maskgrid


def main() -> None:
    """Draws a stencil, prepares it, plans its forks and merges them."""
    assert "torch" not in sys.modules, "importing maskgrid imported torch"
    grid = maskgrid.Grid(3, 4, cell=64, stride=8)
    assert grid.canvas == maskgrid.Size(192, 256), grid
    if hasattr(sys, "_is_gil_enabled"):
        free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        assert sys._is_gil_enabled() is not free, "importing maskgrid switched the GIL on"
    print(f"Python {sys.version.split()[0]}: maskgrid {maskgrid.__version__} with numpy {np.__version__}")


if __name__ == "__main__":
    main()
