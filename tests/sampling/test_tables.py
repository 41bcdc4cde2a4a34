"""Noise tables: against diffusers' own schedulers, and as laws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.noise_levels.betas import (
    BETA_SCHEDULES,
    alphas_cumprod_of,
    make_betas,
    rescale_zero_terminal_snr,
)
from maskgrid.sampling.noise_levels.noise_table import DiscreteTable, FlowTable, NoiseTable

diffusers = pytest.importorskip("diffusers")

# diffusers' own use of numpy
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
TABLES = {
    "epsilon": NoiseTable.stable_diffusion(),
    "v_prediction": NoiseTable.stable_diffusion("v_prediction"),
    "zero_snr": NoiseTable.stable_diffusion("v_prediction", zero_terminal_snr=True),
    "flow": NoiseTable.flow(),
    "flow_shift": NoiseTable.flow(3.0),
}
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
shares = st.floats(0, 1)


def sigma_of(table: NoiseTable, share: float) -> float:
    """A sigma inside the table's range, by its share of the way in log sigma."""
    return math.exp((1 - share) * math.log(table.sigma_min) + share * math.log(table.sigma_max))


def network_output(table: NoiseTable, clean: torch.Tensor, noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """What a network that knows the answer returns."""
    if table.prediction == "epsilon":
        return noise
    if table.prediction == "flow":
        return noise - clean
    return (noise - sigma * clean) / math.sqrt(1 + sigma**2)


# --- against diffusers


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_betas_are_those_of_diffusers(name: str, zero_snr: bool) -> None:
    scheduler = diffusers.DDPMScheduler(
        beta_schedule=name,
        beta_start=0.001,
        beta_end=0.02,
        num_train_timesteps=500,
        rescale_betas_zero_snr=zero_snr,
    )
    ours = alphas_cumprod_of(scheduler.config)
    theirs = scheduler.alphas_cumprod.double()
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-6)


def test_exp_betas_are_those_of_diffusers() -> None:
    scheduler = diffusers.HeunDiscreteScheduler(beta_schedule="exp")
    torch.testing.assert_close(
        alphas_cumprod_of(scheduler.config), scheduler.alphas_cumprod.double(), rtol=1e-3, atol=0
    )


def test_every_beta_schedule_is_compared_with_diffusers() -> None:
    assert set(BETA_SCHEDULES) == {
        "linear",
        "scaled_linear",
        "squaredcos_cap_v2",
        "sigmoid",
        "laplace",
        "exp",
    }


def test_trained_betas() -> None:
    betas = torch.linspace(0.01, 0.2, 7)
    scheduler = diffusers.DDIMScheduler(trained_betas=betas.tolist(), prediction_type="v_prediction")
    table = NoiseTable.from_config(scheduler.config)
    assert table.prediction == "v_prediction"
    expected = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5
    torch.testing.assert_close(table.sigmas, expected, rtol=1e-5, atol=0)


def test_epsilon_agrees_with_diffusers_euler() -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**SD)
    table = NoiseTable.from_config(scheduler.config)
    scheduler.set_timesteps(10)
    x = torch.randn(1, 4, 8, 8)
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        torch.testing.assert_close(table.sigma(timestep), sigma, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(table.scale_input(x, sigma), scheduler.scale_model_input(x, timestep))
        scheduler._step_index = None


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_denoised_is_that_of_diffusers_euler(prediction: str) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**SD, prediction_type=prediction)
    table = NoiseTable.from_config(scheduler.config)
    scheduler.set_timesteps(10)
    x, output = torch.randn(2, 1, 4, 8, 8)
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        theirs = scheduler.step(output, timestep, x).pred_original_sample
        torch.testing.assert_close(table.denoised(x, output, sigma), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 17.0])
def test_flow_sigmas_are_those_of_diffusers(shift: float) -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift, num_train_timesteps=200)
    table = NoiseTable.from_config(scheduler.config)
    assert table.is_flow
    torch.testing.assert_close(table.sigmas, scheduler.sigmas.flip(0), rtol=1e-5, atol=0)
    torch.testing.assert_close(table.timestep(table.sigmas), scheduler.timesteps.flip(0), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", ["exponential", "linear"])
@pytest.mark.parametrize("mu", [0.3, 1.15, 3.2])
def test_dynamic_shift_is_that_of_diffusers(kind: str, mu: float) -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type=kind)
    table = NoiseTable.from_config(scheduler.config, mu=mu)
    t = torch.linspace(0.01, 1, 50)
    torch.testing.assert_close(table.sigma(t * 1000), scheduler.time_shift(mu, 1.0, t), rtol=1e-5, atol=0)
    assert len(table.sigmas) == 10_000


def test_flow_settings_of_a_multistep_scheduler() -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    )
    table = NoiseTable.from_config(scheduler.config)
    assert isinstance(table, FlowTable)
    assert table.shift == 5.0


# --- examples


def test_stable_diffusion_has_the_known_range() -> None:
    table = NoiseTable.stable_diffusion()
    assert table.sigma_min == pytest.approx(0.029167, abs=1e-6)
    assert table.sigma_max == pytest.approx(14.614642, abs=2e-6)
    assert repr(table) == "DiscreteTable(epsilon, 1000 steps, sigma 0.0291672..14.6146)"


def test_zero_terminal_snr_ends_at_a_large_finite_sigma() -> None:
    table = TABLES["zero_snr"]
    assert table.sigma_max == pytest.approx(4518.76, rel=1e-4)
    assert table.sigma_min == pytest.approx(TABLES["epsilon"].sigma_min, rel=1e-5)
    assert bool((table.sigmas.diff() > 0).all())


def test_zero_terminal_snr_leaves_no_signal() -> None:
    rescaled = rescale_zero_terminal_snr(torch.cumprod(1 - make_betas("linear"), 0))
    assert rescaled[-1] == 0
    assert bool((rescaled.diff() < 0).all())


def test_first_x_at_the_top_of_the_table_is_louder() -> None:
    table = TABLES["epsilon"]
    clean, noise = torch.randn(2, 1, 4, 2, 2)
    top = table.sigma_max
    torch.testing.assert_close(table.start(clean, noise, top), clean + noise * math.sqrt(1 + top**2))
    near = top * (1 - 1e-6)
    torch.testing.assert_close(table.start(clean, noise, near), clean + noise * math.sqrt(1 + near**2))
    below = top * 0.99
    assert torch.equal(table.start(clean, noise, below), table.noised(clean, noise, below))


def test_flow_at_sigma_1_is_noise_and_has_no_inverse() -> None:
    table = TABLES["flow_shift"]
    clean, noise = torch.randn(2, 1, 4, 2, 2)
    assert torch.equal(table.start(clean, noise, 1.0), noise)
    with pytest.raises(InvalidValueError, match="pure noise"):
        table.finish(noise, 1.0)


@each_table
def test_sigma_at_walks_from_noise_to_clean(table: NoiseTable) -> None:
    walk = [float(table.sigma_at(share)) for share in (0, 0.1, 0.5, 0.9, 1)]
    assert walk[0] == pytest.approx(table.sigma_max, rel=1e-5)
    assert walk[-1] == 0
    assert walk == sorted(walk, reverse=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@each_table
def test_dtypes_are_kept(table: NoiseTable, dtype: torch.dtype) -> None:
    clean, noise, output = torch.randn(3, 1, 4, 2, 2).to(dtype)
    sigma = table.sigmas[500]
    for made in (
        table.noised(clean, noise, sigma),
        table.start(clean, noise, sigma),
        table.finish(clean, sigma),
        table.scale_input(clean, sigma),
        table.denoised(clean, output, sigma),
    ):
        assert made.dtype == dtype
        assert bool(made.isfinite().all())


# --- laws


@given(timestep=st.integers(0, 999))
@settings(deadline=None)
@pytest.mark.parametrize("table", [TABLES["epsilon"], TABLES["zero_snr"]], ids=["epsilon", "zero_snr"])
def test_whole_timesteps_come_back(table: NoiseTable, timestep: int) -> None:
    sigma = table.sigma(float(timestep))
    assert int(table.timestep(sigma)) == timestep
    torch.testing.assert_close(sigma, table.sigmas[timestep], rtol=1e-6, atol=0)


@given(share=shares)
@settings(deadline=None)
@pytest.mark.parametrize("table", [TABLES["epsilon"], TABLES["zero_snr"]], ids=["epsilon", "zero_snr"])
def test_timestep_is_the_nearest_in_log_sigma(table: NoiseTable, share: float) -> None:
    sigma = sigma_of(table, share)
    distances = (table.sigmas.double().log() - math.log(sigma)).abs()
    assert float(distances[int(table.timestep(sigma))]) <= float(distances.min()) + 1e-6


@given(share=shares)
@settings(deadline=None)
def test_flow_time_is_linear_in_sigma_and_its_shift_inverts(share: float) -> None:
    for shift in (1.0, 3.0, 0.4):
        table = FlowTable(shift)
        sigma = float(table.sigma(share * 1000))
        assert float(table.timestep(sigma)) == pytest.approx(sigma * 1000, abs=1e-3)
        t = sigma / (shift - (shift - 1) * sigma)
        assert t == pytest.approx(share, abs=1e-5)


@given(share=shares)
@settings(deadline=None)
@each_table
def test_denoised_is_the_inverse_of_noised(table: NoiseTable, share: float) -> None:
    sigma = float(torch.tensor(sigma_of(table, share)))
    generator = torch.Generator().manual_seed(1)
    clean, noise = torch.randn(2, 1, 4, 3, 3, generator=generator, dtype=torch.float64)
    x = table.noised(clean, noise, sigma)
    output = network_output(table, clean, noise, sigma)
    torch.testing.assert_close(table.denoised(x, output, sigma), clean, rtol=1e-4, atol=1e-4)


@given(share=shares)
@settings(deadline=None)
@each_table
def test_half_log_snr_and_its_inverse(table: NoiseTable, share: float) -> None:
    sigma = torch.tensor(
        min(sigma_of(table, share), 0.999 if table.is_flow else math.inf), dtype=torch.float64
    )
    half_log_snr = table.half_log_snr(sigma)
    assert float(half_log_snr.exp()) == pytest.approx(float(table.alpha(sigma) / sigma), rel=1e-9)
    torch.testing.assert_close(table.sigma_of_half_log_snr(half_log_snr), sigma, rtol=1e-9, atol=0)


def test_lambda_and_sigma_do_not_depend_on_the_cpus_arithmetic() -> None:
    """A Brownian path that is asked a last bit off gives other noise, so all of them are rounded right."""
    table = NoiseTable.stable_diffusion()
    for log_sigma in torch.linspace(-3.5, 2.7, 2000):
        sigma = torch.tensor(math.exp(float(log_sigma)))
        assert float(table.half_log_snr(sigma)) == float(torch.tensor(-math.log(float(sigma)))), float(sigma)
        assert table.sigma_of_half_log_snr(-log_sigma) == sigma, float(log_sigma)
    for time in range(1000):
        assert float(table.sigma(time)) == pytest.approx(float(table.sigmas[time]), rel=2e-7), time


@given(sigma=st.floats(0.0, 0.99))
@settings(deadline=None)
@each_table
def test_a_second_stage_without_noise_starts_where_the_first_ended(table: NoiseTable, sigma: float) -> None:
    x = torch.randn(1, 4, 2, 2, dtype=torch.float64)
    again = table.start(table.finish(x, sigma), torch.zeros_like(x), sigma)
    torch.testing.assert_close(again, x, rtol=1e-6, atol=1e-9)


# --- bad input


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"beta_schedule": "scaled_linera"}, "Did you mean 'scaled_linear'"),
        ({"prediction_type": "sample"}, "prediction_type 'sample'"),
        ({"sigma_data": 0.5}, "EDM preconditioning"),
        ({"timestep_type": "continuous"}, "timestep_type is 'continuous'"),
        ({"num_train_timesteps": 1}, "num_train_timesteps is 1"),
        ({"beta_start": 0.0}, "beta_start is 0.0"),
        ({"trained_betas": [0.1, 2.0]}, "trained_betas spans"),
        ({"trained_betas": [[0.1]]}, "trained_betas has shape"),
        ({"trained_betas": [0.0, 0.1]}, "alphas_cumprod"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 0.0}, "shift is 0.0"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}, "mu is None"),
    ],
)
def test_bad_settings_are_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        NoiseTable.from_config(config)


def test_bad_dynamic_shifts_are_named() -> None:
    config = {"shift": 1.0, "use_dynamic_shifting": True, "time_shift_type": "cubic"}
    with pytest.raises(InvalidValueError, match="time_shift_type 'cubic'"):
        NoiseTable.from_config(config, mu=1.0)
    config["time_shift_type"] = "linear"
    with pytest.raises(InvalidValueError, match="mu is nan"):
        NoiseTable.from_config(config, mu=math.nan)
    with pytest.raises(InvalidValueError, match=r"shift is -1"):
        NoiseTable.from_config(config, mu=-1.0)


def test_a_table_that_rises_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="falling"):
        DiscreteTable(torch.tensor([0.5, 0.6]))
    with pytest.raises(InvalidValueError, match="steps is 1"):
        FlowTable(steps=1)
    with pytest.raises(InvalidValueError, match="scale is 0"):
        FlowTable(scale=0)
