"""A batch of forks draws what a run of one fork draws."""

import pytest
import torch
import torchsde
from hypothesis import given
from hypothesis import strategies as st

from maskgrid.hosts.comfyui.single_run_draws import SingleRunDraws, repeat_rows

ROWS = st.integers(1, 3)
FORKS = st.integers(2, 4)

DRAWS = {
    "randn": lambda like, generator: torch.randn(like.shape, generator=generator),
    "randn of ints": lambda like, generator: torch.randn(*like.shape, generator=generator),
    "randn of size": lambda like, generator: torch.randn(size=like.shape, generator=generator),
    "rand": lambda like, generator: torch.rand(like.shape, generator=generator),
    "randn_like": lambda like, generator: torch.randn_like(like),
    "rand_like": lambda like, generator: torch.rand_like(input=like),
    "normal_": lambda like, generator: torch.empty_like(like).normal_(generator=generator),
    "uniform_": lambda like, generator: like.clone().uniform_(0, 1, generator=generator),
}


def draw(name: str, rows: int) -> torch.Tensor:
    torch.manual_seed(3)
    return DRAWS[name](torch.zeros(rows, 2, 3, 4), torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", DRAWS)
@given(rows=ROWS, forks=FORKS)
def test_every_kind_of_draw(name, rows, forks):
    alone = draw(name, rows)
    with SingleRunDraws(rows, forks):
        together = draw(name, rows * forks)
    assert torch.equal(together, alone.repeat(forks, 1, 1, 1))


@given(rows=ROWS, forks=FORKS, calls=st.integers(1, 3))
def test_the_generator_moves_as_in_a_single_run(rows, forks, calls):
    torch.manual_seed(1)
    for _ in range(calls):
        torch.randn(rows, 5)
    expected = torch.random.get_rng_state()
    torch.manual_seed(1)
    with SingleRunDraws(rows, forks):
        for _ in range(calls):
            torch.randn(rows * forks, 5)
    assert torch.equal(torch.random.get_rng_state(), expected)


def test_brownian_noise_of_another_library():
    def increments(rows: int) -> torch.Tensor:
        tree = torchsde.BrownianTree(0.1, torch.zeros(rows, 4, 5), 10.0, entropy=7)
        return torch.stack([tree(a, b) for a, b in ((0.1, 4.0), (4.0, 9.0), (0.5, 1.5))])

    alone = increments(2)
    with SingleRunDraws(2, 3):
        together = increments(6)
    assert torch.equal(together, alone.repeat(1, 3, 1, 1))


@pytest.mark.parametrize("shape", [(6,), (1, 4), (5, 4), ()])
def test_other_shapes_are_left_alone(shape):
    torch.manual_seed(0)
    expected = torch.randn(shape)
    torch.manual_seed(0)
    with SingleRunDraws(2, 3) as draws:
        found = torch.randn(shape)
    assert (torch.equal(found, expected), draws.draws) == (True, 0)


def test_the_network_draws_its_own():
    torch.manual_seed(0)
    expected = torch.randn(6, 2)
    torch.manual_seed(0)
    with SingleRunDraws(2, 3) as draws, draws.suspended():
        found = torch.randn(6, 2)
    assert torch.equal(found, expected)


def test_draws_are_repeated_again_after_the_network():
    with SingleRunDraws(2, 3) as draws:
        with draws.suspended():
            torch.randn(6, 2)
        found = torch.randn(6, 2)
    assert torch.equal(found, repeat_rows(found[:2], 3))


def test_a_network_that_fails_leaves_the_mode_in_order():
    def fail():
        with draws.suspended():
            raise RuntimeError("the network failed")

    with SingleRunDraws(2, 3) as draws:
        with pytest.raises(RuntimeError, match="the network failed"):
            fail()
        found = torch.randn(6, 2)
    assert (draws.draws, torch.equal(found[:2], found[2:4])) == (1, True)
