"""One tiny pipeline and its folder for all tests of loading."""

from pathlib import Path

import pytest
import torch

import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pipe():
    return tiny.pipeline()


@pytest.fixture(scope="session")
def model_folder(pipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(folder)
    return folder
