"""Load a pipeline from a whole checkpoint in a single .safetensors file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError
from maskgrid.load_pipeline.device_and_dtype import dtype_argument
from maskgrid.load_pipeline.folder_checks import ONLY_SAFETENSORS
from maskgrid.load_pipeline.from_hub import download_index
from maskgrid.load_pipeline.safetensors_header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["load_single_file"]

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
_WHOLE = "allowed: a whole checkpoint, no LoRA and no part alone"


def load_single_file(diffusers: Any, path: Path, dtype_for: Callable[[bool], Any]) -> Any:
    """The pipeline of a checkpoint in one file; its settings come from the hub or its cache.

    Args:
        diffusers: The library.
        path: The file.
        dtype_for: The dtype to load in, for a model with a UNet or another.

    Raises:
        MaskGridError: No such checkpoint, one of a kind without a pipeline here, or a part alone.
    """
    single: Any = import_module("diffusers.loaders.single_file_utils")
    what = f"model {str(path)!r}"
    if path.suffix != ".safetensors":
        raise MaskGridError(f"{what} is no .safetensors file; {ONLY_SAFETENSORS}")
    header = read_header(path, f"model {str(path)!r}")
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
    download_index(settings, f"{settings!r} with the settings for {what}")
    lacking = f"{what} lacks some of the weights of {settings!r}; {_WHOLE}"
    try:
        pipe = getattr(diffusers, name).from_single_file(
            str(path), **dtype_argument("diffusers", dtype_for(has_unet))
        )
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
