"""A table of five jobs, and what one process makes of it."""

from pathlib import Path

import pytest
from tables import row, write_sheets, write_table


@pytest.fixture
def table(tmp_path: Path, model_folder: Path) -> Path:
    """Five rows with sheets of their own."""
    names = write_sheets(tmp_path, 5)
    return write_table(tmp_path, [row(name, model_folder, seed=i) for i, name in enumerate(names)])
