"""What the diffusers host does to a pipeline (nothing), whatever happens, and what it refuses."""

from __future__ import annotations

import inspect
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import diffusers as d
import pytest
import torch
from families import FAMILIES, QUIET, build, cached
from forking_hosts import fork_latents

from maskgrid.errors import CancelledError, DenoiserError, InvalidTypeError, MaskGridError, RunInterrupted
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.diffusers.families import supported_families

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor


pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]


class NetworkError(RuntimeError):
    """What a network raises in these tests."""


@contextmanager
def watched(pipe: Any, folder: Path) -> Iterator[None]:
    """The pipeline is afterwards as it was before, and saves itself as it would have."""
    scheduler, config = pipe.scheduler, dict(pipe.config)
    state, settings = dict(vars(scheduler)), dict(scheduler.config)
    yield
    assert pipe.scheduler is scheduler
    assert dict(pipe.config) == config
    assert vars(scheduler).keys() == state.keys()
    assert all(vars(scheduler)[name] is value for name, value in state.items())
    assert dict(scheduler.config) == settings
    pipe.save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    assert index["scheduler"] == ["diffusers", type(scheduler).__name__]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_leaves_the_pipeline_as_it_was(family: str, tmp_path: Path) -> None:
    pipe, told = cached(family)
    with watched(pipe, tmp_path):
        fork_latents(DiffusersHost(pipe), told, fork_at=1)


def fail_at(network: Any, call: int, error: BaseException) -> None:
    """Have a network raise at its n-th call, counted from 0."""
    calls = iter(range(10**6))

    def hook(*args: Any, **kwargs: Any) -> None:
        if next(calls) == call:
            raise error

    network.register_forward_pre_hook(hook)


@pytest.mark.parametrize("family", ["sd", "flux", "z_image"])
@pytest.mark.parametrize("call", [0, 2])
def test_an_exception_leaves_the_pipeline_as_it_was(family: str, call: int, tmp_path: Path) -> None:
    pipe, told = build(family)
    host = DiffusersHost(pipe)
    fail_at(host.network, call, NetworkError("at this call"))
    with watched(pipe, tmp_path), pytest.raises(NetworkError, match="at this call"):
        fork_latents(host, told, mode="fork")
    # And it can be used again.
    assert len(fork_latents(host, told, mode="fork")) == 4


@pytest.mark.parametrize("where", ["network", "callback"])
def test_ctrl_c_keeps_the_finished_forks(where: str, tmp_path: Path) -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    whole = fork_latents(host, told, mode="fork", micro_batch=1).latents

    def press(progress: Any) -> None:
        if progress.forks == (2,) and progress.step == 1:
            raise KeyboardInterrupt

    if where == "network":
        fail_at(host.network, 7, KeyboardInterrupt())
    with watched(pipe, tmp_path), pytest.raises(RunInterrupted) as stopped:
        fork_latents(host, told, mode="fork", micro_batch=1, callback=press if where == "callback" else None)
    assert torch.equal(stopped.value.result.latents, whole[:2])


def test_a_cancelled_run_keeps_the_finished_forks(tmp_path: Path) -> None:
    pipe, told = cached("sd3")
    host = DiffusersHost(pipe)
    whole = fork_latents(host, told, mode="fork", micro_batch=2).latents
    with watched(pipe, tmp_path), pytest.raises(CancelledError) as stopped:
        fork_latents(
            host, told, mode="fork", micro_batch=2, callback=lambda progress: progress.forks == (0, 1)
        )
    assert torch.equal(stopped.value.result.latents, whole[:2])


def test_a_pipeline_that_is_told_to_stop_is_a_cancelled_run(tmp_path: Path) -> None:
    pipe, told = build("sd")

    def stop(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = step == 1
        return {}

    with watched(pipe, tmp_path), pytest.raises(CancelledError, match="after 2 of 3 calls") as stopped:
        fork_latents(DiffusersHost(pipe), {**told, "callback_on_step_end": stop})
    assert stopped.value.result is None


def test_nan_is_an_error_that_keeps_the_finished_forks(tmp_path: Path) -> None:
    pipe, told = build("sd")
    calls = iter(range(100))
    pipe.unet.register_forward_hook(
        lambda module, args, output: (output[0] * float("nan") if next(calls) == 7 else output[0],)
    )
    host = DiffusersHost(pipe)
    with watched(pipe, tmp_path), pytest.raises(DenoiserError, match="NaN or infinities at step 1") as found:
        fork_latents(host, told, mode="fork", micro_batch=1)
    assert len(found.value.result) == 2


@pytest.mark.parametrize(("micro_batch", "words"), [(2, "a micro_batch below 2"), (1, "offloading")])
def test_what_does_not_fit_says_so_and_keeps_the_finished_forks(
    micro_batch: int, words: str, tmp_path: Path
) -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    fail_at(host.network, 4, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much"))
    with watched(pipe, tmp_path), pytest.raises(DenoiserError, match=f"{words}.*CUDA out of mem") as found:
        fork_latents(host, told, mode="fork", micro_batch=micro_batch)
    assert len(found.value.result) == micro_batch


def test_networks_are_taken_off_the_device_after_an_exception() -> None:
    class Counting(d.StableDiffusionPipeline):
        freed = 0

        def maybe_free_model_hooks(self) -> None:
            type(self).freed += 1
            super().maybe_free_model_hooks()

    pipe, told = build("sd")
    own = Counting(**pipe.components, requires_safety_checker=False)
    fork_latents(DiffusersHost(own), told)
    assert Counting.freed == 1
    fail_at(own.unet, 0, NetworkError("now"))
    with pytest.raises(NetworkError):
        fork_latents(DiffusersHost(own), told)
    assert Counting.freed == 2


def test_the_engines_scheduler_looks_like_the_pipelines_own() -> None:
    pipe, told = build("sd")
    seen = []

    def look(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        seen.append(pipe.scheduler)
        return {}

    fork_latents(DiffusersHost(pipe), {**told, "callback_on_step_end": look})
    own = type(pipe.scheduler)
    assert len(seen) == 3
    for scheduler in seen:
        assert isinstance(scheduler, own)
        assert scheduler is not pipe.scheduler
        for name in ("set_timesteps", "step"):
            assert inspect.signature(getattr(type(scheduler), name)) == inspect.signature(getattr(own, name))
        assert scheduler.order == scheduler.init_noise_sigma == 1


def test_loops_that_do_not_follow_the_scheduler_are_found() -> None:
    class Idle(d.StableDiffusionPipeline):
        def __call__(self, *, num_inference_steps: int, latents: Tensor, **told: Any) -> None:
            self.scheduler.set_timesteps(num_inference_steps)

    class Eager(Idle):
        def __call__(self, *, num_inference_steps: int, latents: Tensor, **told: Any) -> None:
            self.scheduler.set_timesteps(num_inference_steps)
            for _ in range(num_inference_steps + 1):
                latents = self.scheduler.step(latents, 0, latents, return_dict=False)[0]

    class Narrow(Idle):
        def __call__(self, *, num_inference_steps: int, latents: Tensor, **told: Any) -> None:
            self.scheduler.step(latents[:, :3], 0, latents)

    pipe, _ = build("sd")
    for kind, words in ((Idle, "0 times, not 3"), (Eager, "more than the 3 times"), (Narrow, "answers with")):
        own = kind(**pipe.components, requires_safety_checker=False)
        with pytest.raises(MaskGridError, match=words):
            fork_latents(DiffusersHost(own), {})
        assert own.scheduler is pipe.scheduler


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"promt": "a cat", "clip_skp": 1}, "does not take clip_skp, promt; allowed: .*clip_skip"),
        ({"latents": 0, "eta": 1.0}, "latents, eta can't be given .*eta: use sampler"),
        ({"num_inference_steps": 3}, "num_inference_steps: use steps and schedule"),
        ({"callback": print}, "does not take callback"),
    ],
)
def test_arguments_are_refused_by_name(told: dict[str, Any], words: str) -> None:
    pipe, own = cached("sd")
    with pytest.raises(InvalidTypeError, match=words):
        fork_latents(DiffusersHost(pipe), {**own, **told})


def test_a_pipeline_of_ones_own_may_take_anything() -> None:
    class Own(d.StableDiffusionPipeline):
        def __call__(self, *args: Any, tint: float = 0, **kwargs: Any) -> Any:
            assert tint == 0.5
            return super().__call__(*args, **kwargs)

    pipe, told = build("sd")
    own = Own(**pipe.components, requires_safety_checker=False)
    assert len(fork_latents(DiffusersHost(own), {**told, "tint": 0.5})) == 4


def test_unsupported_pipelines_are_told_what_is_missing() -> None:
    pipe, _ = build("sd")
    image_to_image = d.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    with pytest.raises(InvalidTypeError, match="Img2ImgPipeline takes no latents and no height"):
        DiffusersHost(image_to_image)
    inpaint = d.StableDiffusionInpaintPipeline(**pipe.components, requires_safety_checker=False)
    with pytest.raises(InvalidTypeError, match=r"it takes strength and mask_image: not a text-to-image"):
        DiffusersHost(inpaint)
    with pytest.raises(InvalidTypeError, match="DDPMPipeline has no vae"):
        DiffusersHost(d.DDPMPipeline(pipe.unet, pipe.scheduler))
    with pytest.raises(InvalidTypeError, match="object has no scheduler and no vae"):
        DiffusersHost(object())
    rest = {"scheduler": pipe.scheduler, "vae": pipe.vae, "text_encoder": None, "tokenizer": None}
    with pytest.raises(InvalidTypeError, match="Lumina2Pipeline has neither a transformer nor a unet"):
        DiffusersHost(d.Lumina2Pipeline(transformer=None, **rest))
    with pytest.raises(
        InvalidTypeError, match=r"CogView4Pipeline is of no family that is known.* StableDiffusion3"
    ):
        DiffusersHost(d.CogView4Pipeline(transformer=pipe.unet, **rest))
    assert "Flux" in supported_families()
    pipe.unet = None
    with pytest.raises(InvalidTypeError, match="neither a transformer nor a unet"):
        _ = DiffusersHost(pipe).network
