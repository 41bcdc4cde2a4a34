"""Load a pipeline by name: the bundled model, a folder, a hub id or a single .safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskgrid.bundled_model import BUNDLED, bundled_folder
from maskgrid.errors import InvalidValueError, MaskGridError, MissingExtraError, in_one_line
from maskgrid.load_pipeline.device_and_dtype import DTYPES, choose_device, choose_dtype
from maskgrid.load_pipeline.from_hub import download_model
from maskgrid.load_pipeline.lora_files import add_loras, find_loras
from maskgrid.load_pipeline.model_folder import load_folder
from maskgrid.load_pipeline.save_memory import check_memory_options, decode_in_tiles, offload_networks
from maskgrid.load_pipeline.single_file import load_single_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskgrid.load_pipeline.lora_files import LoraFile, LoraSource

__all__ = ["find_local", "load_pipeline"]


def load_pipeline(
    model: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    loras: Sequence[LoraSource | LoraFile] = (),
    offload: str | None = None,
    vae_tiling: bool = False,
) -> Any:
    """Load a diffusers pipeline by name.

    Weights are read from .safetensors files alone and no code of a model is run, wherever it comes from.

    Args:
        model: "bundled", a folder with a model_index.json, a single .safetensors file, or an id of the
            Hugging Face hub.
        device: As torch names it; default an accelerator where there is one, else "cpu".
        dtype: "float32", "float16" or "bfloat16"; default float32 on the CPU; elsewhere float16 for models
            with a UNet and bfloat16 for others.
        revision: Of a hub id: a branch, a tag or a commit; default its main branch.
        loras: .safetensors files with LoRAs, or pairs of a file and its weight; see `LoraSource`.
        offload: "model", "sequential" or "group" keeps networks in host memory and brings them to the device
            when they compute; see `maskgrid.load_pipeline.save_memory`. On the CPU it changes nothing.
        vae_tiling: Whether the VAE works tile by tile, for less memory.

    Returns:
        The pipeline on its device, without progress bars.

    Raises:
        InvalidValueError: An unknown dtype, device or offload, or a revision of what is no hub id.
        MaskGridError: diffusers or peft is not installed, no such model or LoRA, it can't be loaded, or
            weights lack.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InvalidValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    check_memory_options(offload, vae_tiling)
    _check_revision(model, revision)
    _import_libraries()
    added = find_loras(loras)
    where = choose_device(device)
    try:
        pipe = _load(model, revision, lambda has_unet: choose_dtype(dtype, where, has_unet=has_unet))
        add_loras(pipe, added, model)
        if vae_tiling:
            decode_in_tiles(pipe, model)
        if offload is None or where.type == "cpu":
            pipe.to(where)
        else:
            offload_networks(pipe, offload, where)
    except MaskGridError:
        raise
    except Exception as error:
        # Several libraries read a model, each with errors of its own.
        raise MaskGridError(f"model {model!r} can't be loaded: {in_one_line(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _import_libraries() -> None:
    """Say what to install where what reads models is not there.

    Raises:
        MissingExtraError: It is not.
    """
    try:
        import diffusers  # noqa: F401 - is it there?
        import torch  # noqa: F401 - is it there?
        import transformers  # noqa: F401 - is it there?
    except ImportError as error:
        raise MissingExtraError(
            f'models need diffusers ({error}); install it with: pip install "maskgrid[diffusers]"'
        ) from error


def _check_revision(model: str, revision: str | None) -> None:
    if revision is None:
        return
    if not isinstance(revision, str) or not revision:
        raise InvalidValueError(f"revision is {revision!r}; allowed: a branch, a tag or a commit")
    if find_local(model) is not None:
        raise InvalidValueError(
            f"revision is {revision!r}, and model {model!r} is on this machine; allowed: with a hub id"
        )


def find_local(model: str) -> Path | None:
    """Where a model lies on this machine; None for an id of the hub, which is not asked.

    Args:
        model: As for `load_pipeline`.

    Raises:
        MaskGridError: A path where nothing is, or a folder that is no model's.
    """
    path = Path(bundled_folder() if model == BUNDLED else model).expanduser()
    if path.is_file():
        return path
    if path.exists() and not (path / "model_index.json").is_file():
        raise MaskGridError(f"model {model!r} is a folder without a model_index.json")
    looks_like_a_path = model.startswith((".", "/", "~")) or model.count("/") > 1 or "\\" in model
    if not path.exists() and (looks_like_a_path or path.suffix == ".safetensors" or "/" not in model):
        raise MaskGridError(
            f"there is no model {model!r}; allowed: {BUNDLED!r}, a folder, a .safetensors file, or a hub id "
            "like 'owner/name'"
        )
    return path if path.exists() else None


def _load(model: str, revision: str | None, dtype_for: Any) -> Any:
    import diffusers

    path = find_local(model)
    if path is not None and path.is_file():
        return load_single_file(diffusers, path, dtype_for)
    return load_folder(diffusers, path or download_model(diffusers, model, revision), model, dtype_for)
