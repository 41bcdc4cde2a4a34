"""The diffusers host on tiny pipelines of every family."""

from __future__ import annotations

import dataclasses
from typing import Any

import diffusers as d
import pytest
import torch
from families import DYNAMIC, FAMILIES, QUIET, SIZE, build, cached
from forking_hosts import conditioning_of, fork_latents, relative, sheet, stencils
from own_runs import distance_from_own_run, own_run
from torch import Tensor

from maskgrid.errors import InvalidValueError, MaskGridError
from maskgrid.hosts.diffusers import DiffusersHost

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]
every_family = pytest.mark.parametrize("family", FAMILIES)
WAYS = [{"mode": "sample"}, {"mode": "fork"}, {"fork_at": 1, "sampler": "dpmpp_2m"}]
# The same arithmetic in another order or batch, in float32.
ROUNDING = 1e-5


def hosted(family: str) -> tuple[DiffusersHost, dict[str, Any]]:
    pipe, told = cached(family)
    return DiffusersHost(pipe), told


@every_family
@pytest.mark.parametrize("way", WAYS, ids=["sample", "fork", "fork_at"])
def test_inside_is_new_and_outside_exact(family: str, way: dict[str, Any]) -> None:
    host, told = hosted(family)
    forks = fork_latents(host, told, **way).latents
    changed = forks != sheet(host)
    inside = (stencils() > 0).expand_as(changed)
    assert not changed[~inside].any()
    assert changed[inside].float().mean() > 0.99
    assert forks.isfinite().all()


@every_family
@pytest.mark.parametrize(("way", "micro_batch"), [(WAYS[1], 1), (WAYS[2], 3)], ids=["fork", "fork_at"])
def test_batched_equals_serial(family: str, way: dict[str, Any], micro_batch: int) -> None:
    host, told = hosted(family)
    batched = fork_latents(host, told, **way).latents
    serial = fork_latents(host, told, micro_batch=micro_batch, **way).latents
    assert relative(serial, batched) < ROUNDING


@every_family
def test_a_white_stencil_gives_the_pipelines_own_latents(family: str) -> None:
    host, told = hosted(family)
    assert distance_from_own_run(host, told) < ROUNDING


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux", "flux2", "qwen"])
def test_its_side_is_that_of_the_pictures_which_the_pipeline_makes_unasked(family: str) -> None:
    host, told = hosted(family)
    own = host.pipe(**told, num_inference_steps=2, output_type="latent", return_dict=False)[0]
    cells = host.side // host.stride
    assert host.family.unpack(own, (cells, cells)).shape[-2:] == (cells, cells)


@every_family
def test_forks_have_their_own_embeddings(family: str) -> None:
    host, told = hosted(family)
    each = conditioning_of(told, 4)
    own = {
        name: value
        if each[0][name] is value
        else [one for c in each for one in c[name]]
        if isinstance(value, list)
        else torch.cat([c[name] for c in each])
        for name, value in told.items()
    }
    run = {"mode": "fork", "steps": 2}
    forks = fork_latents(host, own, micro_batch=3, **run).latents
    for fork in (1, 3):
        assert relative(forks[fork], fork_latents(host, each[fork], **run).latents[fork]) < ROUNDING
    assert relative(forks[1], fork_latents(host, each[0], **run).latents[1]) > 1e-4


@every_family
def test_decoding_is_the_pipelines(family: str) -> None:
    host, told = hosted(family)
    noise = sheet(host, seed=5)
    latents = host.family.latents_argument(noise)
    pixels = (SIZE[0] * host.stride, SIZE[1] * host.stride)
    packed, picture = (
        own_run(host.pipe, told, latents, pixels, num_inference_steps=2, output_type=kind)[0]
        for kind in ("latent", "pt")
    )
    ours = host.decode(host.family.unpack(packed, SIZE))
    assert ours.shape == (1, 3, *pixels)
    torch.testing.assert_close(ours / 2 + 0.5, picture.float(), atol=1e-5, rtol=0)


@every_family
def test_encoding_is_what_decoding_undoes(family: str) -> None:
    host, _ = hosted(family)
    pixels = torch.rand(1, 3, SIZE[0] * host.stride, SIZE[1] * host.stride) * 2 - 1
    latents = host.encode(pixels)
    assert latents.shape == sheet(host).shape
    assert latents.dtype == torch.float32
    is_video = isinstance(host.pipe.vae, d.AutoencoderKLQwenImage)
    shown = pixels[:, :, None] if is_video else pixels
    with torch.no_grad():
        encoded = host.pipe.vae.encode(shown)
        latent = encoded.latent if family == "sana" else encoded.latent_dist.mode()
        expected = host.pipe.vae.decode(latent).sample.reshape(pixels.shape)
    torch.testing.assert_close(host.decode(latents), expected.clamp(-1, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", [*DYNAMIC, "sd3"])
def test_the_shift_is_the_one_that_the_pipeline_passes(family: str) -> None:
    pipe, told = build(family)
    if family == "sd3":
        pipe.scheduler = d.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_image_seq_len=16, max_image_seq_len=256
        )
    host = DiffusersHost(pipe)
    passed = []

    class Recorder(d.FlowMatchEulerDiscreteScheduler):
        def set_timesteps(
            self, num_inference_steps: Any = None, device: Any = None, sigmas: Any = None, mu: Any = None
        ) -> None:
            passed.append(mu)
            super().set_timesteps(num_inference_steps, device, sigmas, mu)

    pipe.scheduler = Recorder.from_config(pipe.scheduler.config)
    given = host.family.latents_argument(sheet(host))
    size = {"height": SIZE[0] * host.stride, "width": SIZE[1] * host.stride}
    pipe(**told, **size, latents=given, num_inference_steps=2, output_type="latent")
    assert host.family.mu(pipe, SIZE, 2) == pytest.approx(passed[0], abs=1e-9)
    fork_latents(host, told, steps=2)


def test_another_shift_than_the_pipelines_is_an_error() -> None:
    pipe, told = build("flux")
    host = DiffusersHost(pipe)
    host.family = dataclasses.replace(host.family, count_tokens=lambda h, w: h * w)
    with pytest.raises(MaskGridError, match="the pipeline shifts its noise by mu"):
        fork_latents(host, told)


@pytest.mark.parametrize(
    "name",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "DEISMultistepScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_which_scheduler_the_pipeline_has_does_not_matter(name: str) -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told).latents
    pipe.scheduler = getattr(d, name).from_config(pipe.scheduler.config)
    assert torch.equal(fork_latents(host, told).latents, expected)


@pytest.mark.parametrize("sampler", ["heun", "euler_ancestral", "dpmpp_sde", "uni_pc"])
@pytest.mark.parametrize("family", ["sd", "flux"])
def test_samplers_with_more_calls_or_noise(family: str, sampler: str) -> None:
    host, told = hosted(family)
    batched = fork_latents(host, told, sampler=sampler, fork_at=1).latents
    assert not (batched != sheet(host))[(stencils() == 0).expand_as(batched)].any()
    serial = fork_latents(host, told, sampler=sampler, fork_at=1, micro_batch=1).latents
    assert relative(serial, batched) < ROUNDING


def test_a_run_may_begin_late_and_stop_early() -> None:
    host, told = hosted("sd")
    late = fork_latents(host, told, steps=4, denoise=0.5, start_at_step=1).latents
    assert not (late != sheet(host))[(stencils() == 0).expand_as(late)].any()
    first = fork_latents(host, told, steps=4, end_at_step=2, return_with_leftover_noise=True)
    assert first.sigma > 0


def test_a_batch_of_sheets() -> None:
    host, told = hosted("sd")
    both = torch.cat([sheet(host), sheet(host, seed=7)])
    forks = fork_latents(
        host, told, latents=both, mode="fork", noise=sheet(host).expand(2, -1, -1, -1)
    ).latents
    for item in range(2):
        alone = fork_latents(
            host, told, latents=both[item : item + 1], mode="fork", noise=sheet(host)
        ).latents
        assert relative(forks[item::2], alone) < ROUNDING


def test_cells_with_a_conditioning_each_are_one_batch() -> None:
    host, told = hosted("sd")
    alike = {**told, "prompt_embeds": told["prompt_embeds"].repeat(4, 1, 1)}
    together = fork_latents(host, told, mode="sample").latents
    cells = fork_latents(host, alike, mode="sample", sheet_conditioning="cells").latents
    assert relative(cells, together) < ROUNDING

    own = {**told, "prompt_embeds": torch.cat([c["prompt_embeds"] for c in conditioning_of(told, 4)])}
    differing = fork_latents(host, own, fork_at=1, sheet_conditioning="cells").latents
    assert relative(differing, together) > 1e-4
    assert not (differing != sheet(host))[(stencils() == 0).expand_as(differing)].any()
    with pytest.raises(InvalidValueError, match="micro_batch is 3, but with sheet_conditioning='cells'"):
        fork_latents(host, own, fork_at=1, sheet_conditioning="cells", micro_batch=3)


def test_a_sheet_has_one_conditioning() -> None:
    host, told = hosted("sd")
    own = {**told, "prompt_embeds": told["prompt_embeds"].repeat(4, 1, 1)}
    with pytest.raises(InvalidValueError, match="prompt_embeds has 4 items, one for each fork"):
        fork_latents(host, own, mode="sample")
    with pytest.raises(InvalidValueError, match="prompt_embeds has 3 items; allowed: one for all"):
        fork_latents(host, {**own, "prompt_embeds": own["prompt_embeds"][:3]}, mode="fork")


@pytest.mark.parametrize("family", ["sd", "sd3", "z_image"])
def test_half_precision_is_the_networks_alone(family: str) -> None:
    pipe, told = build(family)
    expected = fork_latents(DiffusersHost(pipe), told).latents
    pipe.to(torch.bfloat16)
    host = DiffusersHost(pipe)
    seen = []

    def look(module: Any, args: Any, kwargs: Any) -> None:
        first = args[0] if args else kwargs["hidden_states"]
        seen.append((first[0] if isinstance(first, list) else first).dtype)

    host.network.register_forward_pre_hook(look, with_kwargs=True)

    def halved(value: Any) -> Any:
        if isinstance(value, list):
            return [halved(each) for each in value]
        return value.bfloat16() if isinstance(value, Tensor) else value

    forks = fork_latents(host, {name: halved(value) for name, value in told.items()}).latents
    assert set(seen) == {torch.bfloat16}
    assert forks.dtype == torch.float32
    assert not (forks != sheet(host))[(stencils() == 0).expand_as(forks)].any()
    assert 0 < relative(forks, expected) < 0.05


def test_a_vae_that_overflows_in_half_precision_computes_in_single() -> None:
    pipe, _ = build("sdxl")
    expected = DiffusersHost(pipe).decode(sheet(DiffusersHost(pipe)))
    pipe.vae.to(torch.float16)
    pipe.vae.register_to_config(force_upcast=True)
    weights = {name: value.clone() for name, value in pipe.vae.state_dict().items()}
    host = DiffusersHost(pipe)
    torch.testing.assert_close(host.decode(sheet(host)), expected, atol=1e-2, rtol=0)
    assert host.encode(expected).dtype == torch.float32
    assert pipe.vae.dtype == torch.float16
    assert all(torch.equal(value, weights[name]) for name, value in pipe.vae.state_dict().items())
