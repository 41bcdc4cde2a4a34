"""Sigmas are rounded right, whatever the CPU makes of torch's functions."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskgrid.sampling.noise_levels import rounding


@pytest.mark.parametrize(
    ("ours", "exact", "low", "high"),
    [
        (rounding.exp, math.exp, -4, 3),
        (rounding.log, math.log, 0.02, 15),
        (rounding.sqrt, math.sqrt, 0, 200),
        (lambda values: rounding.power(values, 7), lambda value: value**7, 0.5, 1.5),
    ],
    ids=["exp", "log", "sqrt", "power"],
)
def test_every_bit_is_that_of_the_exact_value(
    ours: Callable[[Tensor], Tensor], exact: Callable[[float], float], low: float, high: float
) -> None:
    values = torch.linspace(low, high, 5000)
    assert ours(values).tolist() == torch.tensor([exact(value) for value in values.tolist()]).tolist()
    assert ours(values[7]) == ours(values)[7]
    assert ours(values.double()).dtype == torch.float64


def test_halfway_is_the_geometric_mean() -> None:
    assert float(rounding.halfway(torch.tensor(9.0), torch.tensor(4.0))) == pytest.approx(6, rel=1e-6)
