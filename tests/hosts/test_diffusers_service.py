"""A pipeline in a service: threads, clones, other VAEs, a safety checker, precision."""

import threading
from collections.abc import Callable
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch

import tiny
from maskgrid import MaskGrid
from maskgrid.errors import AutoencoderError, InvalidTypeError, MaskGridWarning, PipelineBusyError


@pytest.fixture
def own_pipe() -> Any:
    """A pipeline that a test may change."""
    return tiny.pipeline()


def draw(maker: MaskGrid, sheet: Any, stencil: Any, **options: Any) -> np.ndarray:
    job = {"rows": 2, "columns": 3, "prompt": "a sad face", "steps": 2, "mode": "fork", **options}
    return maker(image=sheet, mask=stencil, **job).patches


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What calls give that are made at the same time; an exception in its place."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_take_turns_on_a_pipeline(own_pipe, sheet, stencil):
    maker, scheduler = MaskGrid(own_pipe), own_pipe.scheduler
    alone = [draw(maker, sheet, stencil, seed=seed) for seed in range(4)]
    calls = [lambda seed=seed: draw(maker, sheet, stencil, seed=seed) for seed in range(4)]
    together = in_threads(*calls)
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True)), together
    assert own_pipe.scheduler is scheduler


def test_who_does_not_wait_is_told_that_the_pipeline_is_busy(own_pipe, sheet, stencil):
    impatient, said = MaskGrid(own_pipe, wait=False), []

    def ask_meanwhile(progress: Any) -> None:
        said.extend(in_threads(lambda: draw(impatient, sheet, stencil)))

    draw(MaskGrid(own_pipe), sheet, stencil, steps=1, callback=ask_meanwhile)
    assert [type(error) for error in said] == [PipelineBusyError]
    assert len(draw(impatient, sheet, stencil)) == 6


def test_a_run_inside_a_run_is_refused_and_does_not_hang(own_pipe, sheet, stencil):
    maker = MaskGrid(own_pipe)
    with pytest.raises(PipelineBusyError):
        draw(maker, sheet, stencil, callback=lambda progress: draw(maker, sheet, stencil) is None)


def test_clones_run_side_by_side_over_the_same_weights(own_pipe, sheet, stencil):
    maker = MaskGrid(own_pipe)
    clone = maker.clone()
    assert clone.host.pipe.unet is own_pipe.unet
    assert clone.host.pipe.scheduler is not own_pipe.scheduler
    alone = [draw(maker, sheet, stencil, seed=seed) for seed in (1, 2)]
    makers = (maker, clone)
    calls = [lambda i=i: draw(makers[i], sheet, stencil, seed=i + 1) for i in range(2)]
    together = in_threads(*calls)
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True)), together


def test_a_clone_does_not_wait_for_the_other(own_pipe, sheet, stencil):
    maker, found = MaskGrid(own_pipe), []
    clone = maker.clone()

    def run_meanwhile(progress: Any) -> None:
        found.append(len(draw(clone, sheet, stencil, steps=1)))

    draw(maker, sheet, stencil, steps=1, callback=run_meanwhile)
    assert found == [6]


def test_a_tiny_autoencoder_may_take_the_vaes_place(own_pipe, sheet, stencil):
    blocks = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    layers = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own_pipe.register_modules(vae=d.AutoencoderTiny(**blocks, **layers).eval())
    patches = draw(MaskGrid(own_pipe), sheet, stencil)
    outside = stencil == 0
    cells = sheet.reshape(2, 16, 3, 16, 3).swapaxes(1, 2).reshape(6, 16, 16, 3)
    assert np.array_equal(patches[:, outside], cells[:, outside])
    assert not np.array_equal(patches, cells)


def test_a_vae_that_overflows_is_an_error_with_the_remedy(own_pipe, sheet, stencil):
    own_pipe.to(torch.bfloat16)
    own_pipe.vae.decoder.conv_out.weight.data.fill_(float("inf"))
    with pytest.raises(
        AutoencoderError, match=r"in bfloat16\) gave NaN .*allowed: pipe.vae.to\(torch.float32\)"
    ):
        draw(MaskGrid(own_pipe), sheet, stencil)


class Checker(torch.nn.Module):
    """Flags every picture that it is shown but the first."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, images: Any, clip_input: Any) -> tuple[Any, list[bool]]:
        self.seen += 1
        return images, [self.seen > 1] * len(images)


def test_a_safety_checker_is_asked_and_what_it_flags_stays_as_it_was(own_pipe, sheet, stencil):
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(crop_size=8, size=8)
    own_pipe.register_modules(safety_checker=Checker(), feature_extractor=processor)
    with pytest.warns(MaskGridWarning, match="safety checker flags what was drawn in cell") as said:
        patches = draw(MaskGrid(own_pipe), sheet, stencil)
    cells = sheet.reshape(2, 16, 3, 16, 3).swapaxes(1, 2).reshape(6, 16, 16, 3)
    assert own_pipe.safety_checker.seen == 6
    assert [np.array_equal(*pair) for pair in zip(patches, cells, strict=True)] == [False, *[True] * 5]
    assert len(said) == 5


def test_a_pipeline_with_hooks_is_not_cloned(own_pipe):
    own_pipe.unet._hf_hook = object()
    with pytest.raises(InvalidTypeError, match="hooks"):
        MaskGrid(own_pipe).clone()
