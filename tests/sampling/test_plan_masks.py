"""A fork plan of the geometry layer gives the sampling layer the masks that it has."""

import torch
from forking import SD, Network, relative, sheet
from hypothesis import given, settings
from hypothesis import strategies as st

from maskgrid.geometry import ForkPlan, Grid
from maskgrid.sampling import sample_forks
from maskgrid.sampling.forking.fork_masks import as_fork_masks


@settings(max_examples=30)
@given(
    grid=st.sampled_from(
        [
            Grid(2, 3, cell=(64, 64)),
            Grid(1, 4, cell=(40, 20)),
            Grid(3, 2, cell=(24, 40), gap=(8, 16), margin=(8, 8)),
        ]
    ),
    coverage=st.sampled_from(["center", "nearest", "area", "max", "min"]),
    cells=st.sampled_from([None, [1], [3, 0]]),
)
def test_a_plan_gives_its_own_masks(grid: Grid, coverage: str, cells: list[int] | None) -> None:
    stencil = (sheet(grid.cell.height, grid.cell.width) > 0).numpy()
    plan = ForkPlan(grid, stencil, coverage=coverage, cells=cells)
    masks = as_fork_masks(plan, None, None)
    assert masks.cells == plan.cells
    assert torch.equal(masks.batch(), torch.tensor(plan.noise_masks()))
    assert torch.equal(masks.sheet(), torch.tensor(plan.sheet_mask()))
    assert masks.writes.tolist() == plan.writes.tolist()


@settings(max_examples=10)
@given(mode=st.sampled_from(["sample", "fork"]), steps=st.integers(1, 3))
def test_a_plan_and_its_masks_as_a_tensor_make_the_same_forks(mode: str, steps: int) -> None:
    plan = ForkPlan(Grid(2, 3, cell=(32, 40)), (sheet(32, 40) > 0).numpy())
    latents = sheet(1, 4, 8, 15)
    forks = sample_forks(Network(), latents, plan, table=SD, mode=mode, steps=steps)
    masks = torch.tensor(plan.noise_masks())
    same = sample_forks(Network(), latents, masks, rows=2, columns=3, table=SD, mode=mode, steps=steps)
    assert relative(forks.latents, same.latents) < 1e-5


def test_a_plan_without_forks_gives_none() -> None:
    plan = ForkPlan(Grid(2, 2, cell=(16, 16)), torch.zeros(16, 16).numpy())
    for seeds in ("same", "increment", []):
        forks = sample_forks(Network(), sheet(1, 4, 4, 4), plan, table=SD, steps=2, fork_seeds=seeds)
        assert len(forks) == 0
        assert forks.latents.shape == (0, 4, 4, 4)
        assert torch.equal(forks.merged(), sheet(1, 4, 4, 4))
