"""Where a model is loaded to and in which precision: what a user asked for, or what suits the machine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from maskgrid.errors import InvalidValueError, in_one_line

__all__ = ["DTYPES", "choose_device", "choose_dtype", "dtype_argument"]

DTYPES = ("float32", "float16", "bfloat16")
"""The precisions that a model can be loaded in."""


def choose_device(device: str | None) -> Any:
    """A torch device: the one that was asked for, else an accelerator where there is one, else the CPU.

    Raises:
        InvalidValueError: A name that torch does not know, or a device that it can't use here.
    """
    import torch

    if device is None:
        backends = (("cuda", torch.cuda), ("mps", torch.backends.mps), ("xpu", getattr(torch, "xpu", None)))
        device = next((name for name, backend in backends if backend and backend.is_available()), "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InvalidValueError(
            f"device is {device!r}; allowed: names like 'cpu', 'cuda', 'cuda:1'"
        ) from error
    try:
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # Each backend says in its own words what it wants: a driver, another build of torch, fewer ordinals.
        reason = in_one_line(str(error).split(". ")[0])
        raise InvalidValueError(
            f"device is {device!r}, which torch can't use on this machine ({reason}); allowed: 'cpu', or an "
            "accelerator that is here"
        ) from error
    return found


def choose_dtype(dtype: str | None, device: Any, *, has_unet: bool) -> Any:
    """A torch dtype: the one asked for, else float32 on the CPU, float16 for UNets, bfloat16 for others."""
    import torch

    if dtype is None:
        dtype = "float32" if device.type == "cpu" else "float16" if has_unet else "bfloat16"
    return getattr(torch, dtype)


def dtype_argument(library: str, dtype: Any) -> dict[str, Any]:
    """The argument of `from_pretrained` that says in which dtype to load.

    Both libraries renamed it and warn of the old name, which their older versions know alone.
    """
    if library == "transformers":
        major, minor, *_ = import_module("transformers").__version__.split(".")
        renamed = (int(major), int(minor)) >= (4, 56)
    else:
        renamed = hasattr(import_module("diffusers.pipelines.pipeline_utils"), "_resolve_dtype")
    return {"dtype" if renamed else "torch_dtype": dtype}
