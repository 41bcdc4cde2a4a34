"""Solvers that choose their steps themselves, dpm_fast and dpm_adaptive: where they evaluate and land."""

import math
from functools import partial

import pytest
import torch
from forking import Network, cell_masks, relative, sheet
from solving import Denoiser, crooked, gaussian_denoiser, gaussian_std, solve, take_steps
from torch import Tensor

from maskgrid.errors import MaskGridError
from maskgrid.sampling import sample_forks
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import make_sigmas
from maskgrid.sampling.samplers import SAMPLERS
from maskgrid.sampling.samplers.dpm_adaptive import dpm_adaptive
from maskgrid.sampling.samplers.dpm_fast import dpm_fast
from maskgrid.sampling.samplers.noise import initial_noise
from maskgrid.sampling.samplers.walk import Solver, Walk

TABLES = {"epsilon": NoiseTable.stable_diffusion(), "flow": NoiseTable.flow(3.0)}
VE = TABLES["epsilon"]
SHAPE = (1, 2, 4, 5)

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


@each_table
@pytest.mark.parametrize("name", [name for name, info in SAMPLERS.items() if info.own_steps])
def test_a_cut_run_with_steps_of_its_own_lands_on_the_sigma_of_the_cut(name: str, table: NoiseTable) -> None:
    """With the exact denoiser of Gaussian images, x at every sigma has the model's variance there."""
    sigmas = torch.linspace(0.98 if table.is_flow else 10.0, 0.1, 25)
    x = initial_noise(SHAPE, 3) * gaussian_std(table, sigmas[0])
    for cut in (1, 2, 12, 20):
        end, _ = take_steps(name, x, sigmas, table, gaussian_denoiser(table), stop=cut)
        expected = x * (gaussian_std(table, sigmas[cut]) / gaussian_std(table, sigmas[0]))
        torch.testing.assert_close(end, expected, rtol=0.02, atol=0.02)
        end, _ = take_steps(name, end, sigmas, table, gaussian_denoiser(table), start=cut)
        expected = x * (gaussian_std(table, sigmas[-1]) / gaussian_std(table, sigmas[0]))
        torch.testing.assert_close(end, expected, rtol=0.05, atol=0.05)


def test_an_adaptive_solver_measures_its_error_over_the_whole_sheet() -> None:
    """A part of the sheet, outside of which nothing changes, takes the steps of the whole."""
    sigmas = make_sigmas("karras", VE, 7)
    sheet = VE.start(torch.zeros(1, 2, 8, 9), initial_noise((1, 2, 8, 9), 3), sigmas[0])
    image = torch.linspace(-1, 1, sheet.numel()).reshape(sheet.shape)
    part = (..., slice(1, 5), slice(3, 8))
    asked: dict[str, list[float]] = {"whole": [], "part": [], "part alone": []}

    def whole(x: Tensor, sigma: Tensor) -> Tensor:
        asked["whole"].append(float(sigma))
        denoised = image.clone()
        denoised[part] = crooked(x[part], sigma)
        return denoised

    def inside(name: str) -> Denoiser:
        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            asked[name].append(float(sigma))
            return crooked(x, sigma)

        return denoise

    expected = solve(dpm_adaptive, sheet, Walk(sigmas, VE), whole)
    walk = Walk(sigmas, VE, sheet_size=sheet.numel())
    end = solve(dpm_adaptive, sheet[part], walk, inside("part"))
    torch.testing.assert_close(end, expected[part], rtol=1e-4, atol=1e-5)
    assert asked["part"] == pytest.approx(asked["whole"], rel=1e-4)
    solve(dpm_adaptive, sheet[part], Walk(sigmas, VE), inside("part alone"))
    assert asked["part alone"] != pytest.approx(asked["whole"], rel=1e-4)


@pytest.mark.parametrize("fork_at", [0, 3])
def test_forks_alone_take_the_steps_of_whole_sheets(fork_at: int) -> None:
    """The engine walks inside their patches; as the original it walks on whole sheets."""
    latents, masks = sheet(1, 4, 12, 16), cell_masks(2, 2, (12, 16), kind="hard")
    run = {"table": VE, "sampler": "dpm_adaptive", "schedule": "karras", "steps": 8, "fork_at": fork_at}
    own = sample_forks(Network(), latents, masks, **run).latents
    whole = sample_forks(Network(), latents, masks, compat=True, **run).latents
    inside = masks.batch().expand_as(own) == 1
    # Outside the stencil the two orders differ by rounding, which has a say in the first, short steps.
    assert relative(own[inside], whole[inside]) < 1e-4


@pytest.mark.parametrize("answer", [math.nan, math.inf])
def test_an_adaptive_solver_gives_up_on_what_is_no_number(answer: float) -> None:
    sigmas = torch.tensor([4.0, 1.0, 0.5])
    with pytest.raises(MaskGridError, match=r"dpm_adaptive found no step at sigma 4 .*nan"):
        solve(dpm_adaptive, torch.ones(SHAPE), Walk(sigmas, VE), lambda x, sigma: x * answer)


@pytest.mark.parametrize(
    ("steps", "orders"),
    [(1, [1]), (2, [2]), (3, [2, 1]), (4, [3, 1]), (5, [3, 2]), (6, [3, 2, 1]), (9, [3, 3, 2, 1])],
)
def test_dpm_fast_spends_its_evaluations_on_steps_even_in_log_sigma(steps: int, orders: list[int]) -> None:
    sigmas = torch.linspace(8.0, 1.0, steps + 1)
    asked: list[float] = []

    def network(x: Tensor, sigma: Tensor) -> Tensor:
        asked.append(float(sigma.log2()))
        return x * 0

    solve(dpm_fast, torch.ones(SHAPE), Walk(sigmas, VE), network)
    length = 3 / len(orders)
    shares = {1: [0], 2: [0, 1 / 2], 3: [0, 1 / 3, 2 / 3]}
    expected = [3 - length * (i + share) for i, order in enumerate(orders) for share in shares[order]]
    assert asked == pytest.approx(expected, abs=1e-5)
    assert len(asked) == steps


def test_an_adaptive_solver_errs_less_where_it_is_allowed_less() -> None:
    errors, calls = [], []
    for tolerance in (1.0, 0.1, 0.01):
        asked: list[float] = []

        def network(x: Tensor, sigma: Tensor, asked: list[float] = asked) -> Tensor:
            asked.append(float(sigma))
            return gaussian_denoiser(VE)(x, sigma)

        sigmas = torch.tensor([10.0, 0.1], dtype=torch.float64)
        solver = partial(dpm_adaptive, rtol=0.05 * tolerance, atol=0.0078 * tolerance)
        end = solve(solver, gaussian_std(VE, sigmas[0]).reshape(1, 1, 1, 1), Walk(sigmas, VE), network)
        errors.append(abs(float(end - gaussian_std(VE, sigmas[1]))))
        calls.append(len(asked))
    assert errors[2] < errors[1] / 5 < errors[0] / 25
    assert calls == sorted(set(calls))


@pytest.mark.parametrize("solver", [dpm_fast, dpm_adaptive])
def test_where_sigma_stays_there_is_nothing_to_do(solver: Solver) -> None:
    """Schedules with more steps than the table has entries repeat sigmas."""
    x, sigmas = torch.ones(SHAPE), torch.tensor([4.0, 1.0, 1.0, 1.0, 0.0])
    assert solve(solver, x, Walk(sigmas, VE, start=1, stop=3), crooked) is x
    assert torch.equal(solve(solver, x, Walk(sigmas, VE, start=1), crooked), crooked(x, sigmas[1]))
