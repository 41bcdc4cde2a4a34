"""What a LATENT with leftover noise carries, so that the next sampler can go on with its forks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    import torch

    from maskgrid.hosts.comfyui.sheet_plan import SheetPlan

__all__ = ["CarriedForks", "carried_by", "latent_with"]

_KEY = "maskgrid_forks"
# The core drops these too: they speak of an empty latent that is still to be resized.
_STALE = ("downscale_ratio_spacial", "downscale_ratio_temporal")


@dataclass(frozen=True, slots=True)
class CarriedForks:
    """Clean sheet, noise and masks of forks that are not finished.

    Attributes:
        sheet: (B, C, [T], h, w) the clean latents.
        noise: (n * B, C, [T], h, w) of all live forks, or (B, C, [T], h, w) the same for all.
        plan: The forks and their masks.
        together: Whether they have not parted yet.
    """

    sheet: torch.Tensor
    noise: torch.Tensor
    plan: SheetPlan
    together: bool


def carried_by(latent: dict[str, Any], rows: int, columns: int) -> CarriedForks | None:
    """What a LATENT carries, None for any other.

    Raises:
        InvalidValueError: It carries forks of another grid, or its rows are not those forks any more.
    """
    carried: CarriedForks | None = latent.get(_KEY)
    if carried is None:
        return None
    grid, samples = carried.plan.grid, latent["samples"]
    if (grid.rows, grid.columns) != (rows, columns):
        raise InvalidValueError(
            f"the latent carries unfinished forks of {grid.rows} x {grid.columns} cells and the node has "
            f"{rows} x {columns}; allowed: the same rows and columns"
        )
    expected = (len(carried.plan.cells) * len(carried.sheet), *carried.sheet.shape[1:])
    if tuple(samples.shape) != expected:
        raise InvalidValueError(
            f"the latent carries {len(carried.plan.cells)} unfinished forks but has shape "
            f"{tuple(samples.shape)}; "
            f"allowed: {expected}, all forks as the sampler gave them"
        )
    return carried


def latent_with(
    latent: dict[str, Any], samples: torch.Tensor, carried: CarriedForks | None = None
) -> dict[str, Any]:
    """A LATENT with other samples; what has one entry for each row is repeated for each fork."""
    given = len(latent["samples"])
    result = {name: value for name, value in latent.items() if name not in (*_STALE, _KEY)}
    times = len(samples) // given
    indices, mask = result.get("batch_index"), result.get("noise_mask")
    if indices is not None:
        result["batch_index"] = list(indices) * times if times else list(indices)[: len(samples)]
    if mask is not None and times > 1 and len(mask) == given > 1:
        result["noise_mask"] = mask.repeat(times, *(1,) * (mask.ndim - 1))
    result["samples"] = samples
    if carried is not None:
        result[_KEY] = carried
    return result
