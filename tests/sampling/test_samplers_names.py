"""Names of samplers: all that ComfyUI has, second names, and what is said to other names."""

import re
from dataclasses import replace
from typing import get_args

import pytest

from maskgrid.errors import InvalidValueError
from maskgrid.sampling.noise_levels.schedules import SCHEDULES
from maskgrid.sampling.samplers import SAMPLERS, get_sampler, webui_names
from maskgrid.sampling.samplers.registry import SamplerName


def test_every_name_is_there() -> None:
    names = """
        euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0
        exp_heun_2_x0_sde dpm_2 dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral
        dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde
        dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm
        ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral
        res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3
        sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2
    """
    assert list(SAMPLERS) == names.split()
    assert tuple(SAMPLERS) == get_args(SamplerName)
    assert all(get_sampler(name).name == name for name in SAMPLERS)


def test_second_names_are_the_same_samplers() -> None:
    aliases = {name: info.alias_of for name, info in SAMPLERS.items() if info.alias_of is not None}
    assert aliases == {f"{name}_gpu": name for name in SAMPLERS if f"{name}_gpu" in SAMPLERS}
    assert len(aliases) == 4
    for name, original in aliases.items():
        assert replace(SAMPLERS[name], name=original, alias_of=None) == SAMPLERS[original]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("eular", "euler"), ("dpmpp-2m", "dpmpp_2m"), ("uni pc", "uni_pc"), ("sa_solvr", "sa_solver")],
)
def test_unknown_names_get_a_hint(name: str, nearest: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"sampler '.*' is not known\. Did you mean '{nearest}'"):
        get_sampler(name)


@pytest.mark.parametrize(
    ("name", "sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("Euler a", "euler_ancestral", None),
        ("DPM++ SDE Karras", "dpmpp_sde", "karras"),
        ("DPM++ 2M SDE Heun Exponential", "dpmpp_2m_sde_heun", "exponential"),
        ("DPM++ 3M SDE Exponential", "dpmpp_3m_sde", "exponential"),
        ("DPM++ 2S a Karras", "dpmpp_2s_ancestral", "karras"),
        ("DPM2 a Karras", "dpm_2_ancestral", "karras"),
        ("LMS Karras", "lms", "karras"),
        ("Restart", "heun", "karras"),
        ("UniPC", "uni_pc", None),
        ("DDIM", "ddim", None),
        ("DPM fast", "dpm_fast", None),
        ("Euler SGM Uniform", "euler", "sgm_uniform"),
        ("k_dpmpp_2s_a_ka", "dpmpp_2s_ancestral", "karras"),
        ("k_euler_a", "euler_ancestral", None),
    ],
)
def test_names_of_the_web_ui_are_translated(name: str, sampler: str, schedule: str | None) -> None:
    hint = f"sampler='{sampler}'" + (f", schedule='{schedule}'" if schedule else "")
    with pytest.raises(InvalidValueError, match=re.escape(f"{name!r} is not known. Did you mean {hint}?")):
        get_sampler(name)


def test_whatever_the_web_ui_says_is_there() -> None:
    named = {*webui_names._SAMPLERS.values(), *webui_names._SHORT.values()}
    assert named <= set(SAMPLERS)
    assert {name for name in webui_names._SCHEDULES.values() if name} <= set(SCHEDULES)


@pytest.mark.parametrize("name", [None, 3, ["euler"]])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match=r"sampler .* is not known\..* Allowed: euler"):
        get_sampler(name)  # type: ignore[arg-type]


def test_no_name_at_all_gets_the_list() -> None:
    with pytest.raises(InvalidValueError, match=r"sampler '' is not known\. Allowed: euler, euler_cfg_pp"):
        get_sampler("")
