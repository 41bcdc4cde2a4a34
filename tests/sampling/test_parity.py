"""Every run of the original node: the same latents, to the sixth digit.

`python tools/parity_table.py` prints the errors as a table.
"""

import pytest
import torch
from parity_cases import Case, cases, expected, network_of, relative_error, rerun
from torch import Tensor

from maskgrid.sampling.samplers import SAMPLERS

pytest.importorskip("diffusers")

# Sigmas midway between two timesteps, in the runs that are tied.
TIE = (0.49355167, 0.49355170)

EACH_NEW_SAMPLER = {f"new.fs.{name}.flow" for name in SAMPLERS}

each_case = pytest.mark.parametrize(
    "case", [case for case in cases() if not case.is_tied], ids=lambda case: case.name
)


@each_case
def test_the_original_node_is_reproduced(case: Case) -> None:
    result = rerun(case)
    assert result.shape == expected(case).shape
    assert relative_error(case, result) < 1e-5


@pytest.mark.parametrize("case", [case for case in cases() if case.is_tied], ids=lambda case: case.name)
def test_the_original_node_is_reproduced_where_its_cpu_decided(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert relative_error(case, rerun(case)) < 2e-4
    table = network_of(case).table
    nearest, tied = table.timestep, []

    def timestep(sigma: Tensor | float) -> Tensor:
        """The larger of the two timesteps, for the first evaluation of each sampling that is midway."""
        if not (TIE[0] - 1e-8 < float(sigma) < TIE[1] + 1e-8):
            return nearest(sigma)
        tied.append(float(sigma))
        return nearest(sigma) + len(tied) % 2

    monkeypatch.setattr(table, "timestep", timestep)
    assert relative_error(case, rerun(case)) < 1e-5
    assert len(tied) == 2


@pytest.mark.parametrize(
    "case",
    [case for case in cases() if case.name.startswith("fork_first") or case.name in EACH_NEW_SAMPLER],
    ids=lambda case: case.name,
)
def test_one_at_a_time_is_reproduced_too(case: Case) -> None:
    assert relative_error(case, rerun(case, micro_batch=1)) < 1e-5


def test_every_sampler_is_compared_on_both_kinds_of_models() -> None:
    for flow in (False, True):
        assert {case.sampler for case in cases() if case.is_flow == flow} == set(SAMPLERS)
    assert len(cases()) == 305


def test_the_comparison_can_fail() -> None:
    case = cases()[0]
    assert relative_error(case, expected(case) * (1 + 2e-5)) > 1e-5
    assert relative_error(case, torch.zeros_like(expected(case))) == 1
