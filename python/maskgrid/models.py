"""Models: where the bundled one lies, and how one is loaded by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from maskgrid.errors import InvalidValueError, MaskGridError

__all__ = ["BUNDLED", "DTYPES", "Demo", "bundled_folder", "demo", "load_pipeline"]

BUNDLED = "bundled"
DTYPES = ("float32", "float16", "bfloat16")
_FACES = Path(__file__).parent / "models" / "faces"
# Which pipeline a checkpoint in a single file is for, by how diffusers calls its kind.
_SINGLE_FILES = (
    ("xl_base", "StableDiffusionXLPipeline"),
    ("playground", "StableDiffusionXLPipeline"),
    ("sd3", "StableDiffusion3Pipeline"),
    ("flux-2", "Flux2Pipeline"),
    ("flux-dev", "FluxPipeline"),
    ("flux-schnell", "FluxPipeline"),
    ("chroma", "ChromaPipeline"),
    ("z-image-turbo", "ZImagePipeline"),
    ("sana", "SanaPipeline"),
    ("v1", "StableDiffusionPipeline"),
    ("v2", "StableDiffusionPipeline"),
)


@dataclass(frozen=True)
class Demo:
    """What the demonstration redraws.

    Attributes:
        image: The sheet's file.
        mask: The stencil's file, as large as a cell.
        rows: Rows of the sheet.
        columns: Columns of the sheet.
        prompts: One for each cell.
    """

    image: Path
    mask: Path
    rows: int
    columns: int
    prompts: tuple[str, ...]


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


def demo() -> Demo:
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
        )
    except (OSError, ValueError, KeyError) as error:
        raise MaskGridError(f"the demo's sheet is not in this installation ({folder})") from error


def load_pipeline(model: str, *, device: str | None = None, dtype: str | None = None) -> Any:
    """A diffusers pipeline.

    Args:
        model: "bundled", a folder with a model_index.json, a single .safetensors file, or an id of the
            Hugging Face hub.
        device: As torch names it; default an accelerator where there is one, else "cpu".
        dtype: "float32", "float16" or "bfloat16"; default float32 on the CPU; elsewhere float16 for models
            with a UNet and bfloat16 for others.

    Returns:
        The pipeline on its device, without progress bars.

    Raises:
        InvalidValueError: An unknown dtype or device.
        MaskGridError: diffusers is not installed, no such model, or it can't be loaded.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InvalidValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    try:
        import diffusers
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise MaskGridError(
            f"models need diffusers ({error}); install it with: pip install maskgrid[diffusers]"
        ) from error
    where = _device(torch, device)
    path = Path(bundled_folder() if model == BUNDLED else model).expanduser()
    try:
        pipe = _load(diffusers, path, model, lambda has_unet: _dtype(torch, dtype, where, has_unet))
        pipe.to(where)
    except (OSError, ValueError, RuntimeError, ImportError, TypeError, KeyError, AttributeError) as error:
        raise MaskGridError(f"model {model!r} can't be loaded: {error}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _load(diffusers: Any, path: Path, model: str, dtype_for: Any) -> Any:
    if path.is_file():
        return _single_file(diffusers, path, dtype_for)
    if path.exists() and not (path / "model_index.json").is_file():
        raise MaskGridError(f"model {model!r} is a folder without a model_index.json")
    looks_like_a_path = model.startswith((".", "/", "~")) or model.count("/") > 1 or "\\" in model
    if not path.exists() and (looks_like_a_path or path.suffix == ".safetensors" or "/" not in model):
        raise MaskGridError(
            f"there is no model {model!r}; allowed: {BUNDLED!r}, a folder, a .safetensors file, or a hub id "
            "like 'owner/name'"
        )
    source = str(path) if path.exists() else model
    config = diffusers.DiffusionPipeline.load_config(source)
    return diffusers.DiffusionPipeline.from_pretrained(source, **dtype_for("unet" in config))


def _single_file(diffusers: Any, path: Path, dtype_for: Any) -> Any:
    single: Any = import_module("diffusers.loaders.single_file_utils")
    if path.suffix != ".safetensors":
        raise MaskGridError(
            f"model {str(path)!r} is no .safetensors file; other files can run code when loaded"
        )
    kind = single.infer_diffusers_model_type(single.load_single_file_checkpoint(str(path)))
    for start, name in _SINGLE_FILES:
        if kind.startswith(start):
            unet = name.startswith("StableDiffusion") and "3" not in name
            return getattr(diffusers, name).from_single_file(str(path), **dtype_for(unet))
    raise MaskGridError(
        f"model {str(path)!r} is of kind {kind!r}, which there is no text-to-image pipeline for; "
        f"allowed: {', '.join(start for start, _ in _SINGLE_FILES)}"
    )


def _device(torch: Any, device: str | None) -> Any:
    if device is None:
        backends = (("cuda", torch.cuda), ("mps", torch.backends.mps), ("xpu", getattr(torch, "xpu", None)))
        device = next((name for name, backend in backends if backend and backend.is_available()), "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InvalidValueError(
            f"device is {device!r}; allowed: names like 'cpu', 'cuda', 'cuda:1'"
        ) from error


def _dtype(torch: Any, dtype: str | None, device: Any, has_unet: bool) -> dict[str, Any]:
    """The argument that says in which dtype to load."""
    if dtype is None:
        dtype = "float32" if device.type == "cpu" else "float16" if has_unet else "bfloat16"
    # diffusers renamed the argument and warns of the old name, which older versions know alone.
    renamed = hasattr(import_module("diffusers.pipelines.pipeline_utils"), "_resolve_dtype")
    return {"dtype" if renamed else "torch_dtype": getattr(torch, dtype)}
