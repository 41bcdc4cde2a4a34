"""Measure alpha by keying on drawn sprites: alpha error, and colour error where edges are half transparent.

    python tools/measure_keying.py [SPRITES]

Sprites of 64 x 64 px (a body with or without a dark outline, an arm 2 px thin, a hole) are drawn at 8 times
the size and averaged, so that their alpha is known. They are laid over the background that "auto" picks for
each and keyed: as they are, with noise of 4 levels, and after the bundled model's autoencoder. Beside it a
plain key: alpha 1 from a distance of 64 to the background on, colours left alone. Errors are mean absolute
ones in levels of 255: of alpha over the whole sprite and at the edge (3 px to both sides), of colours where
the true alpha lies between 64 and 254, against the drawn ones.
"""

import sys

import numpy as np
import torch
from numpy.typing import NDArray

from maskgrid import MaskGrid
from maskgrid.encode_decode import eight_bit_picture
from maskgrid.geometry import pixel_masks as masks
from maskgrid.pictures.background import Colour, far_colour
from maskgrid.pictures.flatten_alpha import flatten_alpha
from maskgrid.pictures.key_alpha import key_alpha, measure_ground

Pixels = NDArray[np.uint8]
SIDE, FINER = 64, 8


def draw_sprite(seed: int) -> Pixels:
    """(64, 64, 4) uint8: a body with an arm and perhaps a hole and an outline."""
    generator = np.random.default_rng(seed)
    y, x = (np.mgrid[: SIDE * FINER, : SIDE * FINER] + 0.5) / FINER
    height, width = generator.uniform(12, 24, 2)
    radius = np.hypot((y - SIDE / 2) / height, (x - SIDE / 2) / width)
    across = np.abs((y - SIDE / 2) + generator.uniform(-1, 1) * (x - SIDE / 2))
    shape = (radius < 1) | ((across < 1) & (np.abs(x - SIDE / 2) < 29))
    if seed % 2:
        shape &= np.hypot(y - SIDE / 2, x - SIDE / 2) > generator.uniform(3, 6)
    colours = np.empty((*shape.shape, 3))
    first, second = generator.uniform(0, 255, (2, 3))
    colours[...] = first + (second - first) * (y / SIDE)[..., None]
    if seed % 4 < 2:
        thin = np.minimum.reduce([np.roll(shape, FINER * by, axis) for by in (-2, 2) for axis in (0, 1)])
        colours[shape & ~thin] = 24
    share = shape.reshape(SIDE, FINER, SIDE, FINER).mean((1, 3))
    summed = (colours * shape[..., None]).reshape(SIDE, FINER, SIDE, FINER, 3).sum((1, 3)) / FINER**2
    mean = summed / np.maximum(share, 1e-9)[..., None]
    return np.rint(np.dstack([mean, 255 * share])).astype(np.uint8)


def key_plainly(pixels: Pixels, background: Colour) -> Pixels:
    """Opaque from a distance of 64 to the background on, colours as they are."""
    distance = np.sqrt(((pixels.astype(float) - background) ** 2).sum(2))
    return np.dstack([pixels, np.where(distance < 64, 0, 255).astype(np.uint8)])


def measure(keyed: Pixels, drawn: Pixels) -> tuple[float, float, float]:
    """Errors of alpha, of alpha at the edge, and of the colours of half transparent pixels."""
    wrong = np.abs(keyed.astype(float) - drawn)
    solid, seen = drawn[..., 3] == 255, drawn[..., 3] > 0
    edge = masks.grow(seen, 3) & ~masks.shrink(solid, 3)
    half = (drawn[..., 3] >= 64) & (drawn[..., 3] < 255)
    return wrong[..., 3].mean(), wrong[edge][:, 3].mean(), wrong[half][:, :3].mean()


def key_by_rim(pixels: Pixels, background: Colour) -> Pixels:
    """As a run does it whose stencil leaves a rim of 4 px above and below, where sprites are transparent."""
    rim = np.ones(pixels.shape[:2], bool)
    rim[4:-4] = False
    return key_alpha(pixels, measure_ground(pixels, background, rim))


def through_autoencoder(maker: MaskGrid, pixels: Pixels) -> Pixels:
    """A picture encoded and decoded by the model's VAE."""
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with maker.host.reserve():
        return eight_bit_picture(maker.host.decode(maker.host.encode(tensor))[0])


def main() -> None:
    """Print a table of the mean errors."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    maker = MaskGrid.load("bundled", device="cpu")
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in range(count):
        drawn = draw_sprite(seed)
        background = far_colour(drawn)
        exact = flatten_alpha(drawn, background)
        noise = np.random.default_rng(seed).normal(0, 4, exact.shape)
        seen = {
            "as drawn": exact,
            "noise of 4": np.rint(exact + noise).clip(0, 255).astype(np.uint8),
            "autoencoder": through_autoencoder(maker, exact),
        }
        for what, pixels in seen.items():
            for how, key in (("key_alpha", key_by_rim), ("plain key", key_plainly)):
                rows.setdefault((what, how), []).append(measure(key(pixels, background), drawn))
    print(f"{count} sprites{'':14}    alpha   alpha at edge   colour at edge")
    for (what, how), errors in rows.items():
        print("{:12} {:12} {:8.2f} {:15.2f} {:16.2f}".format(what, how, *np.mean(errors, 0)))


if __name__ == "__main__":
    main()
