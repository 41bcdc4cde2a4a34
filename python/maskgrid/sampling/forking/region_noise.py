"""The noise of a region's rows: drawn for whole sheets, by the seeds of the forks, and cut to patches."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.forking.region import Region
from maskgrid.sampling.samplers.noise import StepNoise, check_seed, initial_noise

__all__ = ["SEED_RULES", "RegionNoise", "choose_seeds", "choose_start_noise"]

SEED_RULES = ("same", "increment")
"""How forks get their seeds where they are not listed."""
_SEEDS = 2**64


class RegionNoise(StepNoise):
    """The step noise of a region's rows.

    Args:
        items: The step noise of one sheet for all forks, or one for each of the region's, at one position.
        region: Whose rows.
        device: Of the noise, as the next.
        dtype: What the solver computes in.
    """

    def __init__(
        self, items: Sequence[StepNoise], region: Region, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._items = tuple(items)
        self._region = region
        self._device = device
        self._dtype = dtype

    @property
    def position(self) -> int:
        """Draws of step noise done."""
        return self._items[0].position

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """(1 or n, B, C, ..., *patch) standard normal noise for a step."""
        drawn = self._region.gather(item(sigma, following) for item in self._items)
        return self._region.cut(drawn.to(self._device, self._dtype))


def choose_seeds(seed: int, rule: str | Sequence[int], count: int) -> tuple[int, ...]:
    """The seeds of the forks: one when all have the same, else one for each.

    Args:
        seed: The run's.
        rule: "same", "increment" (seed + n, round the corner at 64 bits), or a list of one seed for each
            fork.
        count: Number of forks.

    Raises:
        InvalidTypeError: A seed that is not an integer, or a rule that is neither a word nor a list.
        InvalidValueError: An unknown rule, a list of another length, a seed beyond 64 bits.
    """
    first = check_seed(seed)
    if isinstance(rule, str):
        if rule not in SEED_RULES:
            raise unknown_name("fork_seeds", rule, SEED_RULES)
        return (first,) if rule == "same" or not count else tuple((first + n) % _SEEDS for n in range(count))
    if not isinstance(rule, Sequence):
        raise InvalidTypeError(f"fork_seeds is {rule!r}; allowed: 'same', 'increment' or a list of seeds")
    seeds = tuple(check_seed(each) for each in rule)
    if len(seeds) != count:
        raise InvalidValueError(f"fork_seeds has {len(seeds)} seeds; allowed: {count}, one for each fork")
    return seeds or (first,)


def choose_start_noise(
    latents: Tensor, seeds: Sequence[int], *, add_noise: bool, noise: Tensor | None
) -> Tensor | None:
    """The noise that a run starts from, (1, B, C, ..., h, w) on the CPU; None when each fork draws its own.

    Args:
        latents: The clean sheet.
        seeds: One for all forks, or one for each.
        add_noise: False gives zeros.
        noise: Taken instead of a draw: of latents' shape, for all forks.

    Raises:
        InvalidTypeError: Noise that is no tensor.
        InvalidValueError: Noise of another shape.
    """
    if noise is not None:
        if not isinstance(noise, Tensor):
            raise InvalidTypeError(f"noise is {type(noise).__name__}; allowed: a tensor shaped like latents")
        if noise.shape != latents.shape:
            raise InvalidValueError(
                f"noise has shape {tuple(noise.shape)}; allowed: that of latents, {tuple(latents.shape)}"
            )
        return noise.detach()[None].cpu()
    if not add_noise:
        return torch.zeros((1, *latents.shape), dtype=latents.dtype)
    if len(seeds) > 1:
        return None
    return initial_noise(latents.shape, seeds[0], dtype=latents.dtype)[None]
