"""A folder of its own for each test, with a sheet and a stencil where a test wants them."""

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(sheet, stencil, tmp_path) -> list[str]:
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    Image.fromarray(stencil).save(tmp_path / "stencil.png")
    return ["--image", "sheet.png", "--mask", "stencil.png", "--rows", "2", "--columns", "3"]
