"""Models: where the bundled one lies, and how one is loaded by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from maskgrid.errors import InvalidValueError, MaskGridError, in_one_line

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
_UNET = "model.diffusion_model."
_ONLY_SAFETENSORS = "allowed: .safetensors files alone, as others can run code when loaded"
_WHOLE = "allowed: a whole checkpoint, no LoRA and no part alone"


@dataclass(frozen=True)
class Demo:
    """What the demonstration redraws.

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
            cfg=text["cfg"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise MaskGridError(f"the demo's sheet is not in this installation ({folder})") from error


def load_pipeline(model: str, *, device: str | None = None, dtype: str | None = None) -> Any:
    """A diffusers pipeline.

    Weights are read from .safetensors files alone and no code of a model is run, wherever it comes from.

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
    try:
        pipe = _load(diffusers, model, lambda has_unet: _dtype(torch, dtype, where, has_unet))
        pipe.to(where)
    except MaskGridError:
        raise
    except Exception as error:
        # Several libraries read a model, each with errors of its own.
        raise MaskGridError(f"model {model!r} can't be loaded: {in_one_line(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _load(diffusers: Any, model: str, dtype_for: Any) -> Any:
    path = Path(bundled_folder() if model == BUNDLED else model).expanduser()
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
    folder = str(path) if path.exists() else _from_hub(diffusers, model)
    index = diffusers.DiffusionPipeline.load_config(folder)
    variant = _variant(Path(folder), _parts(diffusers, index, model), model)
    # diffusers wants to be told of parts that were saved as none, such as the largest of three text models.
    none = {name: None for name, value in index.items() if value == [None, None]}
    given = {"use_safetensors": True, "variant": variant, **none, **dtype_for("unet" in index)}
    return diffusers.DiffusionPipeline.from_pretrained(folder, **given)


def _parts(diffusers: Any, index: dict[str, Any], model: str) -> list[str]:
    """The names of a pipeline's parts; all classes must be those of diffusers and transformers."""
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or not hasattr(diffusers, pipeline):
        raise MaskGridError(
            f"model {model!r} is for the pipeline {pipeline!r}; allowed: those of diffusers "
            f"{diffusers.__version__}, as no code of a model is run"
        )
    parts = {
        name: value[0]
        for name, value in index.items()
        if isinstance(value, list) and not name.startswith("_") and value and isinstance(value[0], str)
    }
    for name, library in parts.items():
        if library not in ("diffusers", "transformers") and not hasattr(diffusers.pipelines, library):
            raise MaskGridError(
                f"model {model!r} has its {name} from {library!r}; allowed: diffusers and transformers, as "
                "no code of a model is run"
            )
    return list(parts)


def _variant(folder: Path, parts: list[str], model: str) -> str | None:
    """Which weights to take: "fp16" if a part has no others. Those that can run code are refused."""
    variant = None
    # Older versions of diffusers run a None.py, and code that lies among a part's weights, unasked.
    if (folder / "None.py").exists() or any(any((folder / part).glob("*.py")) for part in parts):
        raise MaskGridError(f"model {model!r} brings code; allowed: weights, as no code of a model is run")
    for part in parts:
        weights = [path.name for path in (folder / part).glob("*.safetensors")]
        if not weights and any((folder / part).glob("*.bin")):
            raise MaskGridError(f"model {model!r} has its {part} in .bin files; {_ONLY_SAFETENSORS}")
        if weights and all(".fp16" in name for name in weights):
            variant = "fp16"
    return variant


def _from_hub(diffusers: Any, model: str) -> str:
    """A model's folder in the Hugging Face cache, downloaded if need be: .safetensors files, no others."""
    _parts(diffusers, _hub_index(model, f"model {model!r}"), model)
    for variant in (None, "fp16"):
        try:
            return str(diffusers.DiffusionPipeline.download(model, use_safetensors=True, variant=variant))
        except OSError as error:
            if "necessary `safetensors` weights" not in str(error):
                raise
    raise MaskGridError(f"model {model!r} has parts without .safetensors files; {_ONLY_SAFETENSORS}")


def _hub_index(repository: str, what: str) -> dict[str, Any]:
    """The model_index.json of a repository, from the cache or the hub; `what` names it in errors."""
    from huggingface_hub import errors, hf_hub_download

    try:
        file = hf_hub_download(repository, "model_index.json")
    except errors.GatedRepoError as error:
        raise MaskGridError(f"{what} is gated: {in_one_line(error.server_message or error)}") from error
    except errors.RepositoryNotFoundError as error:
        raise MaskGridError(
            f"the hub has no {what}, or it is private; allowed: an id as on https://huggingface.co, after "
            "'hf auth login' if it is private"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise MaskGridError(
            f"{what} is not in the Hugging Face cache, and the hub can't be reached "
            f"({in_one_line(error.__cause__ or error)}); allowed: a connection, or a model's folder"
        ) from error
    except errors.EntryNotFoundError as error:
        raise MaskGridError(f"{what} is without a model_index.json, so no pipeline of diffusers") from error
    index: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    return index


def _single_file(diffusers: Any, path: Path, dtype_for: Any) -> Any:
    single: Any = import_module("diffusers.loaders.single_file_utils")
    what = f"model {str(path)!r}"
    if path.suffix != ".safetensors":
        raise MaskGridError(f"{what} is no .safetensors file; {_ONLY_SAFETENSORS}")
    header = _header(path)
    kind = single.infer_diffusers_model_type(header)
    name = next((name for start, name in _SINGLE_FILES if kind.startswith(start)), None)
    if name is None:
        raise MaskGridError(
            f"{what} is of kind {kind!r}, which there is no text-to-image pipeline for; "
            f"allowed: {', '.join(start for start, _ in _SINGLE_FILES)}"
        )
    has_unet = name in ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
    filled = sum(tensor.numel() for key, tensor in header.items() if key.startswith(_UNET))
    if has_unet and not filled:
        raise MaskGridError(f"{what} is without a UNet; {_WHOLE}")
    settings = single.DIFFUSERS_DEFAULT_PIPELINE_PATHS[kind]["pretrained_model_name_or_path"]
    _hub_index(settings, f"{settings!r} with the settings for {what}")
    lacking = f"{what} lacks some of the weights of {settings!r}; {_WHOLE}"
    try:
        pipe = getattr(diffusers, name).from_single_file(str(path), **dtype_for(has_unet))
    except single.SingleFileComponentError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise MaskGridError(f"{what}: {reason}; {_WHOLE}") from error
    except NotImplementedError as error:
        # With accelerate, a weight that the file lacks has no values that could be copied.
        raise MaskGridError(lacking) from error
    # Without, diffusers leaves it at random and says nothing.
    if has_unet and filled < sum(weight.numel() for weight in pipe.unet.parameters()):
        raise MaskGridError(lacking)
    return pipe


def _header(path: Path) -> dict[str, Any]:
    """The names and shapes of a file's tensors, as tensors without values."""
    from safetensors import SafetensorError, safe_open
    from torch import empty

    try:
        with safe_open(path, framework="pt") as file:
            return {key: empty(file.get_slice(key).get_shape(), device="meta") for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise MaskGridError(
            f"model {str(path)!r} is no .safetensors file inside: {in_one_line(error)}"
        ) from error


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
