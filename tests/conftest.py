"""Settings of all tests, and what many share: a tiny pipeline, a sheet with a stencil, forks of it.

Its place also puts `strategies`, `texts` and `tiny` on the path.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import maskgrid

# The same examples in every run, so that a failure is a change in the code.
settings.register_profile("maskgrid", deadline=None, max_examples=100, print_blob=True, derandomize=True)
# To search by hand: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", settings.get_profile("maskgrid"), max_examples=1000, derandomize=False)
settings.load_profile("maskgrid")

ROWS, COLUMNS, CELL = 2, 3, 16


@pytest.fixture(scope="session")
def pipe() -> Any:
    """A Stable Diffusion of a few thousand random weights; its stride is 2."""
    # Imported here: most tests need no pipeline.
    import torch

    import tiny

    torch.set_num_threads(1)
    return tiny.pipeline()


@pytest.fixture(scope="session")
def model_folder(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That pipeline as a folder."""
    folder = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def maker(pipe: Any) -> maskgrid.MaskGrid:
    """A `MaskGrid` of that pipeline."""
    return maskgrid.MaskGrid(pipe)


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
