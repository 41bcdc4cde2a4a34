"""Nothing finished is lost: whatever ends a run carries the forks that were finished before."""

import logging

import numpy as np
import pytest
import torch

import maskgrid
from maskgrid.errors import (
    AutoencoderError,
    CallbackError,
    CancelledError,
    DenoiserError,
    RunInterrupted,
    attach_finished,
    is_out_of_memory,
)

CPU_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 40000 bytes."


class OwnError(Exception):
    """An error that has nothing to do with maskgrid."""


class ClosedError(Exception):
    """One whose `result` can't be set."""

    @property
    def result(self) -> str:
        return "its own"


def make(maker, sheet, stencil, **options):
    job = {"rows": 2, "columns": 3, "prompt": "a sad face", "steps": 2, "mode": "fork", **options}
    return maker(image=sheet, mask=stencil, **job)


def raise_at(error: BaseException, call: int, function=None):
    """A function that raises at its nth call, and else does what the given one does."""
    calls = []

    def work(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise error
        return function(*arguments, **options) if function else None

    return work


# Raised by whom, as what it comes out.
ERRORS = [
    (OwnError("mine"), OwnError),
    (OSError(28, "No space left on device"), OSError),
    (BrokenPipeError(), BrokenPipeError),
    (SystemExit(3), SystemExit),
    (GeneratorExit(), GeneratorExit),
    (KeyboardInterrupt(), RunInterrupted),
    (CancelledError("mine"), CancelledError),
]


@pytest.mark.parametrize(("error", "seen"), [*ERRORS, (StopIteration(), CallbackError)])
def test_a_callbacks_error_carries_the_finished_forks(maker, sheet, stencil, error, seen):
    # Two steps for each of three micro-batches: the fifth call is in the last one.
    with pytest.raises(seen) as caught:
        make(maker, sheet, stencil, micro_batch=2, callback=raise_at(error, 5))
    assert isinstance(caught.value.result, maskgrid.Forks)
    assert caught.value.result.cells == (0, 1, 2, 3)
    assert caught.value.latents.cells == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        *ERRORS,
        (StopIteration(), StopIteration),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), AutoencoderError),
    ],
)
def test_an_error_while_decoding_carries_the_decoded_forks_and_all_latents(
    maker, sheet, stencil, monkeypatch, error, seen
):
    whole = make(maker, sheet, stencil)
    monkeypatch.setattr(maker.host, "decode", raise_at(error, 4, maker.host.decode))
    with pytest.raises(seen) as caught:
        make(maker, sheet, stencil)
    assert caught.value.result.cells == (0, 1, 2)
    assert np.array_equal(caught.value.result.patches, whole.patches[:3])
    assert caught.value.latents.cells == (0, 1, 2, 3, 4, 5)


def test_where_no_picture_could_be_made_the_latents_are_there(maker, sheet, stencil, monkeypatch):
    monkeypatch.setattr(maker.host, "decode", raise_at(OwnError(), 1))
    with pytest.raises(OwnError) as caught:
        make(maker, sheet, stencil)
    assert caught.value.result is None
    assert len(caught.value.latents) == 6


def test_a_decode_callbacks_error_carries_the_picture_it_was_told_of(maker, sheet, stencil):
    with pytest.raises(OwnError) as caught:
        make(maker, sheet, stencil, decode_callback=raise_at(OwnError(), 2))
    assert caught.value.result.cells == (0, 1)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError(), RuntimeError(CPU_MEMORY)],
)
def test_memory_that_runs_out_in_the_network_is_answered_with_advice(
    maker, sheet, stencil, monkeypatch, error
):
    unet = maker.host.pipe.unet
    monkeypatch.setattr(unet, "forward", raise_at(error, 5, unet.forward))
    with pytest.raises(DenoiserError, match=r"out of memory.*micro_batch below") as caught:
        make(maker, sheet, stencil, micro_batch=2)
    assert caught.value.result.cells == (0, 1, 2, 3)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("x"), MemoryError(), RuntimeError(CPU_MEMORY)])
def test_memory_that_runs_out_in_the_vae_is_answered_with_advice(maker, sheet, stencil, monkeypatch, error):
    for name, said in (("encode", "sheet"), ("decode", "decode")):
        with monkeypatch.context() as patch:
            patch.setattr(maker.host.pipe.vae, name, raise_at(error, 1))
            with pytest.raises(
                AutoencoderError, match=rf"out of memory.*{said}.*enable_tiling\(\)"
            ) as caught:
                make(maker, sheet, stencil)
            assert caught.value.result is None


def test_an_error_of_the_networks_own_comes_out_as_it_is(maker, sheet, stencil, monkeypatch):
    unet, error = maker.host.pipe.unet, RuntimeError("cuDNN error")
    monkeypatch.setattr(unet, "forward", raise_at(error, 5, unet.forward))
    with pytest.raises(RuntimeError) as caught:
        make(maker, sheet, stencil, micro_batch=2)
    assert caught.value is error
    assert error.result.cells == (0, 1, 2, 3)


def test_a_second_error_while_finished_forks_are_decoded_leaves_the_first(maker, sheet, stencil, monkeypatch):
    first = OwnError("first")
    monkeypatch.setattr(maker.host, "decode", raise_at(ValueError("second"), 3, maker.host.decode))
    with pytest.raises(OwnError) as caught:
        make(maker, sheet, stencil, micro_batch=2, callback=raise_at(first, 5))
    assert caught.value is first
    assert first.result.cells == (0, 1)
    assert first.latents.cells == (0, 1, 2, 3)
    assert "ValueError: second" in first.__notes__[-1]


def test_an_error_before_anything_is_finished_says_so(maker, sheet, stencil):
    with pytest.raises(OwnError) as caught:
        make(maker, sheet, stencil, callback=raise_at(OwnError(), 1))
    assert caught.value.result is None


def test_an_error_that_takes_no_result_says_so():
    error = ClosedError()
    attach_finished(error, 1, 2)
    assert error.__notes__ == ["maskgrid could not attach result to ClosedError, which has its own"]


@pytest.mark.parametrize("answer", [False, np.bool_(False), torch.tensor(False)])
def test_a_callback_that_returns_false_of_any_kind_stops_the_run(maker, sheet, stencil, answer):
    with pytest.raises(CancelledError):
        make(maker, sheet, stencil, callback=lambda progress: answer)


@pytest.mark.parametrize("answer", [None, True, np.bool_(True), 0, "", [], np.zeros(2, bool)])
def test_a_callback_that_returns_something_else_does_not(maker, sheet, stencil, answer):
    assert len(make(maker, sheet, stencil, callback=lambda progress: answer)) == 6


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError(CPU_MEMORY), True),
        (RuntimeError("[enforce fail] not enough memory: you tried to allocate"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
        (DenoiserError("out of memory"), False),
    ],
)
def test_what_counts_as_memory_that_ran_out(error, expected):
    assert is_out_of_memory(error) is expected


def test_torchs_own_words_for_too_little_memory_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**16)
    assert is_out_of_memory(caught.value)


def test_the_logger_tells_of_the_run_its_micro_batches_and_the_decoding(maker, sheet, stencil, caplog):
    with caplog.at_level(logging.INFO, "maskgrid"):
        make(maker, sheet, stencil, micro_batch=4)
    lines = [record.getMessage() for record in caplog.records if record.name == "maskgrid"]
    starts = [
        "run: 6 forks of a 32 x 48 px sheet",
        "sampled forks 0 to 3 apart in ",
        "sampled forks 4 to 5 apart",
    ]
    starts += ["decoded 6 forks in ", "run: 6 forks in "]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines


def test_the_logger_tells_each_step_and_picture_and_how_a_run_ended(maker, sheet, stencil, caplog):
    with caplog.at_level(logging.DEBUG, "maskgrid"), pytest.raises(OwnError):
        make(maker, sheet, stencil, decode_callback=raise_at(OwnError(), 2))
    lines = [record.getMessage() for record in caplog.records if record.name == "maskgrid"]
    assert sum(line.startswith("step ") for line in lines) == 2
    assert sum(line.startswith("decoded fork ") for line in lines) == 2
    assert lines[-1].endswith(": OwnError")
