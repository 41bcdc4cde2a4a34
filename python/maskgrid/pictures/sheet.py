"""A sheet that was read: its own pixels, what a model sees of them, its colour profile and resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from maskgrid.pictures.fill_hidden import fill_hidden
from maskgrid.pictures.flatten_alpha import flatten_alpha

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.pictures.background import Colour

__all__ = ["Sheet"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet in 8 bits a channel, with what its pictures have to keep.

    Attributes:
        pixels: (H, W, 3) or (H, W, 4) uint8: what the file has, colours under alpha 0 included.
        icc_profile: The colour profile of these pixels, as ICC defines it; None for plain sRGB.
        dpi: Horizontal and vertical resolution in pixels per inch; None where the file names none.
        mode: How Pillow calls what was read, such as "P" for a palette; "array" for arrays and tensors.
        notes: What did not stay as it was, in words; empty where everything did.
        background: What a model sees under alpha; None for the colours beside what is hidden.
    """

    pixels: NDArray[np.uint8]
    icc_profile: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    mode: str = "array"
    notes: tuple[str, ...] = ()
    background: Colour | None = None

    @cached_property
    def colours(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: what a model may see, without what lies hidden under alpha 0."""
        if self.background is not None:
            return flatten_alpha(self.pixels, self.background)
        return fill_hidden(self.pixels)

    @property
    def save_options(self) -> dict[str, Any]:
        """`icc_profile` and `dpi` as PIL.Image.Image.save takes them; those that there are."""
        known = {"icc_profile": self.icc_profile, "dpi": self.dpi}
        return {name: value for name, value in known.items() if value}
