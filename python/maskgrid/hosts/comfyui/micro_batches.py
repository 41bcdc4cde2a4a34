"""Forks in micro-batches: as many as fit the free memory, half as many when they don't after all."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import comfy.model_management as memory
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Generators", "fitting_forks", "keep_generators", "run_in_batches"]


def run_in_batches(count: int, size: int, run: Callable[[range], torch.Tensor]) -> list[torch.Tensor]:
    """Run all forks, at most `size` at a time; out of memory, go on with half as many from where it failed.

    Args:
        count: How many forks there are.
        size: The most forks in one micro-batch.
        run: Samples the forks of a range.

    Returns:
        What `run` returned, micro-batch by micro-batch.
    """
    results: list[torch.Tensor] = []
    done = 0
    while done < count:
        forks = range(done, min(done + size, count))
        result = _run_if_it_fits(run, forks)
        if result is None:
            size = max(1, len(forks) // 2)
            logging.warning("maskgrid: %d forks did not fit into memory, going on with %d", len(forks), size)
            memory.soft_empty_cache()
            continue
        results.append(result)
        done = forks.stop
    return results


def fitting_forks(patcher: Any, shape: Sequence[int], count: int) -> int:
    """How many forks of latents (B, C, ...) fit into the free memory, at least 1; all of them on a CPU.

    ComfyUI makes room for a batch by taking weights off the device; this keeps to what is free with all of
    them on it.
    """
    device = patcher.load_device
    # Its estimate is far too high there.
    if count <= 1 or memory.is_device_cpu(device):
        return max(1, count)
    free = memory.get_free_memory(device) - max(0, patcher.model_size() - patcher.loaded_size())
    sizes = range(count, 1, -1)
    needed = (patcher.model.memory_required([size * shape[0], *shape[1:]]) * 1.5 for size in sizes)
    return next((size for size, bytes_ in zip(sizes, needed, strict=True) if bytes_ <= free), 1)


class Generators:
    """The state of torch's global generators, of the CPU and of one device."""

    def __init__(self, device: Any) -> None:
        kind = torch.device(device).type
        module = getattr(torch, kind, None)
        self._module = module if kind != "cpu" and hasattr(module, "get_rng_state") else None
        # Only these two know of several devices.
        self._where = (device,) if kind in ("cuda", "xpu") else ()
        self._cpu = torch.random.get_rng_state()
        self._device = None if self._module is None else self._module.get_rng_state(*self._where)

    def restore(self) -> None:
        """Set them back to what they were when this was made."""
        torch.random.set_rng_state(self._cpu)
        if self._module is not None:
            self._module.set_rng_state(self._device, *self._where)


@contextmanager
def keep_generators(device: Any) -> Iterator[None]:
    """Leave torch's global generators as they were found; ComfyUI seeds them when it draws noise."""
    found = Generators(device)
    try:
        yield
    finally:
        found.restore()


def _run_if_it_fits(run: Callable[[range], torch.Tensor], forks: range) -> torch.Tensor | None:
    """None when memory ran out and there are fewer forks to try with."""
    try:
        return run(forks)
    except Exception as error:
        if len(forks) == 1 or not _out_of_memory(error):
            raise
    # Only outside of the handler is the memory that the traceback holds given back.
    return None


def _out_of_memory(error: Exception) -> bool:
    if hasattr(memory, "is_oom"):
        return bool(memory.is_oom(error))
    return isinstance(error, memory.OOM_EXCEPTION)
