"""Several tries of every cell in one run: each comes out as a run of its own would."""

from pathlib import Path

import pytest
import torch
from forking import SD, Network, cell_masks, relative, sheet

from maskgrid.errors import InvalidValueError
from maskgrid.sampling import Controls, ForkLatents, continue_forks, prepare_forks, sample_forks
from maskgrid.sampling.forking.fork_sampling import answer_with
from maskgrid.sampling.samplers import SAMPLERS

MASKS = cell_masks(2, 3, (9, 11))
LATENTS = sheet(1, 4, 9, 11)
COUNT = len(MASKS)
SEEDS = (3, 77, 1)
EACH = [seed for seed in SEEDS for _ in range(COUNT)]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("fork_at", [0, 2, 4])
def test_each_try_is_the_run_with_its_seed(sampler: str, fork_at: int) -> None:
    network = Network()
    options = {"table": SD, "sampler": sampler, "steps": 4, "fork_at": fork_at}
    tries = sample_forks(network, LATENTS, MASKS.repeat(3), fork_seeds=EACH, micro_batch=4, **options)
    alone = [sample_forks(network, LATENTS, MASKS, seed=seed, **options) for seed in SEEDS]
    assert tries.cells == MASKS.cells * 3
    assert relative(tries.latents, torch.cat([each.latents for each in alone])) < 1e-5, (
        f"{sampler}, {fork_at}"
    )


def test_tries_that_stopped_early_go_on(tmp_path: Path) -> None:
    options = {"table": SD, "steps": 5, "fork_at": 2, "fork_seeds": EACH}
    whole = sample_forks(Network(), LATENTS, MASKS.repeat(3), **options)
    stopped = sample_forks(
        Network(), LATENTS, MASKS.repeat(3), end_at_step=3, return_with_leftover_noise=True, **options
    )
    stopped.save(tmp_path / "stopped.safetensors")
    loaded = ForkLatents.load(tmp_path / "stopped.safetensors").pick([17, 0, 8])
    gone_on = continue_forks(Network(), loaded)
    assert relative(gone_on.latents, whole.pick([17, 0, 8]).latents) < 1e-5


def test_noise_that_is_left_in_several_sheets_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="one variant"):
        sample_forks(
            Network(),
            LATENTS,
            MASKS.repeat(2),
            table=SD,
            steps=5,
            end_at_step=3,
            return_with_leftover_noise=True,
            fork_seeds="increment",
        )


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "dpmpp_sde", "uni_pc"])
def test_forks_of_a_sheet_each_are_runs_of_their_own(sampler: str, tmp_path: Path) -> None:
    """Six forks of six sheets, in batches of four, against six runs of one fork."""
    sheets = torch.stack([sheet(1, 4, 9, 11) * scale for scale in (1, -1, 0.5, 2, -0.3, 0.1)])
    controls = Controls(sampler=sampler, steps=4, mode="fork", fork_seeds=range(6))
    sampling = prepare_forks(sheets, MASKS, controls, table=SD, own_sheets=True, micro_batch=4)
    forks = sampling.complete(answer_with(Network()))
    for number in range(COUNT):
        alone = sample_forks(
            Network(), sheets[number], MASKS, table=SD, sampler=sampler, steps=4, fork_at=0, seed=number
        )
        assert relative(forks[number], alone[number]) < 1e-5, number
    forks.save(tmp_path / "forks.safetensors")
    loaded = ForkLatents.load(tmp_path / "forks.safetensors")
    assert torch.equal(loaded.latents, forks.latents)
    assert torch.equal(loaded.image_latents, sheets)
    with pytest.raises(InvalidValueError, match="6 sheets"):
        loaded.merged()


def test_forks_of_a_sheet_each_are_never_together() -> None:
    with pytest.raises(InvalidValueError, match="together"):
        prepare_forks(LATENTS.expand(6, *LATENTS.shape), MASKS, Controls(), table=SD, own_sheets=True)
    with pytest.raises(InvalidValueError, match="2 sheets; allowed: 6"):
        prepare_forks(torch.stack([LATENTS] * 2), MASKS, Controls(fork_at=0), table=SD, own_sheets=True)
