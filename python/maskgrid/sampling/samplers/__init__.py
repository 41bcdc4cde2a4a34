"""Samplers: the solvers, by ComfyUI's names.

sampler = get_sampler("dpmpp_2m")
steps = sampler.solve(x, run)              # a generator, see maskgrid.sampling.samplers.walk
"""

from collections.abc import Mapping
from dataclasses import dataclass

from maskgrid.sampling.argument_checks import unknown_name
from maskgrid.sampling.samplers import dpmpp, euler, heun, multistep, res, sde, uni_pc
from maskgrid.sampling.samplers.noise import NoiseKind
from maskgrid.sampling.samplers.walk import Sampler

__all__ = ["NOT_YET", "SAMPLERS", "SamplerInfo", "get_sampler"]


@dataclass(frozen=True)
class SamplerInfo:
    """A sampler and what it wants from the run.

    Attributes:
        name: ComfyUI's name.
        solve: The solver.
        noise: The step noise it draws: "none", "gaussian" or "brownian".
        last_sigma: Where a run to sigma 0 really ends; above 0 its x is left with that much noise everywhere.
        second_noise: Whether the masked blend takes other noise than the run starts from
            (`noise.second_noise`).
    """

    name: str
    solve: Sampler
    noise: NoiseKind = "none"
    second_noise: bool = False
    last_sigma: float = 0.0


SAMPLERS: Mapping[str, SamplerInfo] = {
    info.name: info
    for info in (
        SamplerInfo("euler", euler.euler),
        SamplerInfo("euler_ancestral", euler.euler_ancestral, "gaussian"),
        SamplerInfo("heun", heun.heun),
        SamplerInfo("heunpp2", heun.heunpp2),
        SamplerInfo("dpm_2", heun.dpm_2),
        SamplerInfo("dpm_2_ancestral", heun.dpm_2_ancestral, "gaussian"),
        SamplerInfo("lms", multistep.lms),
        SamplerInfo("dpmpp_2s_ancestral", dpmpp.dpmpp_2s_ancestral, "gaussian"),
        SamplerInfo("dpmpp_sde", sde.dpmpp_sde, "brownian"),
        SamplerInfo("dpmpp_sde_gpu", sde.dpmpp_sde, "brownian"),
        SamplerInfo("dpmpp_2m", dpmpp.dpmpp_2m),
        SamplerInfo("dpmpp_2m_sde", sde.dpmpp_2m_sde, "brownian"),
        SamplerInfo("dpmpp_2m_sde_gpu", sde.dpmpp_2m_sde, "brownian"),
        SamplerInfo("dpmpp_2m_sde_heun", sde.dpmpp_2m_sde_heun, "brownian"),
        SamplerInfo("dpmpp_2m_sde_heun_gpu", sde.dpmpp_2m_sde_heun, "brownian"),
        SamplerInfo("dpmpp_3m_sde", sde.dpmpp_3m_sde, "brownian"),
        SamplerInfo("dpmpp_3m_sde_gpu", sde.dpmpp_3m_sde, "brownian"),
        SamplerInfo("ddpm", euler.ddpm, "gaussian"),
        SamplerInfo("lcm", euler.lcm, "gaussian"),
        SamplerInfo("ipndm", multistep.ipndm),
        SamplerInfo("ipndm_v", multistep.ipndm_v),
        SamplerInfo("deis", multistep.deis),
        SamplerInfo("res_multistep", res.res_multistep),
        SamplerInfo("res_multistep_ancestral", res.res_multistep_ancestral, "gaussian"),
        SamplerInfo("er_sde", sde.er_sde, "gaussian"),
        SamplerInfo("ddim", euler.euler, second_noise=True),
        SamplerInfo("uni_pc", uni_pc.uni_pc, last_sigma=uni_pc.LAST_SIGMA),
        SamplerInfo("uni_pc_bh2", uni_pc.uni_pc_bh2, last_sigma=uni_pc.LAST_SIGMA),
    )
}
"""Every sampler by its name."""

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
