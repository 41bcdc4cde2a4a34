"""Every run of the original node: the same latents, to the sixth digit.

`python tools/parity_table.py` prints the errors as a table.
"""

import pytest
import torch
from parity_cases import Case, cases, expected, relative_error, rerun

from maskgrid.sampling.samplers import SAMPLERS

pytest.importorskip("diffusers")

EACH_NEW_SAMPLER = {f"new.fs.{name}.flow" for name in SAMPLERS}

each_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


@each_case
def test_the_original_node_is_reproduced(case: Case) -> None:
    result = rerun(case)
    assert result.shape == expected(case).shape
    assert relative_error(case, result) < 1e-5


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
