"""How fast are the mask operations, over sizes and radii, beside OpenCV, scipy, Pillow, numpy and torch?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from scipy import ndimage

from harness import Report, Timing, Way, compare, duration, times
from maskgrid import masks

Array = np.ndarray
RADII = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Sweep:
    """One operation over radii: for each radius the time of each way, ours first."""

    name: str
    pixels: int
    radii: Sequence[int]
    timings: list[list[Timing]]


def blobs(pixels: int) -> Array:
    """A stencil as people draw them: some discs, one with a hole; uint8, 0 and 255."""
    random = np.random.default_rng(1)
    mask = np.zeros((pixels, pixels), np.uint8)
    for _ in range(9):
        centre = tuple(int(x) for x in random.integers(pixels // 8, pixels - pixels // 8, 2))
        cv2.circle(mask, centre, int(random.integers(pixels // 20, pixels // 7)), 255, thickness=-1)
    cv2.circle(mask, (pixels // 2, pixels // 2), pixels // 5, 255, thickness=pixels // 30)
    return mask


def disc(radius: int) -> Array:
    """All offsets of at most `radius`, the kernel that grows by a Euclidean radius."""
    axis = np.arange(-radius, radius + 1)
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.uint8)


def threads(count: int, run: Callable[[], object]) -> Callable[[], object]:
    """`run` with OpenCV held to so many threads (0: as many as there are)."""

    def held() -> object:
        cv2.setNumThreads(count if count else cv2.getNumberOfCPUs())
        return run()

    return held


def opencv(name: str, run: Callable[[], object], note: str = "") -> list[Way]:
    """OpenCV's way on one thread and on all."""
    return [
        Way(f"{name}, 1 thread", threads(1, run), note),
        Way(f"{name}, all threads", threads(0, run), note),
    ]


def distances(mask: Array) -> Array:
    """Exact distance of each pixel outside to the nearest one inside, by OpenCV."""
    return cv2.distanceTransform(255 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def grow(mask: Array, radius: int) -> list[Way]:
    """Ways to grow by a Euclidean radius."""
    out, kernel = np.empty_like(mask), disc(radius)
    inside = mask > 127
    image = Image.fromarray(mask)

    def by_distance() -> Array:
        return (distances(mask) <= radius).astype(np.uint8) * np.uint8(255)

    ways = [
        Way("maskgrid", lambda: masks.grow(mask, radius, out=out)),
        *opencv("OpenCV dilate", lambda: cv2.dilate(mask, kernel)),
        *opencv("OpenCV distance", by_distance),
        Way("scipy distance", lambda: ndimage.distance_transform_edt(~inside) <= radius),
    ]
    # Both take seconds beyond.
    if radius <= 4:
        ways.append(Way("scipy dilation", lambda: ndimage.binary_dilation(inside, kernel.astype(bool))))
        ways.append(
            Way("Pillow MaxFilter", lambda: image.filter(ImageFilter.MaxFilter(2 * radius + 1)), "a square")
        )
    masks.grow(mask, radius, out=out)
    same("grow", out, cv2.dilate(mask, kernel))
    same("grow", out, by_distance())
    return ways


def shrink(mask: Array, radius: int) -> list[Way]:
    """Ways to shrink by a Euclidean radius."""
    out, kernel = np.empty_like(mask), disc(radius)
    inside = mask > 127
    image = Image.fromarray(mask)

    def by_distance() -> Array:
        reach = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return (reach > radius).astype(np.uint8) * np.uint8(255)

    ways = [
        Way("maskgrid", lambda: masks.shrink(mask, radius, out=out)),
        *opencv("OpenCV erode", lambda: cv2.erode(mask, kernel)),
        *opencv("OpenCV distance", by_distance),
        Way("scipy distance", lambda: ndimage.distance_transform_edt(inside) > radius),
    ]
    if radius <= 4:
        ways.append(
            Way("Pillow MinFilter", lambda: image.filter(ImageFilter.MinFilter(2 * radius + 1)), "a square")
        )
    masks.shrink(mask, radius, out=out)
    same("shrink", out, cv2.erode(mask, kernel))
    return ways


def feather(mask: Array, width: int) -> list[Way]:
    """Ways to let the edge fade inward over a width, by exact distance."""
    out = np.empty(mask.shape, np.float32)
    inside = mask > 127
    image = Image.fromarray(mask)

    def by_opencv() -> Array:
        reach = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return cv2.min(cv2.max(reach, 0.5) - 0.5, float(width)) / np.float32(width)

    def by_scipy() -> Array:
        return np.clip((ndimage.distance_transform_edt(inside) - 0.5) / width, 0, 1)

    masks.feather(mask, width, out=out)
    same("feather", out, np.clip(by_scipy(), 0, 1), within=1e-3)
    return [
        Way("maskgrid", lambda: masks.feather(mask, width, out=out)),
        *opencv("OpenCV distance", by_opencv),
        Way("scipy distance", by_scipy),
        Way("Pillow GaussianBlur", lambda: image.filter(ImageFilter.GaussianBlur(width / 2)), "a blur"),
    ]


def same(name: str, ours: Array, theirs: Array, within: float = 0.0) -> None:
    """Refuses to compare the speed of things that differ.

    Raises:
        AssertionError: The results differ.
    """
    far = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
    if far > within:
        raise AssertionError(f"{name}: the results differ by up to {far}")


def others(mask: Array) -> dict[str, list[Way]]:
    """Operations without a radius."""
    out = np.empty_like(mask)
    inside, tensor, image = mask > 127, torch.from_numpy(mask), Image.fromarray(mask)

    def holes_by_opencv() -> Array:
        outside = np.pad(mask, 1)
        cv2.floodFill(outside, None, (0, 0), 128, flags=4)
        return np.where(outside[1:-1, 1:-1] == 128, np.uint8(0), np.uint8(255))

    def box_by_numpy() -> tuple[int, int, int, int]:
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    masks.fill_holes(mask, out=out)
    same("fill_holes", out, holes_by_opencv())
    box = masks.bounding_box(mask)
    same("bounding_box", np.array([box.top, box.left, box.bottom, box.right]), np.array(box_by_numpy()))
    return {
        "fill_holes": [
            Way("maskgrid", lambda: masks.fill_holes(mask, out=out)),
            *opencv("OpenCV floodFill", holes_by_opencv),
            Way("scipy binary_fill_holes", lambda: ndimage.binary_fill_holes(inside)),
        ],
        "bounding_box": [
            Way("maskgrid", lambda: masks.bounding_box(mask)),
            *opencv("OpenCV boundingRect", lambda: cv2.boundingRect(mask)),
            Way("numpy any", box_by_numpy, "of a bool mask"),
            Way("Pillow getbbox", image.getbbox),
        ],
        "threshold": [
            Way("maskgrid", lambda: masks.threshold(mask, out=out)),
            *opencv("OpenCV threshold", lambda: cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY, out)),
            Way("numpy", lambda: np.multiply(mask > 127, np.uint8(255), out=out)),
            Way("torch", lambda: (tensor > 127).to(torch.uint8) * 255),
            Way("Pillow point", lambda: image.point([0] * 128 + [255] * 128)),
        ],
        "invert": [
            Way("maskgrid", lambda: masks.invert(mask, out=out)),
            *opencv("OpenCV bitwise_not", lambda: cv2.bitwise_not(mask, out)),
            Way("numpy", lambda: np.subtract(255, mask, out=out)),
            Way("torch", lambda: 255 - tensor),
        ],
    }


def sweep(
    name: str, ways: Callable[[Array, int], list[Way]], pixels: int, radii: Sequence[int], budget: float
) -> Sweep:
    """Measures one operation over radii."""
    mask = blobs(pixels)
    return Sweep(name, pixels, radii, [compare(ways(mask, radius), budget=budget) for radius in radii])


def best(timings: Sequence[Timing], *, threads: str) -> Timing:
    """OpenCV's quickest way on `threads`."""
    return min((t for t in timings if t.name.endswith(threads)), key=lambda timing: timing.seconds)


def report_sweep(report: Report, found: Sweep) -> None:
    """A table of one operation: a row for each radius."""
    names = list(dict.fromkeys(timing.name for row in found.timings for timing in row))
    notes = {t.name: f" ({t.way.note})" for row in found.timings for t in row if t.way.note}
    rows = []
    for radius, timings in zip(found.radii, found.timings, strict=True):
        taken = {timing.name: duration(timing.seconds) for timing in timings}
        gain = best(timings, threads="1 thread").seconds / timings[0].seconds
        rows.append([str(radius), *(taken.get(name, "") for name in names), times(gain)])
    report.say()
    report.say(f"{found.name}, {found.pixels} x {found.pixels} uint8, by radius or width in pixels:")
    report.say()
    columns = [name + notes.get(name, "") for name in names]
    report.table(["", *columns, "times OpenCV's best on 1 thread"], rows)


def run(report: Report, *, quick: bool) -> list[Sweep]:
    """Measures and reports every operation."""
    sizes, radii, budget = ((512,), (2, 8), 0.2) if quick else ((512, 2048), RADII, 0.6)
    report.heading("Mask operations")
    report.say(
        "Results are compared before they are timed: equal bit for bit, feather within 1e-3 of scipy's. The "
        "mask is one as people draw them: some discs, one with a hole. In a random one OpenCV's "
        "boundingRect, which stops early, is faster."
    )
    sweeps = []
    for name, ways in (("grow", grow), ("shrink", shrink), ("feather, inside", feather)):
        for pixels in sizes if name != "shrink" else sizes[-1:]:
            sweeps.append(sweep(name, ways, pixels, radii, budget))
            report_sweep(report, sweeps[-1])
    for pixels in sizes[-1:]:
        for name, ways in others(blobs(pixels)).items():
            report.say()
            report.say(f"{name}, {pixels} x {pixels} uint8:")
            report.say()
            report.ways(compare(ways, budget=2 * budget))
    return sweeps
