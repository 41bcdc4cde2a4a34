"""The table of samplers: every solver by ComfyUI's name, with what it wants from a run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.samplers.cfg_pp import (
    dpmpp_2m_cfg_pp,
    dpmpp_2s_ancestral_cfg_pp,
    euler_ancestral_cfg_pp,
    euler_cfg_pp,
    gradient_estimation_cfg_pp,
    res_multistep_ancestral_cfg_pp,
    res_multistep_cfg_pp,
)
from maskgrid.sampling.samplers.ddpm import ddpm
from maskgrid.sampling.samplers.deis import deis
from maskgrid.sampling.samplers.dpm_2 import dpm_2, dpm_2_ancestral
from maskgrid.sampling.samplers.dpm_adaptive import dpm_adaptive
from maskgrid.sampling.samplers.dpm_fast import dpm_fast
from maskgrid.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from maskgrid.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde, dpmpp_sde
from maskgrid.sampling.samplers.er_sde import er_sde
from maskgrid.sampling.samplers.euler import euler, euler_ancestral
from maskgrid.sampling.samplers.gradient_estimation import gradient_estimation
from maskgrid.sampling.samplers.heun import heun, heunpp2
from maskgrid.sampling.samplers.ipndm import ipndm, ipndm_v
from maskgrid.sampling.samplers.lcm import lcm
from maskgrid.sampling.samplers.lms import lms
from maskgrid.sampling.samplers.noise import NoiseKind
from maskgrid.sampling.samplers.res_multistep import res_multistep, res_multistep_ancestral
from maskgrid.sampling.samplers.sa_solver import sa_solver, sa_solver_pece
from maskgrid.sampling.samplers.seeds import exp_heun_2_x0, exp_heun_2_x0_sde, seeds_2, seeds_3
from maskgrid.sampling.samplers.uni_pc import uni_pc, uni_pc_bh2
from maskgrid.sampling.samplers.walk import Solver
from maskgrid.sampling.samplers.webui_names import translate

__all__ = ["SAMPLERS", "SamplerInfo", "SamplerName", "get_sampler"]

SamplerName = Literal[
    "euler",
    "euler_cfg_pp",
    "euler_ancestral",
    "euler_ancestral_cfg_pp",
    "heun",
    "heunpp2",
    "exp_heun_2_x0",
    "exp_heun_2_x0_sde",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpm_fast",
    "dpm_adaptive",
    "dpmpp_2s_ancestral",
    "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_sde",
    "dpmpp_sde_gpu",
    "dpmpp_2m",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_cfg_pp",
    "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp",
    "gradient_estimation",
    "gradient_estimation_cfg_pp",
    "er_sde",
    "seeds_2",
    "seeds_3",
    "sa_solver",
    "sa_solver_pece",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
]
"""The keys of `SAMPLERS`, for type checkers."""


@dataclass(frozen=True)
class SamplerInfo:
    """A sampler and what it wants from the run.

    Attributes:
        name: ComfyUI's name.
        solve: The solver.
        noise: The step noise it draws: "none", "gaussian" or "brownian".
        second_noise: Whether the masked blend takes other noise than the run starts from
            (`noise.second_noise`).
        leaves_noise: Whether a run to sigma 0 ends above it, its x left with that much noise everywhere.
        needs_uncond: Whether it is sent a pair: denoised, and denoised without the condition.
        own_steps: Whether it takes steps of its own between the ends of a stretch, so that a cut run takes
            others than the uncut one, and differs from it by its error.
        coupled: Whether the items of a batch have a say in each other's steps, so that forks go one by one.
        known_calls: Whether the calls of the network that a run makes are known before it.
        alias_of: The name that this is a second name of, in every way; None for a sampler of its own.
    """

    name: str
    solve: Solver
    noise: NoiseKind = "none"
    second_noise: bool = False
    leaves_noise: bool = False
    needs_uncond: bool = False
    own_steps: bool = False
    coupled: bool = False
    known_calls: bool = True
    alias_of: str | None = None


_OWN_NAMES = (
    SamplerInfo("euler", euler),
    SamplerInfo("euler_cfg_pp", euler_cfg_pp, needs_uncond=True),
    SamplerInfo("euler_ancestral", euler_ancestral, "gaussian"),
    SamplerInfo("euler_ancestral_cfg_pp", euler_ancestral_cfg_pp, "gaussian", needs_uncond=True),
    SamplerInfo("heun", heun),
    SamplerInfo("heunpp2", heunpp2),
    SamplerInfo("exp_heun_2_x0", exp_heun_2_x0),
    SamplerInfo("exp_heun_2_x0_sde", exp_heun_2_x0_sde, "gaussian"),
    SamplerInfo("dpm_2", dpm_2),
    SamplerInfo("dpm_2_ancestral", dpm_2_ancestral, "gaussian"),
    SamplerInfo("lms", lms),
    SamplerInfo("dpm_fast", dpm_fast, leaves_noise=True, own_steps=True),
    SamplerInfo(
        "dpm_adaptive", dpm_adaptive, leaves_noise=True, own_steps=True, coupled=True, known_calls=False
    ),
    SamplerInfo("dpmpp_2s_ancestral", dpmpp_2s_ancestral, "gaussian"),
    SamplerInfo("dpmpp_2s_ancestral_cfg_pp", dpmpp_2s_ancestral_cfg_pp, "gaussian", needs_uncond=True),
    SamplerInfo("dpmpp_sde", dpmpp_sde, "brownian"),
    SamplerInfo("dpmpp_2m", dpmpp_2m),
    SamplerInfo("dpmpp_2m_cfg_pp", dpmpp_2m_cfg_pp, needs_uncond=True),
    SamplerInfo("dpmpp_2m_sde", dpmpp_2m_sde, "brownian"),
    SamplerInfo("dpmpp_2m_sde_heun", dpmpp_2m_sde_heun, "brownian"),
    SamplerInfo("dpmpp_3m_sde", dpmpp_3m_sde, "brownian"),
    SamplerInfo("ddpm", ddpm, "gaussian"),
    SamplerInfo("lcm", lcm, "gaussian"),
    SamplerInfo("ipndm", ipndm),
    SamplerInfo("ipndm_v", ipndm_v),
    SamplerInfo("deis", deis),
    SamplerInfo("res_multistep", res_multistep),
    SamplerInfo("res_multistep_cfg_pp", res_multistep_cfg_pp, needs_uncond=True),
    SamplerInfo("res_multistep_ancestral", res_multistep_ancestral, "gaussian"),
    SamplerInfo(
        "res_multistep_ancestral_cfg_pp", res_multistep_ancestral_cfg_pp, "gaussian", needs_uncond=True
    ),
    SamplerInfo("gradient_estimation", gradient_estimation),
    SamplerInfo("gradient_estimation_cfg_pp", gradient_estimation_cfg_pp, needs_uncond=True),
    SamplerInfo("er_sde", er_sde, "gaussian"),
    SamplerInfo("seeds_2", seeds_2, "gaussian"),
    SamplerInfo("seeds_3", seeds_3, "gaussian"),
    SamplerInfo("sa_solver", sa_solver, "gaussian"),
    SamplerInfo("sa_solver_pece", sa_solver_pece, "gaussian"),
    SamplerInfo("ddim", euler, second_noise=True),
    SamplerInfo("uni_pc", uni_pc, leaves_noise=True),
    SamplerInfo("uni_pc_bh2", uni_pc_bh2, leaves_noise=True),
)

# ComfyUI draws the Brownian path of these on the GPU; here all noise is drawn on the CPU.
_ALIASES = {
    "dpmpp_sde_gpu": "dpmpp_sde",
    "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
}


def _by_name() -> dict[str, SamplerInfo]:
    """The samplers in order, each with its second names behind it."""
    table = {}
    for info in _OWN_NAMES:
        aliases = [alias for alias, name in _ALIASES.items() if name == info.name]
        table[info.name] = info
        table.update({alias: replace(info, name=alias, alias_of=info.name) for alias in aliases})
    return table


SAMPLERS: Mapping[str, SamplerInfo] = _by_name()
"""Every sampler by its name, second names (`alias_of`) included."""


def get_sampler(name: str) -> SamplerInfo:
    """The registered sampler of this name.

    Raises:
        InvalidValueError: There is none; the message lists what there is and suggests the nearest name, or
            what a name of the web UI, such as "DPM++ 2M Karras", is here.
    """
    if isinstance(name, str) and name in SAMPLERS:
        return SAMPLERS[name]
    meant = translate(name) if isinstance(name, str) else None
    if meant is None:
        raise unknown_name("sampler", name, SAMPLERS)
    sampler, schedule = meant
    hint = f"sampler={sampler!r}" + (f", schedule={schedule!r}" if schedule else "")
    raise unknown_name("sampler", name, SAMPLERS, meant=hint)
