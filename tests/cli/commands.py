"""The command line of the main job, and a look at what it wrote."""

from pathlib import Path

import numpy as np
from PIL import Image


def sample(files: list[str], model: Path, *more: str) -> list[str]:
    settings = ["--prompt", "a sad face", "--steps", "2", "--device", "cpu"]
    if "--fork-at" not in more:
        settings += ["--mode", "fork"]
    return ["sample", *files, "--model", str(model), *settings, *more]


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)
