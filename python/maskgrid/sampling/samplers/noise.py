"""Noise: drawn on the CPU, so that a seed means the same on every device.

    initial noise   randn from a generator seeded with seed
    step noise      gaussian: randn from a generator seeded with seed + 1, one draw a call
                    Brownian: increments of one Brownian path with the seed as its entropy, for the SDE
                        solvers

Step noise is drawn for one item of the batch of forks, in the shape of the sheet's latents, and broadcasts
over the forks; so every fork sees the noise of a single walk.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError

__all__ = [
    "BrownianNoise",
    "GaussianNoise",
    "NoNoise",
    "NoiseKind",
    "StepNoise",
    "check_seed",
    "initial_noise",
    "second_noise",
    "step_noise",
]

NoiseKind = Literal["none", "gaussian", "brownian"]

_SEEDS = 2**64
_BROWNIAN_DIGITS = 6


def check_seed(seed: object) -> int:
    """A seed as an integer, if it is one: 0 to 2^64 - 1.

    Raises:
        InvalidTypeError: Not an integer.
        InvalidValueError: Negative, or beyond 64 bits.
    """
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise InvalidTypeError(f"seed is {seed!r}; allowed: an integer")
    number = int(seed)
    if not 0 <= number < _SEEDS:
        raise InvalidValueError(f"seed is {number}; allowed: 0 to {_SEEDS - 1}")
    return number


def initial_noise(shape: Sequence[int], seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The noise a run starts from: one standard normal draw of this shape, on the CPU.

    Raises:
        InvalidTypeError: A seed that is not an integer.
        InvalidValueError: A seed outside [0, 2^64).
    """
    return torch.randn(tuple(shape), generator=_generator(check_seed(seed)), dtype=dtype)


def second_noise(shape: Sequence[int], seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """A draw independent of the initial noise, seeded with seed + 1.

    ComfyUI's ddim blends the surroundings of the mask with it; drawn in float32 and then cast, as there.
    """
    return torch.randn(tuple(shape), generator=_generator(_next(check_seed(seed)))).to(dtype)


class StepNoise(ABC):
    """Noise that a solver adds on its way from one sigma to the next."""

    @abstractmethod
    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """Standard normal noise for a step, (B, C, ...) of one item."""

    @property
    def position(self) -> int:
        """Draws of step noise done."""
        return 0


class NoNoise(StepNoise):
    """The step noise of runs whose sampler adds none."""

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """Refuses.

        Raises:
            MaskGridError: Always; a sampler that draws was given no noise to draw from.
        """
        raise MaskGridError(
            "the sampler draws step noise and the run has none; allowed: a Walk with noise=step_noise(...)"
        )


class GaussianNoise(StepNoise):
    """Independent standard normal draws, whatever the sigmas are.

    Args:
        shape: Of one item, (B, C, ...).
        seed: In [0, 2^64); the generator takes seed + 1.
        dtype: Of the draws.
        position: Draws to skip.

    Raises:
        InvalidTypeError: A seed that is not an integer.
        InvalidValueError: A seed outside [0, 2^64), or a position below 0.
    """

    def __init__(
        self,
        shape: Sequence[int],
        seed: int,
        *,
        dtype: torch.dtype = torch.float32,
        position: int = 0,
    ) -> None:
        if position < 0:
            raise InvalidValueError(f"position is {position}; allowed: 0 or more")
        self._shape = tuple(shape)
        self._dtype = dtype
        self._generator = _generator(_next(check_seed(seed)))
        self._position = 0
        # Skipping means drawing: the generator's state after k draws depends on the draws' sizes.
        for _ in range(position):
            self._draw()

    @property
    def position(self) -> int:
        """Draws of step noise done."""
        return self._position

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """The next draw; the sigmas do not matter."""
        return self._draw()

    def _draw(self) -> Tensor:
        self._position += 1
        return torch.randn(self._shape, generator=self._generator, dtype=self._dtype)


class BrownianNoise(StepNoise):
    """Increments of one Brownian path W over sigma, scaled to unit variance: (W(b) - W(a)) / sqrt(|b - a|).

    Steps that share a stretch of sigma share its noise, so a run with more steps refines the same path. It
    keeps no position: the seed, the range and the shape say everything.

    Args:
        shape: Of one item, (B, C, ...).
        seed: In [0, 2^64), the path's entropy.
        low: The smallest sigma above 0 of the whole list.
        high: The largest sigma of the whole list, above low.
        dtype: Of the increments; float16 and bfloat16 are computed in float32.

    Raises:
        InvalidTypeError: A seed that is not an integer.
        InvalidValueError: A seed outside [0, 2^64), or a range that is empty.
        MaskGridError: torchsde is not installed.
    """

    def __init__(
        self,
        shape: Sequence[int],
        seed: int,
        *,
        low: float,
        high: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not 0 < low <= high:
            raise InvalidValueError(f"the range of sigmas is {low} to {high}; allowed: 0 < low <= high")
        self._dtype = dtype
        self._seed = check_seed(seed)
        self._range = (torch.tensor(low), torch.tensor(high))
        # torchsde rounds the ends of its range, and warns of queries that are outside by less than that.
        self._ends = tuple(round(float(end), _BROWNIAN_DIGITS) for end in self._range)
        self._origin = torch.zeros(
            tuple(shape), dtype=torch.float64 if dtype == torch.float64 else torch.float32
        )
        self._tree = self._grow() if self._ends[0] < self._ends[1] else None

    def __call__(self, sigma: Tensor, following: Tensor) -> Tensor:
        """The increment from sigma to following; a step downwards has the opposite sign of one upwards."""
        low, high = sorted((sigma.cpu().float(), following.cpu().float()))
        if self._tree is None:
            raise InvalidValueError(f"a step from {high} to {low} is outside a range of one sigma, {high}")
        first, last = (min(max(float(end), self._ends[0]), self._ends[1]) for end in (low, high))
        increment: Tensor = self._tree(first, last) / (high - low).sqrt()
        return (increment if sigma < following else -increment).to(self._dtype)

    def _grow(self) -> Any:
        try:
            import torchsde
        except ImportError as error:
            raise MaskGridError(
                "Brownian noise needs torchsde, which is not installed; "
                "allowed: pip install maskgrid[torch], or a sampler without 'sde' in its name"
            ) from error
        low, high = self._range
        return torchsde.BrownianTree(low, self._origin, high, entropy=self._seed)


def step_noise(
    kind: NoiseKind,
    shape: Sequence[int],
    seed: int,
    sigmas: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    position: int = 0,
) -> StepNoise:
    """Make the step noise of the kind that a sampler wants.

    Args:
        kind: `get_sampler(name).noise`.
        shape: Of one item, (B, C, ...).
        seed: In [0, 2^64).
        sigmas: The whole list of the run, which gives the Brownian path its range.
        dtype: Of the draws.
        position: Draws already done by an earlier part of the walk.

    Returns:
        Noise to put into a Walk.

    Raises:
        InvalidTypeError: A seed that is not an integer.
        InvalidValueError: A seed outside [0, 2^64), or a position below 0.
        MaskGridError: Brownian noise without torchsde.
    """
    if kind == "gaussian":
        return GaussianNoise(shape, seed, dtype=dtype, position=position)
    positive = sigmas[sigmas > 0]
    if kind == "none" or not len(positive):
        return NoNoise()
    low, high = float(positive.min()), float(positive.max())
    return BrownianNoise(shape, seed, low=low, high=high, dtype=dtype)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def _next(seed: int) -> int:
    """The seed after this one, round the corner at 64 bits."""
    return (seed + 1) % _SEEDS
