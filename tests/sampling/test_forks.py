"""Forks: exact outside, the same in any batch, both modes and all that lies between."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from forking import SD, Network, cell_masks, grids, relative, sheet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maskgrid.sampling import (
    Controls,
    ForkMasks,
    NoiseTable,
    Request,
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
    network, sigmas = Network(), Controls(steps=4).sigma_range(SD).sigmas
    x = SD.start(LATENTS, torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(3)), sigmas[0])
    for sigma, following in pairwise(sigmas):
        x = x + (x - network(x, sigma)) / sigma * (following - sigma)
    assert relative(forks[0], x) < 1e-5


def test_half_precision_costs_the_solver_nothing() -> None:
    """With a network whose answer is exact in float16, the result is float32's, rounded once."""

    def constant(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)

    for sampler in ("euler", "heun", "dpmpp_2m"):
        noise = sheet(1, 4, 9, 11, seed=4).half()
        run = {
            "table": SD,
            "sampler": sampler,
            "steps": 12,
            "end_at_step": 11,
            "mode": "fork",
            "return_with_leftover_noise": True,
        }
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
