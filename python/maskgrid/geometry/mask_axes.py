"""Which axes of a mask are masks, rows, columns and channels: one rule for everything that takes a mask.

| shape | read as |
|---|---|
| (H, W) | one mask |
| (N, H, W) | N masks |
| (N, 1, H, W) | N masks, as torch has them |
| (H, W, C), C of 1, 3 or 4 | one mask: channel 0 |
| (N, H, W, C), C of 1, 3 or 4 | N masks: channel 0 of each |

Four axes are (N, 1, H, W) where the second is 1. Three axes are (N, H, W) where the last is larger than 4,
and (H, W, C) where it is 1, 3 or 4 and both others are larger than 4; what is left may be either and is
refused. Where the size of the masks is known beforehand (a grid's cells), the one reading that has it is
taken. Whoever wants no rule to decide says (N, 1, H, W): `mask[:, None]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskgrid import _native
from maskgrid.geometry.arrays import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MaskAxes", "read_mask_axes", "stack_masks"]


@dataclass(frozen=True, slots=True)
class MaskAxes:
    """What a mask's axes mean, told by its shape.

    Attributes:
        shape: The shape.
        masks: The axis that counts masks; None for a single mask.
        rows: The axis of rows.
        columns: The axis of columns.
        channels: The axis of channels, the last; None where there is none.
    """

    shape: tuple[int, ...]
    masks: int | None
    rows: int
    columns: int
    channels: int | None

    @property
    def count(self) -> int:
        """How many masks an array of such axes holds."""
        return 1 if self.masks is None else self.shape[self.masks]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a mask in pixels."""
        return self.shape[self.rows], self.shape[self.columns]


def read_mask_axes(shape: Sequence[int], *, size: Iterable[int] | None = None) -> MaskAxes:
    """What the axes of a mask's shape mean.

    Args:
        shape: Lengths of the axes.
        size: Height and width in pixels that the masks should have, where that is known: a grid's cell.

    Returns:
        Which axis is which.

    Raises:
        InvalidValueError: A shape that is no mask's, or that could be read in two ways; the message
            says how to say it.
    """
    expected = None if size is None else tuple(size)
    return MaskAxes(tuple(shape), *_native.mask_axes(tuple(shape), expected))


def stack_masks(mask: Any, *, size: Iterable[int] | None = None) -> Any:
    """The masks of an array as a view (N, H, W); values are not looked at.

    Args:
        mask: A numpy array, or a tensor on any device.
        size: Height and width in pixels that the masks should have, where that is known: a grid's cell.

    Returns:
        (N, H, W), N = 1 for a single mask.

    Raises:
        InvalidTypeError: No array.
        InvalidValueError: A shape that is no mask's, or that could be read in two ways.
    """
    axes = read_mask_axes(shape_of(mask, "the mask"), size=size)
    single = mask if axes.channels is None else mask[..., 0]
    if axes.masks is None:
        return single[None]
    # Of (N, 1, H, W) the second axis goes.
    return single[:, 0] if axes.rows == 2 else single
