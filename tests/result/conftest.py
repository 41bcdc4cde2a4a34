"""A sheet, a stencil, and six forks of it; no model is needed for what is done with forks."""

import numpy as np
import pytest

import maskgrid

ROWS, COLUMNS, CELL = 2, 3, 16


@pytest.fixture
def sheet() -> np.ndarray:
    """(32, 48, 3) uint8."""
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (ROWS * CELL, COLUMNS * CELL, 3), dtype=np.uint8)


@pytest.fixture
def stencil() -> np.ndarray:
    """(16, 16) uint8, a hard disc."""
    y, x = np.ogrid[:CELL, :CELL]
    return np.where((y - 7.5) ** 2 + (x - 7.5) ** 2 < 36, 255, 0).astype(np.uint8)


@pytest.fixture
def forks(sheet: np.ndarray, stencil: np.ndarray) -> maskgrid.Forks:
    """Six forks whose patches are random pixels, hard-edged."""
    grid = maskgrid.Grid(ROWS, COLUMNS, cell=CELL, stride=2)
    patches = np.random.default_rng(2).integers(0, 256, (6, CELL, CELL, 3), dtype=np.uint8)
    alpha = (stencil[None] > 0).astype(np.float32)
    settings = {"prompt": "a sad face", "steps": 4, "seed": 7, "mode": "fork"}
    return maskgrid.Forks(sheet, patches, range(6), grid, alpha, stencil=stencil, settings=settings)
