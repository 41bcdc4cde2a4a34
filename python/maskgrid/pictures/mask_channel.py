"""Which channel of a picture is the mask: brightness, alpha or red, decided by what is visible alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskgrid.errors import InvalidValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHANNELS", "choose_channel", "luminance"]

CHANNELS = ("alpha", "luminance", "red")
"""What `mask_channel` (`--mask-channel`) may be."""

_SAME, _SAME_LOSSY = 2 / 255, 8 / 255
"""How far the brightness of a single colour may vary, as one sees it: times alpha. A brush on a canvas of a
browser is off by half a step of 8 bits, and by more where it is nearly transparent."""


def choose_channel(
    colours: NDArray[Any],
    alpha: NDArray[Any] | None,
    *,
    channel: str | None = None,
    name: str = "mask",
    lossy: bool = False,
) -> tuple[NDArray[Any], str]:
    """The mask in a picture, and in words which channel it is.

    Only what is visible (alpha above 0) decides. Where alpha is the same everywhere, the brightness is the
    mask; where the brightness is the same everywhere, alpha is. Where both vary it has to be said which. What
    is not visible is black in a mask of brightness or red.

    Args:
        colours: (..., 3) red, green, blue; uint8, or floats in [0, 1].
        alpha: (...) of the same dtype; None where there is none.
        channel: One of `CHANNELS`; None for the rule.
        name: What an error calls it.
        lossy: Whether the colours come from a compression that changes them a little.

    Returns:
        (...) of the same dtype, and a sentence.

    Raises:
        InvalidValueError: Both vary and no channel is named; an unknown channel; or "alpha" without one.
    """
    if channel not in (None, *CHANNELS):
        raise InvalidValueError(f"mask_channel is {channel!r}; allowed: {', '.join(map(repr, CHANNELS))}")
    if channel == "alpha" and alpha is None:
        raise InvalidValueError(
            f"{name} has no alpha to be the mask; allowed: mask_channel 'luminance' or 'red'"
        )
    brightness = luminance(colours) if channel != "red" else colours[..., 0]
    if channel == "alpha" and alpha is not None:
        return alpha, "its alpha is the mask, as asked for"
    if channel is not None:
        return _hide(brightness, alpha), f"its {channel} is the mask, as asked for"
    if alpha is None:
        return brightness, "its brightness is the mask"
    if alpha.size == 0 or (alpha == alpha.flat[0]).all():
        if not alpha.any():
            return np.zeros_like(alpha), "nothing in it is visible, so the mask is black"
        return brightness, "its brightness is the mask, for alpha is the same everywhere"
    if _is_one_brightness(brightness, alpha, _SAME_LOSSY if lossy else _SAME):
        return alpha, "its alpha is the mask, for all that is visible has the same brightness"
    raise InvalidValueError(
        f"{name}: both the brightness of what is visible and alpha vary, so either may be the mask; allowed: "
        "say which by mask_channel (--mask-channel): 'alpha' (what is painted may change), 'luminance' (what "
        "is bright) or 'red'"
    )


def luminance(colours: NDArray[Any]) -> NDArray[Any]:
    """The brightness of colours (..., 3) by ITU-R 601, for uint8 as Pillow rounds it; grey stays as it is."""
    if (colours[..., 0] == colours[..., 1]).all() and (colours[..., 0] == colours[..., 2]).all():
        return colours[..., 0]
    if colours.dtype == np.uint8:
        red, green, blue = (colours[..., i].astype(np.uint32) for i in range(3))
        grey: NDArray[Any] = ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)
        return grey
    wide: NDArray[Any] = colours.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return wide.astype(colours.dtype)


def _hide(values: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    return values if alpha is None else np.where(alpha > 0, values, np.zeros((), values.dtype))


def _is_one_brightness(brightness: NDArray[Any], alpha: NDArray[Any], tolerance: float) -> bool:
    top = 255 if alpha.dtype == np.uint8 else 1
    most = alpha == alpha.max()
    share = alpha.astype(np.float32) / top
    reference = float(np.median(brightness[most]))
    seen = np.abs(brightness.astype(np.float32) - reference) / top * share
    return bool(seen.max() <= tolerance)
