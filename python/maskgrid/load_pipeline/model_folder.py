"""Load a pipeline from a model's folder, once its files are known to be safe and its weights to be whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError
from maskgrid.load_pipeline.device_and_dtype import dtype_argument
from maskgrid.load_pipeline.folder_checks import ONLY_SAFETENSORS, Part, check_files, find_parts
from maskgrid.load_pipeline.safetensors_header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["load_folder"]


def load_folder(diffusers: Any, folder: Path, model: str, dtype_for: Callable[[bool], Any]) -> Any:
    """The pipeline of a folder with a model_index.json.

    Args:
        diffusers: The library.
        folder: The model's.
        model: Its name, for messages.
        dtype_for: The dtype to load in, for a model with a UNet or another.

    Raises:
        MaskGridError: Parts, weights or tokens lack, or are not to be had without running code or a pickle.
    """
    index = diffusers.DiffusionPipeline.load_config(str(folder))
    parts = find_parts(diffusers, index, model)
    check_files(folder, parts, model)
    networks = [part for part in parts if part.is_network]
    variants = {part.name: _find_variant(folder / part.name, part.name, model) for part in networks}
    dtype = dtype_for("unet" in index)
    loaded = {part.name: _load_network(part, folder, variants[part.name], dtype, model) for part in networks}
    # diffusers wants to be told of parts that were saved as none, such as the largest of three text models.
    none = {name: None for name, value in index.items() if value == [None, None]}
    given = {"use_safetensors": True, **none, **loaded, **dtype_argument("diffusers", dtype)}
    pipe = diffusers.DiffusionPipeline.from_pretrained(str(folder), **given)
    _check_tokenizers(pipe, model)
    return pipe


def _find_variant(place: Path, name: str, model: str) -> str | None:
    """Which weights of a part to take, once its files are found to be whole: "fp16" if it has no others."""
    files = list(place.glob("*.safetensors"))
    if not files:
        raise MaskGridError(f"model {model!r} has its {name} without .safetensors files; {ONLY_SAFETENSORS}")
    for file in files:
        read_header(file, f"model {model!r}: {name}/{file.name}")
    return "fp16" if all(".fp16" in file.name for file in files) else None


def _load_network(part: Part, folder: Path, variant: str | None, dtype: Any, model: str) -> Any:
    """A network with all its weights: the libraries leave those that lack at random, and only log it."""
    library = "diffusers" if part.library == "diffusers" else "transformers"
    if any(base.__name__ == "ModelMixin" for base in part.kind.__mro__):
        library = "diffusers"
    kind: Any = part.kind
    network, found = kind.from_pretrained(
        str(folder / part.name),
        output_loading_info=True,
        use_safetensors=True,
        variant=variant,
        **dtype_argument(library, dtype),
    )
    missing = sorted(found["missing_keys"])
    if missing:
        raise MaskGridError(
            f"model {model!r} lacks {len(missing)} of the weights of its {part.name} ({missing[0]}, ...), "
            "which would be left at random; allowed: a whole model"
        )
    return network


def _check_tokenizers(pipe: Any, model: str) -> None:
    """Whether the tokenizers know any tokens; from a folder without their files they are made empty."""
    for name, part in pipe.components.items():
        knows_tokens = name.startswith("tokenizer") and hasattr(part, "get_vocab")
        if knows_tokens and len(part.get_vocab()) <= len(getattr(part, "all_special_tokens", ())):
            raise MaskGridError(f"model {model!r} has a {name} without tokens; allowed: a whole model")
