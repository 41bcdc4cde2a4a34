"""Driving a sampling: what is asked, what an answer may be, progress, stopping, and what is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from forking import DETERMINISTIC, SD, STOCHASTIC, Network, cell_masks, sheet
from torch import Tensor

from maskgrid.errors import (
    CancelledError,
    DenoiserError,
    InvalidTypeError,
    InvalidValueError,
    RunInterrupted,
)
from maskgrid.sampling import (
    Controls,
    Progress,
    State,
    Stretch,
    answer_with,
    continue_forks,
    denoise,
    prepare_forks,
    sample_forks,
)
from maskgrid.sampling.samplers import SAMPLERS

MASKS = cell_masks(2, 3, (9, 11))
LATENTS = sheet(1, 4, 9, 11)


def test_whoever_drives_the_conversation_gets_the_forks() -> None:
    controls = Controls(sampler="dpmpp_2m", steps=4, fork_at=2, start_at_step=1)
    asked: list[tuple[int, tuple[int, ...]]] = []

    def drive(stretch: Stretch) -> State:
        requests = denoise(stretch)
        request = next(requests)
        while True:
            asked.append((request.step, request.rows))
            try:
                request = requests.send(torch.tanh(request.x))
            except StopIteration as end:
                return end.value

    driven = prepare_forks(LATENTS, MASKS, controls, table=SD).complete(drive)
    everyone = tuple(range(6))
    assert asked == [(1, ()), (2, everyone), (3, everyone)]
    plain = prepare_forks(LATENTS, MASKS, controls, table=SD).complete(
        answer_with(lambda x, _: torch.tanh(x))
    )
    assert torch.equal(driven.latents, plain.latents)


@pytest.mark.parametrize("keep", [lambda x: x, lambda x: x[:1], lambda x: x.flatten()])
def test_a_kept_x_stays_what_it_was(keep: Callable[[Tensor], Tensor]) -> None:
    kept: list[tuple[Tensor, Tensor]] = []

    def keeping(x: Tensor, sigma: Tensor) -> Tensor:
        kept.append((keep(x), keep(x).clone()))
        return torch.tanh(x)

    sample_forks(keeping, LATENTS, MASKS, table=SD, steps=4, mode="fork")
    assert len(kept) == 4
    assert all(torch.equal(x, copy) for x, copy in kept)


@pytest.mark.parametrize("leftover", [True, False])
def test_steps_are_those_of_the_schedule(leftover: bool) -> None:
    told: list[tuple[int, int]] = []
    sample_forks(
        Network(),
        LATENTS,
        MASKS,
        table=SD,
        steps=20,
        start_at_step=2,
        end_at_step=5,
        return_with_leftover_noise=leftover,
        callback=lambda progress: told.append((progress.step, progress.steps)),
    )
    assert told == [(2, 20), (3, 20), (4, 20)]


@pytest.mark.parametrize(
    "strided",
    [
        lambda answer: answer.contiguous(memory_format=torch.channels_last),
        lambda answer: answer.mT.contiguous().mT,
        lambda answer: torch.nn.functional.pad(answer, (2, 1, 1, 3))[..., 1:-3, 2:-1],
    ],
)
def test_answers_may_lie_in_memory_as_they_like(strided: Any) -> None:
    run = {"table": SD, "steps": 3, "fork_at": 1, "sampler": "dpmpp_2m"}
    for masks in (MASKS, cell_masks(2, 3, (8, 12))):
        latents = sheet(1, 4, *masks.size)
        plain = sample_forks(lambda x, _: torch.tanh(x), latents, masks, **run)
        other = sample_forks(lambda x, _: strided(torch.tanh(x)), latents, masks, **run)
        assert torch.equal(plain.latents, other.latents)


def test_an_answer_may_be_one_number_expanded() -> None:
    forks = sample_forks(lambda x, _: torch.tensor(0.5).expand_as(x), LATENTS, MASKS, table=SD, steps=2)
    assert all((fork == 0.5).any() for fork in forks)


def test_the_sheet_is_remembered_as_it_was() -> None:
    latents = LATENTS.clone()
    forks = sample_forks(Network(), latents, MASKS, table=SD, steps=1)
    latents.zero_()
    assert torch.equal(forks.image_latents, LATENTS)


def test_the_network_may_write_into_x_and_return_it() -> None:
    run = {"table": SD, "steps": 4, "fork_at": 2}
    inplace = sample_forks(lambda x, _: x.tanh_(), LATENTS, MASKS, **run)
    assert torch.equal(inplace.latents, sample_forks(lambda x, _: x.tanh(), LATENTS, MASKS, **run).latents)


def test_no_gradient_is_recorded() -> None:
    weight = torch.nn.Parameter(torch.tensor(0.9))
    forks = sample_forks(lambda x, _: x * weight, LATENTS.clone().requires_grad_(), MASKS, table=SD, steps=2)
    assert not forks.latents.requires_grad


# Progress and stopping


def test_a_callback_is_told_of_every_call() -> None:
    told: list[Progress] = []
    sample_forks(
        Network(),
        LATENTS / 0.5,
        MASKS,
        table=SD,
        steps=4,
        fork_at=1,
        sampler="heun",
        micro_batch=4,
        callback=told.append,
        scaling_factor=0.5,
    )
    steps = [(p.step, p.steps, p.forks, p.together) for p in told]
    everyone, rest = tuple(range(6)), (4, 5)
    # Heun's method asks twice a step but for the last.
    apart = [1, 1, 2, 2, 3]
    expected = [(0, 4, everyone, True)] * 2
    expected += [(i, 4, (0, 1, 2, 3), False) for i in apart] + [(i, 4, rest, False) for i in apart]
    assert steps == expected
    assert [p.denoised.shape[0] for p in told] == [1] * 2 + [4] * 5 + [2] * 5
    assert all(p.fork_count == 6 for p in told)
    for progress in told[2:]:
        for fork, preview in zip(progress.forks, progress.denoised, strict=True):
            kept = MASKS.batch()[fork, 0] == 0
            torch.testing.assert_close(preview[:, kept], (LATENTS / 0.5)[0][:, kept])


def test_a_callback_can_stop_the_run_and_finished_forks_are_kept() -> None:
    whole = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=3, mode="fork", micro_batch=2)

    def stop_in_the_third_batch(progress: Progress) -> bool:
        return not (progress.forks == (4, 5) and progress.step == 1)

    with pytest.raises(CancelledError, match="step 1 of 3") as caught:
        sample_forks(
            Network(),
            LATENTS,
            MASKS,
            table=SD,
            steps=3,
            mode="fork",
            micro_batch=2,
            callback=stop_in_the_third_batch,
        )
    kept = caught.value.result
    assert kept.numbers == (0, 1, 2, 3)
    assert torch.equal(kept.latents, whole.latents[:4])
    assert "4 of 6 forks" in repr(kept)
    with pytest.raises(IndexError, match="fork 4 is not here"):
        kept[4]


def test_stopped_before_anything_is_finished() -> None:
    with pytest.raises(CancelledError) as caught:
        sample_forks(Network(), LATENTS, MASKS, table=SD, steps=3, callback=lambda _: False)
    assert caught.value.result is None


@pytest.mark.parametrize("answer", [False, np.False_])
def test_a_callback_stops_by_any_false(answer: object) -> None:
    with pytest.raises(CancelledError, match="step 0 of 3"):
        sample_forks(Network(), LATENTS, MASKS, table=SD, steps=3, callback=lambda _: answer)


@pytest.mark.parametrize("answer", [None, True, 0, "", np.True_])
def test_a_callback_stops_by_nothing_else(answer: object) -> None:
    forks = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=2, callback=lambda _: answer)
    assert len(forks) == 6


@pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, MemoryError, RuntimeError, SystemExit])
@pytest.mark.parametrize("of", ["denoiser", "callback"])
def test_whatever_ends_a_run_carries_the_finished_forks(error: type[BaseException], of: str) -> None:
    def fail(forks: int) -> None:
        if forks == 2:
            raise error("mine")

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        if of == "denoiser":
            fail(len(x))
        return torch.tanh(x)

    def callback(progress: Progress) -> None:
        if of == "callback":
            fail(len(progress.forks))

    with pytest.raises(BaseException, match=r"mine|StopIteration") as caught:
        sample_forks(
            denoiser, LATENTS, MASKS, table=SD, steps=2, mode="fork", micro_batch=4, callback=callback
        )
    assert caught.value.result.numbers == (0, 1, 2, 3)


def test_ctrl_c_keeps_finished_forks() -> None:
    def interrupted(x: Tensor, sigma: Tensor) -> Tensor:
        if len(x) == 2:
            raise KeyboardInterrupt
        return torch.tanh(x)

    with pytest.raises(KeyboardInterrupt) as caught:
        sample_forks(interrupted, LATENTS, MASKS, table=SD, steps=2, mode="fork", micro_batch=4)
    assert isinstance(caught.value, RunInterrupted)
    assert caught.value.result.numbers == (0, 1, 2, 3)


# What a denoiser can do wrong


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x: x[:1], r"shape \(1, 4, 9, 11\).*allowed: \(6, 4, 9, 11\)"),
        (lambda x: x.double(), "dtype torch.float64.*allowed: torch.float32"),
        (lambda x: x.to("meta"), "device meta.*allowed: cpu"),
        (lambda x: x.numpy(), "returned ndarray"),
        (lambda x: None, "returned NoneType"),
        (lambda x: torch.where(torch.arange(11) == 0, torch.nan, x), "NaN or infinities"),
        (lambda x: x / 0, "NaN or infinities"),
    ],
)
def test_a_bad_answer_is_refused_with_its_place(wrong: Any, words: str) -> None:
    def denoiser(x: Tensor, sigma: Tensor) -> Any:
        return wrong(x) if sigma < 3 else torch.tanh(x)

    sigmas = torch.tensor([14.0, 8.0, 2.5, 0.0])
    with pytest.raises(DenoiserError, match=words) as caught:
        sample_forks(denoiser, LATENTS, MASKS, table=SD, schedule=sigmas, mode="fork")
    assert "step 2 of 3, sigma 2.5, forks 0 to 5" in str(caught.value)


def test_large_finite_answers_are_not_taken_for_infinite() -> None:
    forks = sample_forks(
        lambda x, _: torch.full_like(x, 3e38), LATENTS, MASKS, table=SD, steps=1, mode="fork"
    )
    assert forks.latents.isfinite().all()


def test_finished_forks_survive_a_bad_answer() -> None:
    with pytest.raises(DenoiserError) as caught:
        sample_forks(
            lambda x, _: x * (1 if len(x) == 4 else torch.nan),
            LATENTS,
            MASKS,
            table=SD,
            steps=2,
            mode="fork",
            micro_batch=4,
        )
    assert caught.value.result.numbers == (0, 1, 2, 3)


def test_an_error_of_the_denoisers_own_says_where_it_was() -> None:
    def failing(x: Tensor, sigma: Tensor) -> Tensor:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        sample_forks(failing, LATENTS, MASKS, table=SD, steps=2, mode="fork")
    assert any("step 0 of 2" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"latents": sheet(1, 4, 9, 12)}, InvalidValueError, r"\(1, 4, 9, 12\).*9 x 11"),
        ({"latents": sheet(4, 9, 11)}, InvalidValueError, r"\(4, 9, 11\).*\(B, C, h, w\)"),
        ({"latents": torch.zeros(1, 4, 9, 11, dtype=torch.int64)}, InvalidTypeError, "int64"),
        ({"latents": LATENTS.numpy()}, InvalidTypeError, "ndarray"),
        ({"latents": LATENTS * torch.nan}, InvalidValueError, "NaN"),
        ({"noise": sheet(1, 4, 9, 10)}, InvalidValueError, "noise has shape"),
        ({"micro_batch": 0}, InvalidValueError, "micro_batch is 0"),
        ({"fork_at": 5}, InvalidValueError, "fork_at is 5; allowed: 0 to 4"),
        ({"fork_seeds": [1, 2]}, InvalidValueError, "2 seeds; allowed: 6"),
        ({"denoiser": 3}, InvalidTypeError, "denoiser is int"),
        ({"scaling_factor": 0.0}, InvalidValueError, "scaling_factor is 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    denoiser, latents = arguments.pop("denoiser", Network()), arguments.pop("latents", LATENTS)
    with pytest.raises(error, match=words):
        sample_forks(denoiser, latents, MASKS, table=SD, steps=4, **arguments)


def test_every_solver_is_here() -> None:
    assert set(DETERMINISTIC) | set(STOCHASTIC) == set(SAMPLERS)
    assert STOCHASTIC
    with pytest.raises(InvalidValueError, match="no state"):
        continue_forks(Network(), sample_forks(Network(), LATENTS, MASKS, table=SD, steps=1))
