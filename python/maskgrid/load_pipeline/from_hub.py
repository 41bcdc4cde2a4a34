"""Download a model of the Hugging Face hub into its cache: .safetensors files, no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskgrid.errors import MaskGridError, in_one_line
from maskgrid.load_pipeline.folder_checks import ONLY_SAFETENSORS, find_parts

__all__ = ["download_index", "download_model"]


def download_model(diffusers: Any, model: str, revision: str | None = None) -> Path:
    """A model's folder in the Hugging Face cache, downloaded if need be.

    Raises:
        MaskGridError: There is none, it can't be had, or it has parts without .safetensors files.
    """
    find_parts(diffusers, download_index(model, f"model {model!r}", revision), model)
    for variant in (None, "fp16"):
        try:
            found = diffusers.DiffusionPipeline.download(
                model, use_safetensors=True, variant=variant, revision=revision
            )
            return Path(found)
        except OSError as error:
            if "necessary `safetensors` weights" not in str(error):
                raise
    raise MaskGridError(f"model {model!r} has parts without .safetensors files; {ONLY_SAFETENSORS}")


def download_index(repository: str, what: str, revision: str | None = None) -> dict[str, Any]:
    """The model_index.json of a repository, from the cache or the hub; `what` names it in errors.

    Raises:
        MaskGridError: There is none, or it can't be had.
    """
    from huggingface_hub import errors, hf_hub_download

    try:
        file = hf_hub_download(repository, "model_index.json", revision=revision)
    except errors.GatedRepoError as error:
        raise MaskGridError(f"{what} is gated: {in_one_line(error.server_message or error)}") from error
    except errors.RepositoryNotFoundError as error:
        raise MaskGridError(
            f"the hub has no {what}, or it is private; allowed: an id as on https://huggingface.co, after "
            "'hf auth login' if it is private"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise MaskGridError(
            f"{what} has no revision {revision!r} on the hub; allowed: a branch, a tag or a commit of it"
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
