"""Forks and merged sheet from what was sampled, and what a LATENT carries."""

import pytest
import torch

from maskgrid.errors import InvalidValueError
from maskgrid.hosts.comfyui.carried_forks import CarriedForks, carried_by, latent_with
from maskgrid.hosts.comfyui.finish_forks import copy_cells, finish_forks, merge_forks
from maskgrid.hosts.comfyui.sheet_plan import over_time, plan_sheet
from maskgrid.hosts.comfyui.single_run_draws import repeat_rows


@pytest.fixture(params=[(2, 4, 4, 6), (1, 16, 3, 4, 6)], ids=["4 axes", "5 axes"])
def sheet(request) -> torch.Tensor:
    return torch.randn(request.param)


@pytest.fixture
def plan():
    mask = torch.zeros(1, 16, 16, 3)
    mask[:, :, 8:] = 0.5
    return plan_sheet(mask, (4, 6), 2, 3, stride=8, cells=[0, 4, 5])


def sampled_of(plan, sheet) -> torch.Tensor:
    return torch.randn(len(plan.live) * len(sheet), *sheet.shape[1:])


def test_outside_is_the_sheet_and_inside_is_what_was_sampled(plan, sheet):
    sampled = sampled_of(plan, sheet)
    forks = finish_forks(plan, sheet, sampled, noisy=False)
    inside = (over_time(plan.masks, sheet) > 0).repeat_interleave(len(sheet), 0)
    assert torch.equal(forks, torch.where(inside, sampled, repeat_rows(sheet, 3)))


def test_with_noise_left_all_is_what_was_sampled(plan, sheet):
    sampled = sampled_of(plan, sheet)
    assert torch.equal(finish_forks(plan, sheet, sampled, noisy=True), sampled)


def test_cells_of_one_run_are_cut_apart(plan, sheet):
    together = torch.randn_like(sheet)
    forks = finish_forks(plan, sheet, together, noisy=False)
    assert torch.equal(forks, finish_forks(plan, sheet, repeat_rows(together, 3), noisy=False))


def test_forks_without_anything_to_sample_are_the_sheet(sheet):
    masks = torch.zeros(3, 32, 16)
    masks[1] = 1
    plan = plan_sheet(masks, (4, 6), 1, 3, stride=8)
    forks = finish_forks(plan, sheet, torch.randn_like(sheet), noisy=False)
    assert torch.equal(torch.cat([forks[: len(sheet)], forks[-len(sheet) :]]), repeat_rows(sheet, 2))


def test_merged_has_every_cell(plan, sheet):
    sampled = sampled_of(plan, sheet)
    forks = finish_forks(plan, sheet, sampled, noisy=False)
    merged = merge_forks(plan, sheet, forks)
    expected = sheet.clone()
    for number, mask in enumerate(over_time(plan.masks, sheet)):
        rows = sampled[number * len(sheet) : (number + 1) * len(sheet)]
        expected = torch.where(mask > 0, rows, expected)
    assert torch.equal(merged, expected)


def test_whole_cells_are_copied_where_the_original_node_does(plan, sheet):
    together = torch.randn_like(sheet)
    fork = copy_cells(plan, sheet, together)[len(sheet) : 2 * len(sheet)]
    expected = sheet.clone()
    expected[..., 2:4, 2:4] = together[..., 2:4, 2:4]
    assert torch.equal(fork, expected)


def test_other_keys_stay_and_follow_the_rows():
    latent = {
        "samples": torch.zeros(2, 4, 4, 6),
        "noise_mask": torch.rand(2, 1, 32, 48),
        "batch_index": [4, 9],
        "downscale_ratio_spacial": 8,
        "mine": "kept",
    }
    found = latent_with(latent, torch.zeros(6, 4, 4, 6))
    kept = found["batch_index"], tuple(found["noise_mask"].shape), found["mine"], sorted(found)
    names = ["batch_index", "mine", "noise_mask", "samples"]
    assert kept == ([4, 9, 4, 9, 4, 9], (6, 1, 32, 48), "kept", names)


def carrying(plan, sheet, rows: int) -> dict:
    carried = CarriedForks(sheet, torch.zeros_like(sheet), plan, together=False)
    return latent_with({"samples": sheet}, torch.zeros(rows, *sheet.shape[1:]), carried)


def test_unfinished_forks_are_found_again(plan, sheet):
    found = carried_by(carrying(plan, sheet, 3 * len(sheet)), 2, 3)
    assert found.plan is plan


def test_a_plain_latent_carries_nothing(sheet):
    assert carried_by({"samples": sheet}, 2, 3) is None


@pytest.mark.parametrize(("rows", "grid"), [(1, (2, 3)), (9, (2, 3)), (3, (3, 2))])
def test_forks_of_another_grid_or_picked_ones_are_refused(plan, rows, grid):
    latent = carrying(plan, torch.zeros(1, 4, 4, 6), rows)
    with pytest.raises(InvalidValueError, match="carries"):
        carried_by(latent, *grid)
