"""Schedules: laws for every name and table, and what the names mean."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.sampling.noise_levels.noise_table import FlowTable, NoiseTable
from maskgrid.sampling.noise_levels.schedules import SCHEDULES, check_sigmas, make_sigmas, schedule_sigmas

SD = NoiseTable.stable_diffusion()
FLOW = NoiseTable.flow(3.0)
TABLES = {
    "sd": SD,
    "zero_snr": NoiseTable.stable_diffusion("v_prediction", zero_terminal_snr=True),
    "flow": FLOW,
    "flow_unshifted": NoiseTable.flow(),
    "flow_large": FlowTable(math.exp(1.15), steps=10_000),
}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES)
any_table = st.sampled_from(sorted(TABLES))
EXACT_LENGTH = set(SCHEDULES) - {"ddim_uniform", "beta"}
FROM_THE_TOP = set(SCHEDULES) - {"ddim_uniform"}


@given(name=any_table, steps=st.integers(1, 80))
@settings(deadline=None)
@each_schedule
def test_sigmas_fall_to_zero(schedule: str, name: str, steps: int) -> None:
    table = TABLES[name]
    sigmas = schedule_sigmas(schedule, table, steps)
    assert sigmas.dtype == torch.float32
    assert bool(sigmas.isfinite().all())
    assert bool((sigmas.diff() < 0).all())
    assert sigmas[-1] == 0
    # The tangent of an angle next to a right one is coarse in float32.
    tolerance = 1e-3 if schedule == "kl_optimal" else 1e-5
    assert float(sigmas[0]) <= table.sigma_max * (1 + tolerance)
    if schedule in EXACT_LENGTH:
        assert len(sigmas) == steps + 1
    if schedule in FROM_THE_TOP:
        assert float(sigmas[0]) == pytest.approx(table.sigma_max, rel=tolerance)


@given(name=any_table, steps=st.integers(1, 80))
@settings(deadline=None)
def test_ddim_uniform_has_a_whole_stride(name: str, steps: int) -> None:
    table = TABLES[name]
    sigmas = schedule_sigmas("ddim_uniform", table, steps)
    entries = [int((table.sigmas == sigma).nonzero()) for sigma in sigmas[:-1]]
    assert {a - b for a, b in pairwise(entries)} <= {len(table.sigmas) // steps}
    assert entries[-1] == 1
    assert len(sigmas) >= steps


@given(name=any_table, steps=st.integers(1, 80))
@settings(deadline=None)
@each_schedule
def test_schedules_stay_inside_the_table(schedule: str, name: str, steps: int) -> None:
    table = TABLES[name]
    low = float(table.sigma(table.timestep(table.sigma_min))) if schedule == "normal" else table.sigma_min
    if schedule != "linear_quadratic":
        assert float(schedule_sigmas(schedule, table, steps)[-2]) >= low * (1 - 1e-4)


@given(steps=st.integers(1, 60), denoise=st.floats(0.05, 0.999), sampler=st.sampled_from(["euler", "dpm_2"]))
@settings(deadline=None)
@each_schedule
def test_denoise_takes_the_end_of_a_longer_list(
    schedule: str, steps: int, denoise: float, sampler: str
) -> None:
    whole = make_sigmas(schedule, SD, int(steps / denoise), sampler=sampler)
    part = make_sigmas(schedule, SD, steps, sampler=sampler, denoise=denoise)
    assert torch.equal(part, whole[-(steps + 1) :])
    assert len(part) == min(steps + 1, len(whole))


@pytest.mark.parametrize("sampler", ["dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"])
@each_schedule
def test_some_samplers_lose_the_last_sigma_above_zero(schedule: str, sampler: str) -> None:
    longer = schedule_sigmas(schedule, SD, 8)
    sigmas = make_sigmas(schedule, SD, 7, sampler=sampler)
    assert torch.equal(sigmas, torch.cat([longer[:-2], longer[-1:]]))
    assert torch.equal(make_sigmas(schedule, SD, 8, sampler="euler"), longer)


# --- what the names mean


def test_even_schedules_are_even() -> None:
    gaps = {
        "karras": lambda s: s ** (1 / 7),
        "exponential": torch.log,
        "kl_optimal": torch.atan,
        "normal": lambda s: SD.timestep(s).double(),
    }
    for name, scale in gaps.items():
        values = scale(schedule_sigmas(name, SD, 12)[:-1].double())
        spread = values.diff()
        tolerance = 1.0 if name == "normal" else 1e-5
        assert float(spread.max() - spread.min()) <= tolerance, name
        assert float(values[-1]) == pytest.approx(
            float(scale(torch.tensor(SD.sigma_min))), rel=1e-4, abs=1e-6
        )


def test_sgm_uniform_is_normal_with_one_step_more_and_no_end() -> None:
    assert torch.equal(schedule_sigmas("sgm_uniform", SD, 9)[:-1], schedule_sigmas("normal", SD, 10)[:-2])


def test_simple_takes_table_entries_from_the_top() -> None:
    assert torch.equal(schedule_sigmas("simple", SD, 4)[:-1], SD.sigmas[[999, 749, 499, 249]])


def test_normal_shifts_flow_times_a_second_time() -> None:
    # Training times come from shifted sigmas and are shifted again on their way back: ComfyUI's convention.
    sigmas = schedule_sigmas("normal", FLOW, 3)
    last = FLOW.sigma_min
    middle = (1 + last) / 2
    expected = [1.0, 3 * middle / (1 + 2 * middle), 3 * last / (1 + 2 * last), 0.0]
    torch.testing.assert_close(sigmas, torch.tensor(expected), rtol=1e-5, atol=0)


def test_beta_is_dense_at_both_ends_and_drops_repeats() -> None:
    times = SD.timestep(schedule_sigmas("beta", SD, 20)[:-1])
    gaps = -times.diff()
    assert int(gaps[0]) < int(gaps[10]) > int(gaps[-1])
    assert len(schedule_sigmas("beta", SD, 900)) < 901


def test_linear_quadratic_is_smooth_where_its_halves_meet() -> None:
    removed = 1 - schedule_sigmas("linear_quadratic", NoiseTable.flow(), 40).double()
    assert float(removed[20]) == pytest.approx(0.025, abs=1e-6)
    slopes = removed.diff()
    torch.testing.assert_close(
        slopes[:20], torch.full((20,), 0.00125, dtype=torch.float64), rtol=1e-3, atol=0
    )
    bend = slopes[20:].diff()
    assert float(bend.std()) < 1e-6 < float(bend.mean())
    assert float(slopes[20] - slopes[19]) == pytest.approx(float(bend.mean()) / 2, rel=1e-2)


def test_more_steps_than_the_table_has() -> None:
    assert len(schedule_sigmas("simple", SD, 2500)) == 2501
    assert len(schedule_sigmas("simple", SD, 2500).unique()) == 1001
    assert len(schedule_sigmas("ddim_uniform", SD, 2500)) == 1000
    assert len(make_sigmas("karras", SD, 10_000)) == 10_001


# --- a list of one's own


def test_own_sigmas_are_taken_as_they_are() -> None:
    given_sigmas = [14.0, 3.5, 1.0, 0.25]
    assert torch.equal(make_sigmas(given_sigmas, SD, 99, sampler="dpm_2"), torch.tensor(given_sigmas))
    double = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    assert check_sigmas(double, FLOW).dtype == torch.float32


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        ([1.0], "shape"),
        ([[1.0, 0.0]], "shape"),
        ([1.0, math.nan, 0.0], "finite"),
        ([math.inf, 1.0], "finite"),
        ([1.0, -0.5], "none below 0"),
        ([1.0, 0.5, 0.5, 0.0], "from 0.5 to 0.5 at step 1"),
        ([0.1, 1.0], "falling"),
    ],
)
def test_bad_sigmas_are_named(sigmas: list[float], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        check_sigmas(sigmas, SD)


def test_flow_sigmas_end_at_one() -> None:
    with pytest.raises(InvalidValueError, match="begins at 14"):
        check_sigmas([14.0, 0.0], FLOW)


def test_sigmas_of_another_kind() -> None:
    with pytest.raises(InvalidTypeError, match="allowed: a schedule's name or a list"):
        check_sigmas(["a", "b"], SD)  # type: ignore[list-item]


# --- bad input


def test_unknown_schedules_get_a_hint() -> None:
    with pytest.raises(InvalidValueError, match=r"schedule 'karas' is not known. Did you mean 'karras'\?"):
        make_sigmas("karas", SD)
    with pytest.raises(InvalidValueError, match="schedule 'linear'"):
        schedule_sigmas("linear", SD, 3)


@pytest.mark.parametrize("steps", [0, -1, 10_001])
def test_steps_out_of_range(steps: int) -> None:
    with pytest.raises(InvalidValueError, match=f"steps is {steps}; allowed: 1 to 10000"):
        make_sigmas("normal", SD, steps)


def test_steps_of_another_kind() -> None:
    with pytest.raises(InvalidTypeError, match=r"steps is 2\.5"):
        make_sigmas("normal", SD, 2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("denoise", [-0.1, 1.1, math.nan])
def test_denoise_out_of_range(denoise: float) -> None:
    with pytest.raises(InvalidValueError, match="denoise is"):
        make_sigmas("normal", SD, denoise=denoise)


def test_no_denoise_is_no_run() -> None:
    assert make_sigmas("normal", SD, denoise=0.0).shape == (0,)


def test_beta_says_that_it_needs_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    with pytest.raises(MaskGridError, match=r"pip install maskgrid\[torch\]"):
        schedule_sigmas("beta", SD, 5)
