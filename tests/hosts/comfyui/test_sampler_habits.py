"""What is found out about samplers by trying them: functions with the interface of ComfyUI's."""

from types import SimpleNamespace

import pytest
import torch

from maskgrid.hosts.comfyui.sampler_habits import SamplerHabits, find_habits

SIGMAS = torch.tensor([8.0, 3.0, 1.0, 0.3, 0.0])
PATCHER = SimpleNamespace(model=SimpleNamespace())


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        callback({"x": x, "i": i, "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


def midpoint(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        callback({"x": x, "i": i, "denoised": denoised})
        slope, half = (x - denoised) / sigmas[i], (sigmas[i] + sigmas[i + 1]) / 2
        between = x + slope * (half - sigmas[i])
        denoised = model(between, half * x.new_ones(len(x)), **extra_args)
        x = x + (between - denoised) / half * (sigmas[i + 1] - sigmas[i])
    return x


def ancestral(model, x, sigmas, extra_args=None, callback=None, disable=None):
    x = euler(model, x, sigmas, extra_args, callback)
    return x + torch.randn_like(x) * 0.1


def normalised(model, x, sigmas, extra_args=None, callback=None, disable=None):
    x = euler(model, x, sigmas, extra_args, callback)
    return x / x.std()


def adaptive(model, x, sigmas, extra_args=None, callback=None, disable=None):
    largest = float(x.abs().max() / sigmas[0])
    steps = torch.linspace(float(sigmas[0]), 0, 4 + int(largest))
    return euler(model, x, steps, extra_args, callback)


def demanding(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return model.inner_model.something_that_only_a_real_model_has(x)


def undefined(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return euler(model, x, sigmas, extra_args, callback) * float("nan")


def habits_of(function, **options) -> SamplerHabits:
    sampler = SimpleNamespace(sampler_function=function, extra_options=options)
    return find_habits(PATCHER, sampler, SIGMAS, (1, 4, 8, 8))


def test_one_call_a_step():
    assert habits_of(euler) == SamplerHabits({0: 0, 1: 1, 2: 2, 3: 3}, draws=False, couples=False)


def test_two_calls_a_step():
    assert habits_of(midpoint) == SamplerHabits({0: 0, 1: 2, 2: 4, 3: 6}, draws=False, couples=False)


def test_noise_is_seen():
    assert habits_of(ancestral) == SamplerHabits({0: 0, 1: 1, 2: 2, 3: 3}, draws=True, couples=False)


@pytest.mark.parametrize("function", [normalised, adaptive, undefined])
def test_rows_that_influence_each_other_are_seen(function):
    assert habits_of(function).couples


def test_what_can_not_be_tried_is_run_safely():
    assert habits_of(demanding) == SamplerHabits()


def test_an_option_that_the_function_does_not_know():
    assert habits_of(euler, churn=1.0) == SamplerHabits()


def test_a_sampler_without_a_function():
    assert find_habits(PATCHER, SimpleNamespace(), SIGMAS, (1, 4, 8, 8)) == SamplerHabits()


def test_five_axes():
    sampler = SimpleNamespace(sampler_function=euler, extra_options={})
    assert not find_habits(PATCHER, sampler, SIGMAS, (2, 16, 3, 8, 8)).couples


def test_trying_leaves_the_generator_as_it_was():
    before = torch.random.get_rng_state()
    habits_of(ancestral)
    assert torch.equal(torch.random.get_rng_state(), before)
