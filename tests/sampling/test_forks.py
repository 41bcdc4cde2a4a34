"""Forks: exact outside, the same in any batch, both modes and all that lies between."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from forking import DETERMINISTIC, SD, STOCHASTIC, Network, cell_masks, grids, relative, sheet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maskgrid.errors import (
    CancelledError,
    DenoiserError,
    InvalidTypeError,
    InvalidValueError,
    MaskGridError,
    RunInterrupted,
)
from maskgrid.sampling import (
    ForkControls,
    ForkMasks,
    NoiseTable,
    Progress,
    Request,
    continue_forks,
    fork_job,
    sample_forks,
)
from maskgrid.sampling.samplers import SAMPLERS

FLOW = NoiseTable.flow(3.0)
MASKS = cell_masks(2, 3, (9, 11))
LATENTS = sheet(1, 4, 9, 11)
every_sampler = pytest.mark.parametrize("sampler", sorted(SAMPLERS))


def outside(masks: ForkMasks, *, together: bool) -> Tensor:
    """(N, h, w) where a fork must be the sheet: outside its mask; or its cell and the sheet's mask."""
    if not together:
        return masks.batch()[:, 0] == 0
    changing = torch.zeros(len(masks), *masks.size, dtype=torch.bool)
    for fork, (top, left, bottom, right) in zip(changing, masks.writes.tolist(), strict=True):
        fork[top:bottom, left:right] = masks.together[top:bottom, left:right] > 0
    return ~changing


def bits(values: Tensor) -> Tensor:
    """The same memory as integers, so that -0.0 differs from 0.0."""
    return values.contiguous().view({2: torch.int16, 4: torch.int32}[values.element_size()])


@settings(max_examples=80)
@given(
    masks=grids(),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    table=st.sampled_from([SD, FLOW]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    batch=st.integers(1, 2),
    frames=st.sampled_from([None, 2]),
    fork_at=st.integers(0, 3),
    blend=st.sampled_from(["lerp", "differential"]),
    micro_batch=st.sampled_from([None, 1, 2]),
)
def test_outside_the_stencil_every_bit_is_the_sheets(
    masks: ForkMasks,
    sampler: str,
    table: NoiseTable,
    dtype: torch.dtype,
    batch: int,
    frames: int | None,
    fork_at: int,
    blend: Any,
    micro_batch: int | None,
) -> None:
    shape = (batch, 4, *([frames] if frames else []), *masks.size)
    latents = sheet(*shape, dtype=dtype)
    latents[..., 0] = -0.0
    forks = sample_forks(
        Network(),
        latents,
        masks,
        table=table,
        sampler=sampler,
        steps=3,
        fork_at=fork_at,
        blend=blend,
        micro_batch=micro_batch,
        scaling_factor=0.18215,
        shift_factor=0.1,
    )
    assert forks.latents.shape == (len(masks) * batch, *shape[1:])
    assert forks.latents.dtype == dtype
    kept = outside(masks, together=fork_at == 3)
    for fork, still in zip(forks, kept, strict=True):
        assert torch.equal(bits(fork[..., still]), bits(latents[..., still]))


@every_sampler
@pytest.mark.parametrize("mode", ["sample", "fork"])
def test_inside_the_stencil_something_is_new(sampler: str, mode: str) -> None:
    masks = cell_masks(2, 3, (8, 12), kind="full")
    forks = sample_forks(Network(), sheet(1, 4, 8, 12), masks, table=SD, sampler=sampler, steps=3, mode=mode)
    for fork, (top, left, bottom, right) in zip(forks, masks.writes.tolist(), strict=True):
        assert (fork != sheet(1, 4, 8, 12))[..., top:bottom, left:right].all()


@every_sampler
@pytest.mark.parametrize("fork_at", [0, 2])
def test_one_batch_is_micro_batches_is_one_by_one(sampler: str, fork_at: int) -> None:
    masks = cell_masks(1, 3, (9, 11))
    run = {"table": SD, "sampler": sampler, "steps": 4, "fork_at": fork_at}
    whole = sample_forks(Network(), LATENTS, masks, **run).latents
    for size in (1, 2):
        parts = sample_forks(Network(), LATENTS, masks, micro_batch=size, **run).latents
        assert relative(parts, whole) < 1e-5


@settings(max_examples=40)
@given(
    masks=grids(),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    table=st.sampled_from([SD, FLOW]),
    batch=st.integers(1, 2),
    fork_at=st.integers(0, 4),
    seeds=st.sampled_from(["same", "increment"]),
    size=st.integers(1, 5),
)
def test_batched_is_serial(
    masks: ForkMasks, sampler: str, table: NoiseTable, batch: int, fork_at: int, seeds: str, size: int
) -> None:
    latents = sheet(batch, 4, *masks.size)
    run = {"table": table, "sampler": sampler, "steps": 4, "fork_at": fork_at, "fork_seeds": seeds}
    whole = sample_forks(Network(), latents, masks, **run).latents
    parts = sample_forks(Network(), latents, masks, micro_batch=size, **run).latents
    assert relative(parts, whole) < 1e-5


@every_sampler
@pytest.mark.parametrize("seeds", ["same", "increment"])
def test_both_ends_of_fork_at_are_the_modes(sampler: str, seeds: str) -> None:
    run = {"table": SD, "sampler": sampler, "steps": 4, "fork_seeds": seeds}
    for fork_at, mode in ((0, "Fork then Sample"), (4, "Sample then Fork")):
        by_step = sample_forks(Network(), LATENTS, MASKS, fork_at=fork_at, **run).latents
        by_mode = sample_forks(Network(), LATENTS, MASKS, mode=mode, **run).latents
        assert torch.equal(by_step, by_mode)


def test_between_the_ends_forks_share_their_first_steps() -> None:
    network = Network()
    sample_forks(network, LATENTS, MASKS, table=SD, steps=5, fork_at=2)
    assert network.asked == [(1, 4, 9, 11)] * 2 + [(6, 4, 9, 11)] * 3


def test_a_fork_is_the_run_of_its_mask_alone() -> None:
    """In Fork then Sample each fork is what sampling with its mask alone gives."""
    for sampler in ("euler", "euler_ancestral", "dpmpp_2m_sde"):
        run = {"table": SD, "sampler": sampler, "steps": 4, "mode": "fork", "seed": 5}
        forks = sample_forks(Network(), LATENTS, MASKS, **run)
        for i, fork in enumerate(forks):
            alone = sample_forks(Network(), LATENTS, MASKS.batch(i, i + 1), rows=1, columns=1, **run)
            assert relative(fork, alone[0]) < 1e-5


@pytest.mark.parametrize("sampler", ["euler", "ddim", "euler_ancestral", "dpmpp_sde"])
def test_a_fork_with_its_own_seed_is_a_run_with_that_seed(sampler: str) -> None:
    run = {"table": SD, "sampler": sampler, "steps": 3, "mode": "fork"}
    seeds = [3, 9, 3, 2**64 - 1, 0, 4]
    forks = sample_forks(Network(), LATENTS, MASKS, fork_seeds=seeds, micro_batch=4, **run)
    for i, seed in enumerate(seeds):
        assert relative(forks[i], sample_forks(Network(), LATENTS, MASKS, seed=seed, **run)[i]) < 1e-5
    counted = sample_forks(Network(), LATENTS, MASKS, seed=7, fork_seeds="increment", **run)
    listed = sample_forks(Network(), LATENTS, MASKS, fork_seeds=[7, 8, 9, 10, 11, 12], **run)
    assert torch.equal(counted.latents, listed.latents)


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_together_a_forks_seed_reaches_its_own_cell(sampler: str) -> None:
    """With a network that sees one pixel at a time, another seed for fork 4 changes cell 4 and no other."""

    def pointwise(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.tanh(x)

    masks = cell_masks(2, 3, (9, 11), kind="full")
    run = {"table": SD, "sampler": sampler, "steps": 3, "mode": "sample"}
    first = sample_forks(pointwise, LATENTS, masks, fork_seeds=[1, 2, 3, 4, 5, 6], **run)
    other = sample_forks(pointwise, LATENTS, masks, fork_seeds=[1, 2, 3, 4, 77, 6], **run)
    assert [torch.equal(a, b) for a, b in zip(first, other, strict=True)] == [True] * 4 + [False, True]
    one_seed = sample_forks(pointwise, LATENTS, masks, fork_seeds=[5] * 6, **run)
    assert torch.equal(one_seed.latents, sample_forks(pointwise, LATENTS, masks, seed=5, **run).latents)


def test_rows_are_fork_major() -> None:
    latents = sheet(3, 4, 9, 11)
    for mode in ("sample", "fork"):
        forks = sample_forks(Network(), latents, MASKS, table=SD, steps=3, mode=mode)
        assert forks.latents.shape == (18, 4, 9, 11)
        for n in range(6):
            assert torch.equal(forks[n], forks.latents[3 * n : 3 * n + 3])
            kept = MASKS.batch()[n, 0] == 0 if mode == "fork" else outside(MASKS, together=True)[n]
            assert torch.equal(forks[n][..., kept], latents[..., kept])


def test_frames_share_their_cells_mask() -> None:
    """A 5-D latent of frames is, for a network that sees each frame alone, as many 4-D ones."""
    video, noise = sheet(1, 4, 3, 9, 11), sheet(1, 4, 3, 9, 11, seed=9)
    run = {"table": SD, "steps": 4, "fork_at": 2}
    forks = sample_forks(Network(), video, MASKS, noise=noise, **run)
    for t in range(3):
        frame = sample_forks(Network(), video[:, :, t], MASKS, noise=noise[:, :, t], **run)
        for a, b in zip(forks, frame, strict=True):
            assert relative(a[:, :, t], b) < 1e-5


def test_a_mask_that_reaches_into_another_cell() -> None:
    """Sample then Fork gives what is new in a cell to that cell's fork; apart, each fork has its own mask."""
    masks = torch.zeros(2, 1, 4, 8)
    masks[0, ..., 3:5] = 1
    masks[1, ..., 7] = 1
    latents = sheet(1, 4, 4, 8)
    new = {
        mode: [
            (fork != latents).any(2).all((0, 1)).nonzero().flatten().tolist()
            for fork in sample_forks(
                Network(), latents, masks, rows=1, columns=2, table=SD, steps=2, mode=mode
            )
        ]
        for mode in ("sample", "fork")
    }
    assert new == {"sample": [[3], [4, 7]], "fork": [[3, 4], [7]]}


@pytest.mark.parametrize("mode", ["sample", "fork"])
def test_an_empty_stencil_gives_the_sheet(mode: str) -> None:
    masks = cell_masks(2, 3, (9, 11), kind="empty")
    forks = sample_forks(Network(), LATENTS, masks, table=SD, steps=3, mode=mode)
    assert torch.equal(forks.latents, LATENTS.repeat(6, 1, 1, 1))
    assert torch.equal(forks.merged(), LATENTS)


def test_a_full_stencil_is_plain_sampling() -> None:
    """One cell, all white: nothing is blended, and what comes out is the plain walk of the same noise."""
    masks = torch.ones(1, 1, 9, 11)
    forks = sample_forks(Network(), LATENTS, masks, rows=1, columns=1, table=SD, steps=4, seed=3)
    network, sigmas = Network(), ForkControls(steps=4).span(SD).sigmas
    x = SD.start(LATENTS, torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(3)), sigmas[0])
    for sigma, following in pairwise(sigmas):
        x = x + (x - network(x, sigma)) / sigma * (following - sigma)
    assert relative(forks[0], x) < 1e-5


def test_half_precision_costs_the_solver_nothing() -> None:
    """With a network whose answer is exact in float16, the result is float32's, rounded once."""

    def constant(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)

    for sampler in ("euler", "heun", "dpmpp_2m"):
        run = {"table": SD, "sampler": sampler, "steps": 12, "end_at_step": 11, "mode": "fork"}
        noise = sheet(1, 4, 9, 11, seed=4).half()
        run |= {"return_with_leftover_noise": True}
        half = sample_forks(constant, LATENTS.half(), MASKS, noise=noise, **run).latents
        full = sample_forks(constant, LATENTS.half().float(), MASKS, noise=noise.float(), **run).latents
        assert torch.equal(half, full.half())


def test_the_latent_format_is_undone() -> None:
    """Scaling the sheet and telling so is scaling the result."""
    plain = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=4)
    scaled = sample_forks(
        Network(), LATENTS / 0.5 + 3, MASKS, table=SD, steps=4, scaling_factor=0.5, shift_factor=3.0
    )
    assert relative(scaled.latents, plain.latents / 0.5 + 3) < 1e-5


def test_past_the_end_the_latents_come_as_they_came() -> None:
    network = Network()
    for run in ({"start_at_step": 20}, {"start_at_step": 3, "end_at_step": 3}, {"denoise": 0.0}):
        for mode in ("sample", "fork"):
            forks = sample_forks(network, LATENTS, MASKS, table=SD, steps=8, mode=mode, **run)
            assert torch.equal(forks.latents, LATENTS.repeat(6, 1, 1, 1))
    assert not network.asked


def test_differential_is_lerp_where_masks_are_hard() -> None:
    masks = cell_masks(2, 3, (9, 11), kind="hard")
    run = {"table": SD, "steps": 4, "fork_at": 2}
    lerp = sample_forks(Network(), LATENTS, masks, blend="lerp", **run).latents
    assert torch.equal(sample_forks(Network(), LATENTS, masks, blend="differential", **run).latents, lerp)
    soft = sample_forks(Network(), LATENTS, MASKS, blend="lerp", **run).latents
    assert not torch.equal(sample_forks(Network(), LATENTS, MASKS, blend="differential", **run).latents, soft)


class OwnAnswers:
    """A denoiser that tells its forks apart: fork n is pulled towards n."""

    def __init__(self) -> None:
        self.requests: list[tuple[tuple[int, ...], bool, int]] = []

    def respond(self, request: Request) -> Tensor:
        self.requests.append((request.rows, request.together, len(request.x)))
        rows = torch.tensor(request.rows or (-1,), dtype=request.x.dtype)
        return rows.repeat_interleave(request.batch)[:, None, None, None].expand_as(request.x).clone()


def test_each_fork_can_have_its_own_answer() -> None:
    denoiser = OwnAnswers()
    masks = cell_masks(2, 3, (9, 11), kind="full")
    forks = sample_forks(denoiser, sheet(2, 4, 9, 11), masks, table=SD, steps=2, mode="fork", micro_batch=4)
    for n, (top, left, bottom, right) in enumerate(masks.writes.tolist()):
        assert (forks[n][..., top:bottom, left:right] == n).all()
    assert denoiser.requests == [((0, 1, 2, 3), False, 8)] * 2 + [((4, 5), False, 4)] * 2


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_together_each_cell_can_have_its_own_forks_answer(micro_batch: int | None) -> None:
    denoiser = OwnAnswers()
    masks = cell_masks(2, 3, (9, 11), kind="full")
    run = {"table": SD, "steps": 2, "mode": "sample", "micro_batch": micro_batch}
    own = sample_forks(denoiser, LATENTS, masks, **run)
    assert denoiser.requests == [((), True, 1)] * 2
    assert all((fork == -1).any() for fork in own)

    denoiser = OwnAnswers()
    cells = sample_forks(denoiser, LATENTS, masks, sheet_conditioning="cells", **run)
    for n, (top, left, bottom, right) in enumerate(masks.writes.tolist()):
        assert (cells[n][..., top:bottom, left:right] == n).all()
    asked = (
        [((0, 1, 2, 3, 4, 5), True, 6)]
        if micro_batch is None
        else [((0, 1, 2, 3), True, 4), ((4, 5), True, 2)]
    )
    assert denoiser.requests == asked * 2


def test_cells_with_the_same_answer_are_the_sheet() -> None:
    run = {"table": SD, "sampler": "dpmpp_2m", "steps": 4, "fork_at": 3}
    cells = sample_forks(Network(), LATENTS, MASKS, sheet_conditioning="cells", **run)
    assert relative(cells.latents, sample_forks(Network(), LATENTS, MASKS, **run).latents) < 1e-5


def test_merged_has_every_new_cell() -> None:
    latents = sheet(2, 4, 9, 11)
    forks = sample_forks(Network(), latents, MASKS, table=SD, steps=3, mode="fork")
    merged = forks.merged()
    for n, (top, left, bottom, right) in enumerate(MASKS.writes.tolist()):
        assert torch.equal(merged[..., top:bottom, left:right], forks[n][..., top:bottom, left:right])


# Driving


@every_sampler
def test_a_stretch_says_beforehand_what_it_will_ask(sampler: str) -> None:
    job = fork_job(
        LATENTS, MASKS, ForkControls(sampler=sampler, steps=4, fork_at=2, start_at_step=1), table=SD
    )
    asked = []
    for stretch in job.stretches():
        expected = stretch.calls()
        requests, got = stretch.requests(), []
        request = next(requests)
        try:
            while True:
                got.append((request.step, request.sigma))
                request = requests.send(torch.tanh(request.x))
        except StopIteration:
            pass
        assert got == expected
        asked += [step for step, _ in got]
    assert sorted(set(asked)) == [1, 2, 3]
    result = job.result()
    assert result is not None
    driven = sample_forks(
        lambda x, _: torch.tanh(x),
        LATENTS,
        MASKS,
        table=SD,
        sampler=sampler,
        steps=4,
        fork_at=2,
        start_at_step=1,
    )
    assert torch.equal(result.latents, driven.latents)


def test_stretches_have_to_be_driven_to_their_end() -> None:
    job = fork_job(LATENTS, MASKS, ForkControls(steps=3, fork_at=1), table=SD)
    stretches = job.stretches()
    next(stretches)
    with pytest.raises(MaskGridError, match="before all requests"):
        next(stretches)
    assert job.result() is None


def test_a_kept_x_stays_what_it_was() -> None:
    """A batch's memory is used again only when nobody holds the batch."""
    kept: list[tuple[Tensor, Tensor]] = []

    def keeping(x: Tensor, sigma: Tensor) -> Tensor:
        kept.append((x, x.clone()))
        return torch.tanh(x)

    sample_forks(keeping, LATENTS, MASKS, table=SD, steps=4, mode="fork")
    assert len(kept) == 4
    assert all(torch.equal(x, copy) for x, copy in kept)


def test_memory_is_used_again() -> None:
    places = set()

    def watching(x: Tensor, sigma: Tensor) -> Tensor:
        places.add(x.data_ptr())
        return torch.tanh(x)

    sample_forks(watching, sheet(1, 4, 64, 64), cell_masks(2, 2, (64, 64)), table=SD, steps=6, mode="fork")
    assert len(places) == 1


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
