"""Read which tensors a .safetensors file has, and whether it is whole, without reading their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import MaskGridError, in_one_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_header"]


def read_header(path: Path, what: str) -> dict[str, Any]:
    """The names and shapes of a file's tensors, as tensors without values; `what` names it in errors.

    Raises:
        MaskGridError: No .safetensors file inside, or one that was cut off.
    """
    from safetensors import SafetensorError, safe_open
    from torch import empty

    try:
        with safe_open(path, framework="pt") as file:
            return {key: empty(file.get_slice(key).get_shape(), device="meta") for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise MaskGridError(
            f"{what} is no .safetensors file inside, or was cut off: {in_one_line(error)}"
        ) from error
