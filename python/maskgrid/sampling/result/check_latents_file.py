"""Checks of a latents file that may come from anybody: every fact and tensor, before any of it is used."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from maskgrid.errors import InvalidValueError, in_one_line
from maskgrid.sampling.forking.fork_masks import BLENDS
from maskgrid.sampling.samplers.registry import SAMPLERS

__all__ = ["check_latents_file", "read_facts"]

_MOST_STEPS = 10**6
"""Of a schedule or a noise table; what is beyond would be made in memory."""
_MOST_CELLS = 4096
_SEEDS = 2**64
_DRAWS_A_STEP = 4
"""More than any solver draws; each is drawn again when a run is carried on."""

Tensors = Mapping[str, Tensor]
Facts = Mapping[str, Any]


def read_facts(header: str, version: int) -> dict[str, Any]:
    """The facts in the header of a latents file.

    Args:
        header: JSON.
        version: The latest that is known.

    Raises:
        InvalidValueError: No JSON object with a version, or a later one.
    """
    try:
        facts = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"the header is no JSON ({in_one_line(error)}); allowed: a file of ForkLatents.save"
        ) from error
    if not isinstance(facts, dict) or not _is_int(facts.get("version"), 1, _SEEDS):
        raise InvalidValueError("the header names no version; allowed: a file of ForkLatents.save")
    if facts["version"] > version:
        raise InvalidValueError(f"it is of version {facts['version']}; allowed: up to {version}")
    return facts


def check_latents_file(facts: Facts, tensors: Tensors) -> None:
    """Whether facts and tensors are those of a `ForkLatents`, and go together.

    Raises:
        InvalidValueError: They are not; the message names the first that is wrong.
    """
    check = _Check(facts, tensors, "")
    masks = check.inner("masks")
    sheet = _check_masks(masks)
    image = check.tensor("image_latents", _is_batch, "floats of shape (B, C, h, w) or (N, B, C, h, w)")
    if tuple(image.shape[-2:]) != sheet or not image.numel() or not bool(image.isfinite().all()):
        check.fail("image_latents", f"finite numbers, {sheet[0]} x {sheet[1]}")
    count, patches = len(masks.facts["cells"]), tensors.get("patches")
    if patches is not None and image.ndim == patches.ndim:
        check.shaped("image_latents", [(count, *image.shape[1:])], image.dtype)
        image = image[0]
    numbers = check.integers("numbers", 0, count - 1)
    if len(set(numbers)) != len(numbers):
        check.fail("numbers", "each once")
    size = _check_places(check, sheet, len(numbers))
    item, dtype = tuple(image.shape), image.dtype
    check.shaped("patches", [(len(numbers), *item[:-2], *size)], dtype)
    check.shaped("background", [(1, *item), (len(numbers), *item)], dtype)
    check.number("sigma", 0)
    if ("setup" in facts) != ("checkpoint" in facts):
        check.fail("setup and checkpoint", "both or none")
    if "setup" in facts:
        steps = _check_run(check.inner("setup"), image, count)
        _check_state(check.inner("checkpoint"), masks, image, steps, numbers)


def _check_masks(check: "_Check") -> tuple[int, int]:
    """Check the masks of a latents file; returns the size of its sheet in latents."""
    rows, columns = (check.integer(name, 1, _MOST_CELLS) for name in ("rows", "columns"))
    cells = check.integers("cells", 0, rows * columns - 1)
    sheet = check.pair("sheet", 1)
    size = _check_places(check, sheet, len(cells))
    share: Callable[[Tensor], bool] = lambda t: bool(((t >= 0) & (t <= 1)).all())  # noqa: E731
    for name, shape in (("values", (len(cells), *size)), ("together", sheet)):
        values = check.shaped(f"masks.{name}", [shape], torch.float32)
        if not share(values):
            check.fail(f"masks.{name}", "0 to 1")
    writes = check.shaped("masks.writes", [(len(cells), 4)], torch.int64)
    top, left, bottom, right = writes.unbind(1)
    inside = (top >= 0) & (left >= 0) & (top <= bottom) & (left <= right)
    if not bool((inside & (bottom <= sheet[0]) & (right <= sheet[1])).all()):
        check.fail("masks.writes", f"rectangles inside {sheet[0]} x {sheet[1]}")
    return sheet


def _check_places(check: "_Check", sheet: tuple[int, int], count: int) -> tuple[int, int]:
    """The size of the patches, which lie inside the sheet."""
    size = check.pair("size", 0)
    places = check.facts.get("places")
    if size[0] > sheet[0] or size[1] > sheet[1]:
        check.fail("size", f"at most {sheet[0]} x {sheet[1]}")
    limits = sheet[0] - size[0], sheet[1] - size[1]
    is_fit = isinstance(places, list) and len(places) == count and all(_is_place(p, limits) for p in places)
    if not is_fit:
        check.fail("places", f"{count} corners (top, left) inside the sheet")
    return size


def _check_run(check: "_Check", image: Tensor, count: int) -> int:
    """The number of steps of a run's sigmas."""
    for name, allowed in (
        ("sampler", SAMPLERS),
        ("blend", BLENDS),
        ("sheet_conditioning", ("own", "cells")),
    ):
        value = check.facts.get(name)
        if not isinstance(value, str) or value not in allowed:
            check.fail(name, ", ".join(allowed))
    sigmas = check.tensor("setup.sigmas", _is_list_of_floats, f"2 to {_MOST_STEPS} floats")
    if sigmas.dtype != torch.float32 or not bool(sigmas.isfinite().all()):
        check.fail("setup.sigmas", "finite numbers in float32")
    if bool((sigmas < 0).any()) or bool((sigmas.diff() > 0).any()) or not float(sigmas[0]):
        check.fail("setup.sigmas", "falling numbers, the first above 0")
    steps = len(sigmas) - 1
    check.integer("first", 0, _MOST_STEPS)
    check.integer("fork_at", 0, steps)
    if "steps" in check.facts:
        check.integer("steps", 1, _MOST_STEPS)
    if len(check.integers("seeds", 0, _SEEDS - 1)) not in {1, count}:
        check.fail("seeds", f"1 or {count}")
    if "setup.noise" in check.tensors:
        check.shaped("setup.noise", [(1, *image.shape)], None)
    for name in ("scaling_factor", "shift_factor"):
        if name in check.facts:
            check.number(name)
        else:
            check.tensor(f"setup.{name}", lambda t: _spreads_over(t, image), "a number a channel")
    _check_table(check.inner("table"), sigmas)
    return steps


def _check_table(check: "_Check", sigmas: Tensor) -> None:
    prediction = check.facts.get("prediction")
    if prediction == "flow":
        check.number("shift")
        check.number("scale")
        check.integer("steps", 2, _MOST_STEPS)
        if float(sigmas[0]) > 1:
            check.fail("sigmas", "0 to 1 of a flow model")
    elif prediction in ("epsilon", "v_prediction"):
        check.tensor("table.alphas_cumprod", _is_list_of_floats, f"2 to {_MOST_STEPS} floats")
    else:
        check.fail("prediction", "epsilon, v_prediction, flow")


def _check_state(check: "_Check", masks: "_Check", image: Tensor, steps: int, numbers: list[int]) -> None:
    step = check.integer("step", 0, steps - 1)
    check.integer("draws", 0, _DRAWS_A_STEP * (step + 1))
    together = check.facts.get("together")
    if not isinstance(together, bool):
        check.fail("together", "true or false")
    if together and len(set(masks.facts["cells"])) != len(masks.facts["cells"]):
        check.fail("together", "false where cells have several forks")
    item, size = tuple(image.shape), masks.pair("size", 0)
    shape = (1, *item) if together else (len(numbers), *item[:-2], *size)
    dtype = torch.promote_types(image.dtype, torch.float32)
    check.shaped("x", [shape], dtype)
    memory = check.facts.get("memory")
    if not isinstance(memory, dict):
        check.fail("memory", "an object")
    if "corrected" in memory and "denoised" not in memory:
        check.fail("memory.denoised", "what x was corrected by")
    for key, length in memory.items():
        # A solver remembers at most one tensor a step by each name.
        if length is not None and not _is_int(length, 1, step):
            check.fail(f"memory.{key}", f"1 to {step} tensors after {step} steps")
        # Noise that forks have in common is remembered once.
        shapes = [shape, (1, *shape[1:])] if key == "noise" else [shape]
        for number in range(1 if length is None else length):
            check.shaped(f"memory.{key}.{number}", shapes, dtype)


class _Check:
    """Looks at facts and tensors of one part of a file and says which one is wrong.

    Args:
        facts: Of the part.
        tensors: Of the file.
        part: The part's name.
    """

    def __init__(self, facts: Facts, tensors: Tensors, part: str) -> None:
        self.facts = facts
        self.tensors = tensors
        self.part = part

    def inner(self, name: str) -> "_Check":
        facts = self.facts.get(name)
        if not isinstance(facts, dict):
            self.fail(name, "an object")
        return _Check(facts, self.tensors, f"{self.part}{name}.")

    def integer(self, name: str, low: int, high: int) -> int:
        value = self.facts.get(name)
        if not _is_int(value, low, high):
            self.fail(name, f"a whole number from {low} to {high}")
        number: int = value  # type: ignore[assignment]
        return number

    def integers(self, name: str, low: int, high: int) -> list[int]:
        values = self.facts.get(name)
        if not isinstance(values, list) or not all(_is_int(value, low, high) for value in values):
            self.fail(name, f"whole numbers from {low} to {high}")
        numbers: list[int] = values
        return numbers

    def pair(self, name: str, low: int) -> tuple[int, int]:
        values = self.integers(name, low, 2**31)
        if len(values) != 2:
            self.fail(name, "height and width")
        return values[0], values[1]

    def number(self, name: str, low: float = -math.inf) -> None:
        value = self.facts.get(name)
        # Integers that torch can hold, floats that float32 can.
        is_number = _is_int(value, -(2**53), 2**53) or (isinstance(value, float) and abs(value) < 3e38)
        if not is_number or not value >= low:  # type: ignore[operator]
            self.fail(name, "a finite number" if low < 0 else f"a finite number, {low} or more")

    def tensor(self, name: str, is_fit: Callable[[Tensor], bool], allowed: str) -> Tensor:
        tensor = self.tensors.get(name)
        if tensor is None or not is_fit(tensor):
            self.fail(name, allowed)
        return tensor

    def shaped(self, name: str, shapes: list[tuple[int, ...]], dtype: torch.dtype | None) -> Tensor:
        is_fit: Callable[[Tensor], bool] = lambda t: (  # noqa: E731
            tuple(t.shape) in shapes and (t.is_floating_point() if dtype is None else t.dtype == dtype)
        )
        kind = "floats" if dtype is None else str(dtype).removeprefix("torch.")
        return self.tensor(name, is_fit, f"{kind} of shape {' or '.join(map(str, dict.fromkeys(shapes)))}")

    def fail(self, name: str, allowed: str) -> NoReturn:
        name = name if name in self.tensors else f"{self.part}{name}"
        raise InvalidValueError(f"the file is damaged: {name}; allowed: {allowed}")


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_batch(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.ndim in (4, 5, 6)


def _is_list_of_floats(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.ndim == 1 and 2 <= len(tensor) <= _MOST_STEPS


def _is_place(place: object, limits: tuple[int, int]) -> bool:
    if not isinstance(place, list) or len(place) != 2:
        return False
    return _is_int(place[0], 0, limits[0]) and _is_int(place[1], 0, limits[1])


def _spreads_over(factor: Tensor, image: Tensor) -> bool:
    """Whether a factor goes with latents and leaves their shape alone."""
    if not factor.is_floating_point() or factor.ndim > image.ndim:
        return False
    sides = zip(reversed(factor.shape), reversed(image.shape), strict=False)
    return all(side in (1, other) for side, other in sides)
