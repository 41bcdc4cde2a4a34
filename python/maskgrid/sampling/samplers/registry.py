"""The table of samplers: every solver by ComfyUI's name, with what it wants from a run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.samplers.ddpm import ddpm
from maskgrid.sampling.samplers.deis import deis
from maskgrid.sampling.samplers.dpm_2 import dpm_2, dpm_2_ancestral
from maskgrid.sampling.samplers.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from maskgrid.sampling.samplers.dpmpp_sde import dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde, dpmpp_sde
from maskgrid.sampling.samplers.er_sde import er_sde
from maskgrid.sampling.samplers.euler import euler, euler_ancestral
from maskgrid.sampling.samplers.heun import heun, heunpp2
from maskgrid.sampling.samplers.ipndm import ipndm, ipndm_v
from maskgrid.sampling.samplers.lcm import lcm
from maskgrid.sampling.samplers.lms import lms
from maskgrid.sampling.samplers.noise import NoiseKind
from maskgrid.sampling.samplers.res_multistep import res_multistep, res_multistep_ancestral
from maskgrid.sampling.samplers.uni_pc import LAST_SIGMA, uni_pc, uni_pc_bh2
from maskgrid.sampling.samplers.walk import Solver

__all__ = ["NOT_YET", "SAMPLERS", "SamplerInfo", "SamplerName", "get_sampler"]

SamplerName = Literal[
    "euler",
    "euler_ancestral",
    "heun",
    "heunpp2",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_ancestral",
    "er_sde",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
    "dpmpp_sde_gpu",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde_gpu",
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
        last_sigma: Where a run to sigma 0 really ends; above 0 its x is left with that much noise everywhere.
        needs_uncond: Whether it is sent a pair: denoised, and denoised without the condition.
        coupled: Whether the items of a batch have a say in each other's steps, so that forks go one by one.
        alias_of: The name that this is a second name of, in every way; None for a sampler of its own.
    """

    name: str
    solve: Solver
    noise: NoiseKind = "none"
    second_noise: bool = False
    last_sigma: float = 0.0
    needs_uncond: bool = False
    coupled: bool = False
    alias_of: str | None = None


_OWN_NAMES = (
    SamplerInfo("euler", euler),
    SamplerInfo("euler_ancestral", euler_ancestral, "gaussian"),
    SamplerInfo("heun", heun),
    SamplerInfo("heunpp2", heunpp2),
    SamplerInfo("dpm_2", dpm_2),
    SamplerInfo("dpm_2_ancestral", dpm_2_ancestral, "gaussian"),
    SamplerInfo("lms", lms),
    SamplerInfo("dpmpp_2s_ancestral", dpmpp_2s_ancestral, "gaussian"),
    SamplerInfo("dpmpp_sde", dpmpp_sde, "brownian"),
    SamplerInfo("dpmpp_2m", dpmpp_2m),
    SamplerInfo("dpmpp_2m_sde", dpmpp_2m_sde, "brownian"),
    SamplerInfo("dpmpp_2m_sde_heun", dpmpp_2m_sde_heun, "brownian"),
    SamplerInfo("dpmpp_3m_sde", dpmpp_3m_sde, "brownian"),
    SamplerInfo("ddpm", ddpm, "gaussian"),
    SamplerInfo("lcm", lcm, "gaussian"),
    SamplerInfo("ipndm", ipndm),
    SamplerInfo("ipndm_v", ipndm_v),
    SamplerInfo("deis", deis),
    SamplerInfo("res_multistep", res_multistep),
    SamplerInfo("res_multistep_ancestral", res_multistep_ancestral, "gaussian"),
    SamplerInfo("er_sde", er_sde, "gaussian"),
    SamplerInfo("ddim", euler, second_noise=True),
    SamplerInfo("uni_pc", uni_pc, last_sigma=LAST_SIGMA),
    SamplerInfo("uni_pc_bh2", uni_pc_bh2, last_sigma=LAST_SIGMA),
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

NOT_YET = frozenset(
    {
        "dpm_adaptive",
        "dpm_fast",
        "dpmpp_2m_cfg_pp",
        "dpmpp_2s_ancestral_cfg_pp",
        "euler_ancestral_cfg_pp",
        "euler_cfg_pp",
        "exp_heun_2_x0",
        "exp_heun_2_x0_sde",
        "gradient_estimation",
        "gradient_estimation_cfg_pp",
        "res_multistep_ancestral_cfg_pp",
        "res_multistep_cfg_pp",
        "sa_solver",
        "sa_solver_pece",
        "seeds_2",
        "seeds_3",
    }
)
"""Names that ComfyUI has and maskgrid does not."""


def get_sampler(name: str) -> SamplerInfo:
    """The sampler of this name.

    Raises:
        InvalidValueError: There is none; the message lists what there is and suggests the nearest name.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    why = "is not there yet" if name in NOT_YET else "is not known"
    raise unknown_name("sampler", name, SAMPLERS, why=why)
