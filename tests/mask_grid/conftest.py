"""A run of a sheet of 2 x 3 cells, which tests change."""

import pytest


@pytest.fixture
def job(sheet, stencil) -> dict:
    return {"image": sheet, "mask": stencil, "rows": 2, "columns": 3, "prompt": "a sad face"}
