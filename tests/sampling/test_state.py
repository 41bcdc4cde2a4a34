"""Runs cut in two: the result carries all that going on needs, in memory, in a file, in another process."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forking import SD, Network, cell_masks, grids, relative, sheet
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.sampling import ForkLatents, ForkMasks, NoiseTable, continue_forks, sample_forks
from maskgrid.sampling.noise_levels.noise_table import DiscreteTable
from maskgrid.sampling.samplers import SAMPLERS

FLOW = NoiseTable.flow(3.0)
MASKS = cell_masks(2, 2, (9, 11))
LATENTS = sheet(1, 4, 9, 11)
LEFTOVER: dict[str, Any] = {"return_with_leftover_noise": True}
every_sampler = pytest.mark.parametrize("sampler", sorted(SAMPLERS))


@every_sampler
@pytest.mark.parametrize("fork_at", [0, 2, 6])
def test_a_run_cut_anywhere_is_the_uncut_run(sampler: str, fork_at: int) -> None:
    """Cut before, at and after the step at which the forks part, and twice."""
    run = {"table": SD, "sampler": sampler, "steps": 6, "fork_at": fork_at, "scaling_factor": 0.18215}
    uncut = sample_forks(Network(), LATENTS, MASKS, **run).latents
    for cuts in ((1,), (2,), (4,), (2, 5)):
        forks = sample_forks(Network(), LATENTS, MASKS, end_at_step=cuts[0], **LEFTOVER, **run)
        for cut in cuts[1:]:
            forks = continue_forks(Network(), forks, end_at_step=cut, **LEFTOVER)
        assert torch.equal(continue_forks(Network(), forks).latents, uncut)


@settings(max_examples=60)
@given(
    masks=grids(),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    table=st.sampled_from([SD, FLOW]),
    batch=st.integers(1, 2),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    start=st.integers(0, 1),
    fork_at=st.integers(0, 5),
    cut=st.integers(2, 4),
    seeds=st.sampled_from(["same", "increment"]),
    blend=st.sampled_from(["lerp", "differential"]),
    size=st.sampled_from([None, 1, 2]),
)
def test_cut_is_uncut(
    masks: ForkMasks,
    sampler: str,
    table: NoiseTable,
    batch: int,
    dtype: torch.dtype,
    start: int,
    fork_at: int,
    cut: int,
    seeds: str,
    blend: Any,
    size: int | None,
) -> None:
    latents = sheet(batch, 4, *masks.size, dtype=dtype)
    run = {
        "table": table,
        "sampler": sampler,
        "steps": 5,
        "start_at_step": start,
        "fork_at": fork_at,
        "fork_seeds": seeds,
        "blend": blend,
        "micro_batch": size,
    }
    uncut = sample_forks(Network(), latents, masks, **run).latents
    first = sample_forks(Network(), latents, masks, end_at_step=cut, **LEFTOVER, **run)
    assert torch.equal(continue_forks(Network(), first, micro_batch=size).latents, uncut)


@every_sampler
@pytest.mark.parametrize("fork_at", [0, 4])
def test_a_file_is_as_good(sampler: str, fork_at: int, tmp_path: Path) -> None:
    run = {"table": FLOW, "sampler": sampler, "steps": 5, "fork_at": fork_at, "fork_seeds": "increment"}
    first = sample_forks(Network(), LATENTS, MASKS, end_at_step=3, **LEFTOVER, **run)
    first.save(tmp_path / "forks.safetensors")
    loaded = ForkLatents.load(tmp_path / "forks.safetensors")
    assert torch.equal(loaded.latents, first.latents)
    going_on = continue_forks(Network(), loaded).latents
    assert torch.equal(going_on, sample_forks(Network(), LATENTS, MASKS, **run).latents)


OTHER_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from forking import Network
from maskgrid.sampling import ForkLatents, continue_forks

continue_forks(Network(), ForkLatents.load(sys.argv[2])).save(sys.argv[3])
assert "diffusers" not in sys.modules
"""


@pytest.mark.parametrize("sampler", ["dpmpp_3m_sde"])
def test_another_process_can_go_on(sampler: str, tmp_path: Path) -> None:
    scale = torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(0)) + 0.5
    run = {
        "table": SD,
        "sampler": sampler,
        "steps": 6,
        "fork_at": 2,
        "scaling_factor": scale,
        "shift_factor": 0.1,
    }
    first = sample_forks(Network(), LATENTS, MASKS, end_at_step=4, **LEFTOVER, **run)
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    first.save(before)
    arguments = [str(Path(__file__).parent), str(before), str(after)]
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, *arguments], check=True, timeout=120)
    expected = sample_forks(Network(), LATENTS, MASKS, **run)
    assert torch.equal(ForkLatents.load(after).latents, expected.latents)


# Noisy forks


@pytest.mark.parametrize("table", [SD, FLOW])
@pytest.mark.parametrize("fork_at", [0, 6])
@pytest.mark.parametrize("seeds", ["same", "increment"])
def test_leftover_noise_is_everywhere(table: NoiseTable, fork_at: int, seeds: str) -> None:
    """Around its cell a noisy fork is the clean sheet noised to the same sigma, with the fork's own noise."""
    run = {"table": table, "steps": 6, "fork_at": fork_at, "end_at_step": 3, "seed": 5, "fork_seeds": seeds}
    forks = sample_forks(Network(), LATENTS, MASKS, micro_batch=1, **LEFTOVER, **run)
    assert forks.sigma > 0
    for n, (fork, (top, left, bottom, right)) in enumerate(zip(forks, MASKS.writes.tolist(), strict=True)):
        seed = 5 + n * (seeds == "increment")
        noise = torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(seed))
        around = table.finish(table.noised(LATENTS, noise, forks.sigma), forks.sigma)
        cell = torch.zeros(9, 11, dtype=torch.bool)
        cell[top:bottom, left:right] = True
        assert torch.equal(fork[..., ~cell], around[..., ~cell])
        assert not torch.equal(fork[..., cell], around[..., cell])


def test_the_surroundings_of_ddim_have_other_noise() -> None:
    """As in ComfyUI: the run starts from the noise of its seed, the surroundings have that of seed + 1."""
    run = {"table": SD, "steps": 6, "mode": "fork", "end_at_step": 3, "seed": 5, "sampler": "ddim"}
    forks = sample_forks(Network(), LATENTS, MASKS, **LEFTOVER, **run)
    noise = torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(6))
    kept = MASKS.batch()[0, 0] == 0
    assert torch.equal(forks[0][..., kept], SD.noised(LATENTS, noise, forks.sigma)[..., kept])


def test_compat_leaves_a_noisy_cell_in_clean_surroundings() -> None:
    run = {"table": SD, "steps": 6, "end_at_step": 3, "mode": "sample", "compat": True}
    forks = sample_forks(Network(), LATENTS, MASKS, **LEFTOVER, **run)
    for fork, (top, left, bottom, right) in zip(forks, forks.masks.writes.tolist(), strict=True):
        cell = torch.zeros(9, 11, dtype=torch.bool)
        cell[top:bottom, left:right] = True
        assert torch.equal(fork[..., ~cell], LATENTS[..., ~cell])
        # All of the cell, also where the stencil is black.
        assert (fork[..., cell] != LATENTS[..., cell]).all()
    with pytest.raises(InvalidValueError, match="compat=False"):
        continue_forks(Network(), forks)


def test_compat_gives_cells_of_the_first_batch_item_only() -> None:
    latents = sheet(2, 4, 9, 11)
    ours = sample_forks(Network(), latents, MASKS, table=SD, steps=3)
    original = sample_forks(Network(), latents, MASKS, table=SD, steps=3, compat=True)
    for fork, same in zip(ours, original, strict=True):
        assert not torch.equal(fork[1], latents[1])
        assert torch.equal(same[1], latents[1])


def test_a_second_stage_of_plain_latents_pins_the_outside_to_noise() -> None:
    """What the original does with a noisy latent, add_noise off and a mask; carrying on does it right."""
    run = {"table": SD, "steps": 6, "mode": "fork"}
    first = sample_forks(Network(), LATENTS, MASKS, end_at_step=3, **LEFTOVER, **run)
    noisy = first[0]
    pinned = sample_forks(Network(), noisy, MASKS, add_noise=False, start_at_step=3, **run)
    kept = MASKS.batch()[0, 0] == 0
    assert torch.equal(pinned[0][..., kept], noisy[..., kept])
    assert not torch.equal(noisy[..., kept], LATENTS[..., kept])
    assert torch.equal(continue_forks(Network(), first)[0][..., kept], LATENTS[..., kept])


# Going on in other ways


@pytest.mark.parametrize("fork_at", [1, 6])
def test_picked_forks_go_on_alone(fork_at: int) -> None:
    run = {"table": SD, "sampler": "dpmpp_2m_sde", "steps": 6, "fork_at": fork_at, "fork_seeds": "increment"}
    whole = sample_forks(Network(), LATENTS, MASKS, **run)
    first = sample_forks(Network(), LATENTS, MASKS, end_at_step=3, **LEFTOVER, **run)
    picked = continue_forks(Network(), first.pick([2, 0]))
    assert picked.numbers == (2, 0)
    for number in (2, 0):
        assert relative(picked[number], whole[number]) < 1e-5
    assert torch.equal(first[1:3].latents, first.latents[1:3])


def test_going_on_with_another_network_changes_only_what_comes() -> None:
    run = {"table": SD, "steps": 6, "fork_at": 3}
    first = sample_forks(Network(seed=1), LATENTS, MASKS, end_at_step=3, **LEFTOVER, **run)
    same, other = continue_forks(Network(seed=1), first), continue_forks(Network(seed=2), first)
    assert relative(other.latents, same.latents) > 1e-3


def test_another_sampler_starts_without_history() -> None:
    run = {"table": SD, "steps": 6, "mode": "fork", "end_at_step": 3}
    multistep = sample_forks(Network(), LATENTS, MASKS, sampler="dpmpp_2m", **LEFTOVER, **run)
    assert multistep.state is not None
    assert multistep.run is not None
    assert multistep.state.memory
    switched = continue_forks(Network(), multistep, sampler="euler")
    fresh = replace(
        multistep,
        run=replace(multistep.run, sampler="euler"),
        state=replace(multistep.state, memory={}),
    )
    assert torch.equal(switched.latents, continue_forks(Network(), fresh).latents)
    with pytest.raises(InvalidValueError, match="'euler'"):
        continue_forks(Network(), multistep, sampler="eulr")


def test_stopping_early_without_noise_goes_down_to_zero() -> None:
    run = {"table": SD, "steps": 8, "fork_at": 2, "sampler": "dpmpp_2m"}
    first = sample_forks(Network(), LATENTS, MASKS, end_at_step=3, **LEFTOVER, **run)
    ended = continue_forks(Network(), first, end_at_step=5)
    assert ended.sigma == 0
    assert torch.equal(ended.latents, sample_forks(Network(), LATENTS, MASKS, end_at_step=5, **run).latents)


def test_the_steps_that_are_told_go_on() -> None:
    steps: list[tuple[int, int]] = []
    run = {"table": SD, "steps": 6, "start_at_step": 1, "fork_at": 2, "end_at_step": 3}
    first = sample_forks(Network(), LATENTS, MASKS, **LEFTOVER, **run)
    assert first.run is not None
    assert first.state is not None
    assert first.run.first + first.state.step == 3
    continue_forks(Network(), first, callback=lambda p: steps.append((p.step, p.steps)))
    assert steps == [(3, 6), (4, 6), (5, 6)]


def test_there_has_to_be_something_to_go_on_with() -> None:
    finished = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=2)
    with pytest.raises(InvalidValueError, match="sigma 0 and no state"):
        continue_forks(Network(), finished)
    first = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=4, end_at_step=2, **LEFTOVER)
    for end in (0, 2):
        with pytest.raises(InvalidValueError, match=f"end_at_step is {end}; allowed: 3 or more"):
            continue_forks(Network(), first, end_at_step=end)


# Results as objects and files


def test_results_say_what_they_are() -> None:
    forks = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=4, end_at_step=2, **LEFTOVER)
    assert repr(forks) == (
        "<ForkLatents: 4 forks of a sheet of 2 x 2 cells, latents (1, 4, 9, 11) float32, "
        f"sigma {forks.sigma:g}>"
    )
    assert (len(forks), forks.rows, forks.columns, forks.cells) == (4, 2, 2, (0, 1, 2, 3))
    assert len(list(forks)) == 4
    assert torch.equal(torch.cat(list(forks)), forks.latents)


@pytest.mark.parametrize("number", [4, -1, 9])
def test_forks_that_are_not_there(number: int) -> None:
    forks = sample_forks(Network(), LATENTS, MASKS, table=SD, steps=1)
    with pytest.raises(IndexError, match=f"fork {number} is not here; allowed: 0, 1, 2, 3"):
        forks[number]
    with pytest.raises(InvalidValueError, match="at most once"):
        forks.pick([1, 1])


def test_finished_results_are_saved_too(tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        forks = sample_forks(Network(), LATENTS.to(dtype), MASKS, table=SD, steps=2, mode="fork")[1:3]
        forks.save(tmp_path / "forks.safetensors")
        loaded = ForkLatents.load(tmp_path / "forks.safetensors")
        assert torch.equal(loaded.latents, forks.latents)
        assert torch.equal(loaded.merged(), forks.merged())
        assert (loaded.numbers, loaded.cells, loaded.state) == ((1, 2), (1, 2), None)
    assert [path.name for path in tmp_path.iterdir()] == ["forks.safetensors"]


@pytest.mark.parametrize(
    ("name", "sampler", "fork_at"), [("apart_dpmpp_2m", "dpmpp_2m", 1), ("together_uni_pc", "uni_pc", 5)]
)
def test_files_of_version_0_1_are_read(name: str, sampler: str, fork_at: int) -> None:
    """They were made with the sheet, masks and network of this test, 3 of 6 steps."""
    first = ForkLatents.load(Path(__file__).parents[1] / "data" / "states" / f"{name}_0_1.safetensors")
    uncut = sample_forks(
        lambda x, _: torch.tanh(x),
        LATENTS,
        MASKS,
        table=SD,
        steps=6,
        start_at_step=1,
        sampler=sampler,
        fork_at=fork_at,
        scaling_factor=torch.full((4, 1, 1), 0.5),
    )
    assert torch.equal(continue_forks(lambda x, _: torch.tanh(x), first).latents, uncut.latents)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.safetensors"
    text.write_text("hello")
    save_file({"x": torch.zeros(1)}, other)
    with pytest.raises(InvalidValueError, match="can't be read"):
        ForkLatents.load(text)
    with pytest.raises(InvalidValueError, match="holds no forks"):
        ForkLatents.load(other)
    with pytest.raises(FileNotFoundError):
        ForkLatents.load(tmp_path / "missing")


def test_a_table_of_ones_own_cannot_be_saved(tmp_path: Path) -> None:
    class MyTable(DiscreteTable):
        pass

    table = MyTable(torch.linspace(0.99, 0.01, 10, dtype=torch.float64))
    forks = sample_forks(Network(), LATENTS, MASKS, table=table, steps=4, end_at_step=2, **LEFTOVER)
    with pytest.raises(InvalidTypeError, match="MyTable"):
        forks.save(tmp_path / "forks.safetensors")
    assert not list(tmp_path.iterdir())
