"""LoRAs beside a model: .safetensors files alone, checked before anything is loaded, weighed as adapters."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any

from maskgrid.errors import (
    InvalidTypeError,
    InvalidValueError,
    MaskGridError,
    MissingExtraError,
    in_one_line,
)
from maskgrid.load_pipeline.folder_checks import ONLY_SAFETENSORS
from maskgrid.load_pipeline.safetensors_header import read_header
from maskgrid.pictures.local_path import local_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LoraFile", "LoraSource", "add_loras", "find_loras"]

LoraSource = str | PathLike[str] | tuple[str | PathLike[str], float] | Mapping[str, Any]
"""A LoRA as it is asked for: its file, the file and its weight, or what `LoraFile.told` gave."""
_ALLOWED = "a .safetensors file, (file, weight), or a dict with path, weight and sha256"


@dataclass(frozen=True)
class LoraFile:
    """A file with a LoRA, and how much of it counts.

    Attributes:
        path: Its absolute path.
        weight: What its change of the model's weights is multiplied with; 1 as it was trained.
        sha256: Of what the file holds, in hexadecimal.
    """

    path: Path
    weight: float
    sha256: str

    def told(self) -> dict[str, Any]:
        """What a manifest says of it, which `find_loras` takes."""
        return {"path": str(self.path), "weight": self.weight, "sha256": self.sha256}


def find_loras(loras: Sequence[LoraSource | LoraFile]) -> tuple[LoraFile, ...]:
    """LoRA files, each found to be there, whole, and a LoRA by the names of its weights.

    Args:
        loras: What was asked for, in order; what was found before is taken as it is.

    Raises:
        InvalidTypeError: What is no file, pair or dict.
        InvalidValueError: A weight that is no finite number.
        MaskGridError: A file that is not there, is no .safetensors file or no LoRA, or has another hash.
        MissingExtraError: peft is not installed.
    """
    if isinstance(loras, str | bytes | Mapping) or not isinstance(loras, Sequence):
        raise InvalidTypeError(f"loras is {loras!r:.80}; allowed: a list, each {_ALLOWED}")
    found = tuple(_find_lora(lora) for lora in loras)
    if found and find_spec("peft") is None:
        raise MissingExtraError("LoRAs need peft, which is not installed; install it with: pip install peft")
    return found


def _find_lora(lora: LoraSource | LoraFile) -> LoraFile:
    if isinstance(lora, LoraFile):
        return lora
    given, weight, digest = _parts_of(lora)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise InvalidValueError(f"loras has the weight {weight!r} for {given!r}; allowed: a finite number")
    path = local_path(given, "a LoRA").absolute()
    what = f"LoRA {str(path)!r}"
    if not path.is_file():
        raise MaskGridError(f"{what} is not there; allowed: a .safetensors file")
    if path.suffix.lower() != ".safetensors":
        raise MaskGridError(f"{what} is no .safetensors file; {ONLY_SAFETENSORS}")
    names = read_header(path, what)
    strange = next((name for name in names if "lora" not in name.lower()), None)
    if not names or (strange is not None and not _belongs_to_lora(strange, names)):
        raise MaskGridError(f"{what} has {strange or 'no weights'}, so it is no LoRA; allowed: a LoRA alone")
    sha256 = _digest(path, what)
    if digest not in (None, sha256):
        raise MaskGridError(
            f"{what} has changed, its SHA-256 is {sha256}; allowed: the file of before, with {digest}"
        )
    return LoraFile(path, float(weight), sha256)


def _parts_of(lora: Any) -> tuple[Any, Any, Any]:
    """The file, the weight and the hash of what was asked for."""
    if isinstance(lora, str | PathLike):
        return lora, 1.0, None
    if isinstance(lora, tuple | list) and len(lora) == 2 and isinstance(lora[0], str | PathLike):
        return lora[0], lora[1], None
    is_told = isinstance(lora, Mapping) and set(lora) <= {"path", "weight", "sha256"}
    if is_told and isinstance(lora.get("path"), str | PathLike):
        return lora["path"], lora.get("weight", 1.0), lora.get("sha256")
    raise InvalidTypeError(f"loras has {lora!r:.80}; allowed: {_ALLOWED}")


def _belongs_to_lora(name: str, names: Mapping[str, Any]) -> bool:
    """Whether a weight without "lora" in its name stands beside such ones, as scales do."""
    return name.endswith((".alpha", ".dora_scale", ".diff", ".diff_b")) and any(
        "lora" in other.lower() for other in names
    )


def _digest(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MaskGridError(f"{what} can't be read ({in_one_line(error)})") from error


def add_loras(pipe: Any, loras: Sequence[LoraFile], model: str) -> None:
    """Put LoRAs into a pipeline, each as an adapter of its own with its weight.

    Args:
        pipe: The pipeline, without adapters.
        loras: The files.
        model: Its name, for messages.

    Raises:
        MaskGridError: A pipeline that takes none, or a LoRA for another kind of model.
    """
    if not loras:
        return
    if not hasattr(pipe, "load_lora_weights"):
        raise MaskGridError(
            f"model {model!r} is a {type(pipe).__name__}, which takes no LoRA; allowed: a model without loras"
        )
    names = [f"lora_{number}" for number in range(len(loras))]
    with warnings.catch_warnings():
        # Said of every LoRA but the first, and meant.
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
        for name, lora in zip(names, loras, strict=True):
            _add_lora(pipe, name, lora, model)
        pipe.set_adapters(names, adapter_weights=[lora.weight for lora in loras])


def _add_lora(pipe: Any, name: str, lora: LoraFile, model: str) -> None:
    is_other = f"LoRA {str(lora.path)!r} is for another kind of model than {model!r}"
    try:
        # By folder and name: a path with a colon is not looked for on the hub then.
        pipe.load_lora_weights(
            str(lora.path.parent),
            weight_name=lora.path.name,
            adapter_name=name,
            use_safetensors=True,
            local_files_only=True,
        )
    # diffusers and peft have an error of their own for each way not to fit.
    except Exception as error:
        raise MaskGridError(f"{is_other} ({in_one_line(error)}); allowed: one made for it") from error
    if not any(name in adapters for adapters in pipe.get_list_adapters().values()):
        raise MaskGridError(f"{is_other}, none of its weights has a place there; allowed: one made for it")
