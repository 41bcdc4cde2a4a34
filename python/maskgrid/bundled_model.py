"""Where the bundled model lies, and what its demonstration redraws."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from maskgrid.errors import MaskGridError

__all__ = ["BUNDLED", "Demo", "bundled_folder", "read_demo"]

BUNDLED = "bundled"
"""Its name, where a model is asked for by name."""
_FACES = Path(__file__).parent / "models" / "faces"


@dataclass(frozen=True)
class Demo:
    """What the demonstration of the bundled model redraws.

    Attributes:
        image: The sheet's file.
        mask: The stencil's file, as large as a cell.
        rows: Rows of the sheet.
        columns: Columns of the sheet.
        prompts: One for each cell.
        cfg: The guidance scale that suits the bundled model.
    """

    image: Path
    mask: Path
    rows: int
    columns: int
    prompts: tuple[str, ...]
    cfg: float


def bundled_folder() -> Path:
    """The folder of the bundled model.

    Raises:
        MaskGridError: This installation is without it.
    """
    if not (_FACES / "model_index.json").is_file():
        raise MaskGridError(
            f"the bundled model is not in this installation ({_FACES}); "
            "allowed: another model, by folder, hub id or .safetensors file"
        )
    return _FACES


def read_demo() -> Demo:
    """The demonstration's sheet, stencil and prompts.

    Raises:
        MaskGridError: This installation is without them.
    """
    folder = bundled_folder()
    try:
        text = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        return Demo(
            image=folder / text["image"],
            mask=folder / text["mask"],
            rows=text["rows"],
            columns=text["columns"],
            prompts=tuple(text["prompts"]),
            cfg=text["cfg"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise MaskGridError(f"the demo's sheet is not in this installation ({folder})") from error
