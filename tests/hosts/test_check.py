"""The self-test of pipelines: it trusts good ones and finds what is wrong with others."""

from __future__ import annotations

from typing import Any

import diffusers as d
import pytest
import torch
from families import FAMILIES, QUIET, build, cached

from maskgrid.hosts.diffusers import check

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_trusted(family: str) -> None:
    pipe, told = cached(family)
    report = check(pipe, **told)
    assert report.trusted, str(report)
    assert all(finding.passed for finding in report.findings), str(report)
    assert str(report).startswith(f"{type(pipe).__name__} can be trusted as a host.\n[yes] ")


def test_a_pipeline_in_half_precision_is_trusted() -> None:
    pipe, told = build("sd")
    pipe.to(torch.bfloat16)
    halved = {n: v.bfloat16() if isinstance(v, torch.Tensor) else v for n, v in told.items()}
    report = check(pipe, **halved)
    assert report.trusted, str(report)


def test_the_random_state_is_left_alone() -> None:
    pipe, told = cached("sd")
    state = torch.get_rng_state()
    check(pipe, **told)
    assert torch.equal(torch.get_rng_state(), state)


def test_forks_that_influence_each_other_are_found() -> None:
    pipe, told = build("sd")
    pipe.unet.register_forward_hook(lambda module, args, output: (output[0] + output[0].flip(0),))
    report = check(pipe, **told)
    assert not report.trusted
    assert "can't be trusted" in str(report)
    assert "they influence each other in a batch" in str(report)


def test_latents_that_are_not_used_are_found() -> None:
    class Headstrong(d.StableDiffusionPipeline):
        """Draws latents of its own."""

        def prepare_latents(self, *args: Any, **kwargs: Any) -> Any:
            return torch.randn_like(super().prepare_latents(*args, **kwargs))

    pipe, told = build("sd")
    report = check(Headstrong(**pipe.components, requires_safety_checker=False), **told)
    assert not report.trusted
    assert "[NO] With a white stencil the latents differ" in str(report)


def test_a_wrong_latent_format_is_found() -> None:
    pipe, told = build("sd")
    pipe.vae.register_to_config(block_out_channels=[4])
    report = check(pipe, **told)
    assert not report.trusted
    assert "its family says (1, 4, 16, 16)" in str(report)


def test_what_can_not_be_run_is_said() -> None:
    pipe, told = build("sd")

    def fail(*args: Any) -> None:
        raise RuntimeError(f"out of luck\n{torch.zeros(99)}")

    pipe.unet.register_forward_pre_hook(fail)
    scheduler = pipe.scheduler
    report = check(pipe, **told)
    assert not report.trusted
    assert "could not be tried, RuntimeError: out of luck tensor" in str(report)
    assert all(len(line) < 500 for line in str(report).splitlines())
    assert len(str(report).splitlines()) == 1 + len(report.findings)
    assert pipe.scheduler is scheduler
    assert report.findings[-1].passed


def test_an_unsupported_pipeline_is_said_to_be_one() -> None:
    pipe, _ = build("sd")
    pipe.vae = None
    report = check(pipe)
    assert not report.trusted
    assert "StableDiffusionPipeline has no vae" in str(report)
