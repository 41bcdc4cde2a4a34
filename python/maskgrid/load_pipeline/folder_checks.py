"""Check that a model's folder can be loaded without running code of it: its classes, files and settings.

What makes a folder unsafe: a part of a class that is not a known library's network, scheduler, tokenizer or
processor (a part may be a whole pipeline, with code inside); a file of Python among the weights, which some
versions of diffusers run unasked; settings that name code; weights in pickles.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ONLY_SAFETENSORS", "Part", "check_files", "find_parts"]

ONLY_SAFETENSORS = "allowed: .safetensors files alone, as others can run code when loaded"
_NO_CODE = "as no code of a model is run"
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
# Weights that are in .safetensors files beside them, which are then the ones that are read.
_REPLACED = ("diffusion_pytorch_model", "pytorch_model", "model")
# Settings that have a library import what they name.
_CODE_SETTINGS = ("auto_map", "custom_pipeline", "trust_remote_code")
_DIFFUSERS_BASES = ("ModelMixin", "SchedulerMixin")
_TRANSFORMERS_BASES = (
    "FeatureExtractionMixin",
    "ImageProcessingMixin",
    "PreTrainedModel",
    "PreTrainedTokenizerBase",
    "ProcessorMixin",
)


@dataclass(frozen=True)
class Part:
    """A part of a pipeline, as its model_index.json names it.

    Attributes:
        name: Of the part and of its folder.
        library: "diffusers", "transformers", or a module of diffusers' pipelines.
        kind: Its class.
    """

    name: str
    library: str
    kind: type

    @property
    def is_network(self) -> bool:
        """Whether the part of a model has weights."""
        return any(base.__name__ in ("ModelMixin", "PreTrainedModel") for base in self.kind.__mro__)


def find_parts(diffusers: Any, index: dict[str, Any], model: str) -> list[Part]:
    """The parts of a pipeline, each of a class that is known to be a part and to bring no code.

    Args:
        diffusers: The library.
        index: What model_index.json says.
        model: Its name, for messages.

    Raises:
        MaskGridError: A pipeline or a part of another class.
    """
    named = index.get("_class_name")
    pipeline = getattr(diffusers, named, None) if isinstance(named, str) else None
    if not isinstance(pipeline, type) or not issubclass(pipeline, diffusers.DiffusionPipeline):
        raise MaskGridError(
            f"model {model!r} is for the pipeline {named!r}; allowed: those of diffusers "
            f"{diffusers.__version__}, {_NO_CODE}"
        )
    _check_settings(index, f"model {model!r} has a model_index.json that")
    return [
        _find_part(diffusers, name, value, model)
        for name, value in index.items()
        if isinstance(value, list) and not name.startswith("_") and value != [None, None]
    ]


def _find_part(diffusers: Any, name: str, value: list[Any], model: str) -> Part:
    import transformers

    library, called = value if len(value) == 2 else (value, None)
    modules = {"diffusers": diffusers, "transformers": transformers}
    module = modules.get(library) if isinstance(library, str) else None
    if module is None and isinstance(library, str):
        module = getattr(diffusers.pipelines, library, None)
    if module is None:
        raise MaskGridError(
            f"model {model!r} has its {name} from {library!r}; allowed: diffusers and transformers, "
            f"{_NO_CODE}"
        )
    kind = getattr(module, called, None) if isinstance(called, str) else None
    if not isinstance(kind, type) or not _is_part(kind):
        raise MaskGridError(
            f"model {model!r} has as its {name} a {called} of {library}; allowed: networks, schedulers, "
            f"tokenizers and processors of the versions that are installed, and no pipeline, {_NO_CODE}"
        )
    return Part(name, str(library), kind)


def _is_part(kind: type) -> bool:
    bases = {base.__name__ for base in kind.__mro__}
    is_auto = kind.__module__.startswith("transformers.models.auto.")
    return is_auto or not bases.isdisjoint((*_DIFFUSERS_BASES, *_TRANSFORMERS_BASES))


def check_files(folder: Path, parts: list[Part], model: str) -> None:
    """Whether each part is there, and nothing in its folder is or names code.

    Args:
        folder: The model's.
        parts: Those of its index.
        model: Its name, for messages.

    Raises:
        MaskGridError: A part lacks, or brings code, weights in pickles, or a pipeline of its own.
    """
    # Older versions of diffusers run a file of this name.
    if (folder / "None.py").exists():
        raise MaskGridError(f"model {model!r} brings code; allowed: weights, {_NO_CODE}")
    for part in parts:
        place = folder / part.name
        if not place.is_dir() or not any(place.iterdir()):
            raise MaskGridError(
                f"model {model!r} lacks its {part.name}: there is nothing in {place}; allowed: a whole model"
            )
        for file in _files_below(place):
            _check_file(file, part, model)


def _check_file(file: Path, part: Part, model: str) -> None:
    has = f"model {model!r} has in its {part.name}"
    if file.suffix == ".py":
        raise MaskGridError(
            f"model {model!r} brings code ({part.name}: {file.name}); allowed: weights, {_NO_CODE}"
        )
    if file.name == "model_index.json":
        raise MaskGridError(f"{has} another pipeline; allowed: networks, {_NO_CODE}")
    if file.suffix in _PICKLES:
        # Not "model" as in adapter_model.bin, which is read beside the weights.
        is_replaced = file.name.startswith(_REPLACED) and any(file.parent.glob("*.safetensors"))
        if not is_replaced:
            raise MaskGridError(f"{has} the file {file.name}, a pickle; {ONLY_SAFETENSORS}")
    # Classes that a pipeline of diffusers brings along read no such settings, which their files often have.
    if file.name.endswith("config.json") and part.library in ("diffusers", "transformers"):
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MaskGridError(f"{has} the file {file.name}, which is no JSON ({error})") from error
        _check_settings(settings, f"{has} the file {file.name}, which")


def _check_settings(settings: Any, what: str) -> None:
    """Whether settings name no code, at any depth."""
    for key, value in _walk_settings(settings):
        if key in _CODE_SETTINGS and value not in (None, False, {}, []):
            raise MaskGridError(f"{what} names code ({key}); allowed: settings without, {_NO_CODE}")


def _walk_settings(settings: Any) -> Iterator[tuple[str, Any]]:
    inner = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in inner:
        yield str(key), value
        if isinstance(value, (dict, list)):
            yield from _walk_settings(value)


def _files_below(place: Path) -> Iterator[Path]:
    """Files at any depth, through links too, as the libraries would find them."""
    seen: set[Path] = set()
    for folder, folders, files in os.walk(place, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in sorted(files))
