"""Noise: seeds mean the same everywhere, draws go on where they stopped, Brownian paths are such paths."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.sampling.samplers.noise import (
    BrownianNoise,
    GaussianNoise,
    NoNoise,
    initial_noise,
    second_noise,
    step_noise,
)

SHAPE = (2, 4, 3, 5)
SIGMAS = torch.tensor([14.614643, 6.0, 2.5, 1.0, 0.3, 0.0291, 0.0])
A, B = torch.tensor(6.0), torch.tensor(2.5)


def path(seed: int = 5, **options: object) -> BrownianNoise:
    return BrownianNoise(SHAPE, seed, low=float(SIGMAS[-2]), high=float(SIGMAS[0]), **options)  # type: ignore[arg-type]


def test_initial_noise_is_a_cpu_draw() -> None:
    assert torch.equal(
        initial_noise(SHAPE, 9), torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))
    )
    half = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9), dtype=torch.float16)
    assert torch.equal(initial_noise(SHAPE, 9, dtype=torch.float16), half)


def test_second_noise_is_the_next_seeds() -> None:
    assert torch.equal(second_noise(SHAPE, 9), initial_noise(SHAPE, 10))
    assert torch.equal(second_noise(SHAPE, 9, dtype=torch.bfloat16), initial_noise(SHAPE, 10).bfloat16())


def test_step_noise_begins_at_the_next_seed() -> None:
    noise = GaussianNoise(SHAPE, 9)
    generator = torch.Generator().manual_seed(10)
    for _ in range(3):
        assert torch.equal(noise(A, B), torch.randn(SHAPE, generator=generator))
    assert noise.position == 3


def test_the_largest_seed_has_a_next_one() -> None:
    assert torch.equal(GaussianNoise(SHAPE, 2**64 - 1)(A, B), initial_noise(SHAPE, 0))


@given(
    position=st.integers(0, 6),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
)
@settings(deadline=None)
def test_gaussian_noise_goes_on_where_it_stood(position: int, dtype: torch.dtype) -> None:
    whole = GaussianNoise(SHAPE, 3, dtype=dtype)
    draws = [whole(A, B) for _ in range(8)]
    rest = GaussianNoise(SHAPE, 3, dtype=dtype, position=position)
    assert rest.position == position
    for expected in draws[position:]:
        assert torch.equal(rest(A, B), expected)


def test_brownian_noise_is_the_increment_of_one_path() -> None:
    noise = path()
    whole = noise(SIGMAS[0], SIGMAS[2]) * (SIGMAS[0] - SIGMAS[2]).sqrt()
    parts = [noise(a, b) * (a - b).sqrt() for a, b in pairwise(SIGMAS[:3])]
    torch.testing.assert_close(parts[0] + parts[1], whole, rtol=1e-4, atol=1e-5)


def test_brownian_noise_does_not_depend_on_what_was_asked_before() -> None:
    forwards = path()
    first = [forwards(a, b) for a, b in pairwise(SIGMAS[:-1])]
    backwards = path()
    pairs = list(pairwise(SIGMAS[:-1]))
    second = [backwards(a, b) for a, b in reversed(pairs)][::-1]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_brownian_noise_is_standard_normal_and_uncorrelated() -> None:
    noise = BrownianNoise((1, 4, 64, 64), 1, low=0.03, high=14.6)
    draws = torch.stack([noise(a, b).flatten() for a, b in pairwise(SIGMAS[:-2])])
    torch.testing.assert_close(draws.mean(1), torch.zeros(4), rtol=0, atol=0.03)
    torch.testing.assert_close(torch.corrcoef(draws) * draws.var(), torch.eye(4), rtol=0, atol=0.05)


def test_brownian_noise_turns_its_sign_with_the_direction() -> None:
    noise = path()
    assert torch.equal(noise(A, B), -noise(B, A))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_brownian_noise_keeps_the_dtype(dtype: torch.dtype) -> None:
    assert path(dtype=dtype)(A, B).dtype == dtype
    if dtype != torch.float64:
        assert torch.equal(path(dtype=dtype)(A, B), path()(A, B).to(dtype))


def test_brownian_noise_reaches_both_ends_without_a_warning() -> None:
    # Any warning of torchsde about its rounded range would be an error here.
    for high in (14.614643, 14.6146402, 0.99990001, 7.1234567):
        noise = BrownianNoise(SHAPE, 1, low=0.0291672, high=high)
        assert bool(noise(torch.tensor(high), torch.tensor(0.0291672)).isfinite().all())


def test_a_run_of_one_step_needs_no_path() -> None:
    noise = step_noise("brownian", SHAPE, 1, torch.tensor([3.0, 0.0]))
    with pytest.raises(InvalidValueError, match="range of one sigma"):
        noise(torch.tensor(3.0), torch.tensor(1.0))


def test_no_noise_refuses_to_be_drawn() -> None:
    noise = step_noise("none", SHAPE, 1, SIGMAS)
    assert isinstance(noise, NoNoise)
    with pytest.raises(MaskGridError, match="the run has none"):
        noise(A, B)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range(seed: int) -> None:
    for make in (initial_noise, second_noise, GaussianNoise):
        with pytest.raises(InvalidValueError, match=f"seed is {seed}; allowed: 0 to {2**64 - 1}"):
            make(SHAPE, seed)
    with pytest.raises(InvalidValueError, match="seed is"):
        path(seed)


@pytest.mark.parametrize("seed", [1.5, "7", True, None])
def test_seeds_of_another_kind(seed: object) -> None:
    with pytest.raises(InvalidTypeError, match="seed is"):
        initial_noise(SHAPE, seed)  # type: ignore[arg-type]


def test_bad_noise_is_named() -> None:
    with pytest.raises(InvalidValueError, match="position is -1"):
        GaussianNoise(SHAPE, 1, position=-1)
    with pytest.raises(InvalidValueError, match=r"range of sigmas is 2.0 to 1.0"):
        BrownianNoise(SHAPE, 1, low=2.0, high=1.0)


def test_brownian_noise_says_that_it_needs_torchsde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchsde", None)
    with pytest.raises(MaskGridError, match=r"pip install maskgrid\[torch\]"):
        path()


def test_sampling_loads_no_model_library_and_nothing_it_may_not_need() -> None:
    code = (
        "import sys, maskgrid.sampling.samplers, maskgrid.sampling.noise_levels.schedules;"
        "print([m for m in ('diffusers', 'transformers', 'torchsde', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
