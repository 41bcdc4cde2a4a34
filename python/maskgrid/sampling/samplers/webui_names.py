"""Sampler names of AUTOMATIC1111's web UI, such as "DPM++ 2M Karras", in the names of this library.

A name there is a sampler's label with, in older releases and in people's notes, a schedule behind it. Its API
has short names besides, "k_dpmpp_2m_ka".
"""

__all__ = ["translate"]

_SAMPLERS = {
    "ddim": "ddim",
    "ddim cfg++": "euler_cfg_pp",
    "deis": "deis",
    "dpm adaptive": "dpm_adaptive",
    "dpm fast": "dpm_fast",
    "dpm++ 2m": "dpmpp_2m",
    "dpm++ 2m cfg++": "dpmpp_2m_cfg_pp",
    "dpm++ 2m sde": "dpmpp_2m_sde",
    "dpm++ 2m sde heun": "dpmpp_2m_sde_heun",
    "dpm++ 2s a": "dpmpp_2s_ancestral",
    "dpm++ 2s a cfg++": "dpmpp_2s_ancestral_cfg_pp",
    "dpm++ 3m sde": "dpmpp_3m_sde",
    "dpm++ sde": "dpmpp_sde",
    "dpm2": "dpm_2",
    "dpm2 a": "dpm_2_ancestral",
    "er sde": "er_sde",
    "euler": "euler",
    "euler a": "euler_ancestral",
    "euler a cfg++": "euler_ancestral_cfg_pp",
    "euler cfg++": "euler_cfg_pp",
    "heun": "heun",
    "heunpp2": "heunpp2",
    "ipndm": "ipndm",
    "lcm": "lcm",
    "lms": "lms",
    "plms": "ipndm",
    "res multistep": "res_multistep",
    "restart": "heun",
    "sa solver": "sa_solver",
    "unipc": "uni_pc",
}
_SCHEDULES = {
    "automatic": None,
    "beta": "beta",
    "ddim": "ddim_uniform",
    "exponential": "exponential",
    "karras": "karras",
    "kl optimal": "kl_optimal",
    "normal": "normal",
    # With its usual rho of 1.
    "polyexponential": "exponential",
    "sgm uniform": "sgm_uniform",
    "sgmuniform": "sgm_uniform",
    "simple": "simple",
    "uniform": "normal",
}
_SHORT = {
    "k_dpm_2": "dpm_2",
    "k_dpm_2_a": "dpm_2_ancestral",
    "k_dpm_ad": "dpm_adaptive",
    "k_dpm_fast": "dpm_fast",
    "k_dpmpp_2m": "dpmpp_2m",
    "k_dpmpp_2m_sde": "dpmpp_2m_sde",
    "k_dpmpp_2s_a": "dpmpp_2s_ancestral",
    "k_dpmpp_sde": "dpmpp_sde",
    "k_euler": "euler",
    "k_euler_a": "euler_ancestral",
    "k_euler_ancestral": "euler_ancestral",
    "k_heun": "heun",
    "k_lms": "lms",
}
# Restart goes back up in noise several times, by Heun's method on Karras' schedule.
_SCHEDULE_OF_ITS_OWN = {"restart": "karras"}


def translate(name: str) -> tuple[str, str | None] | None:
    """Translate a sampler name of the web UI into a sampler and a schedule; none where it names none.

    Capitals, and how words are joined, do not matter. Restart, which is not there, gives what is nearest.

    Returns:
        (sampler, schedule), or None for a name that is not the web UI's.
    """
    short = name.strip().lower()
    if short.removesuffix("_ka") in _SHORT:
        return _SHORT[short.removesuffix("_ka")], "karras" if short.endswith("_ka") else None
    words = short.replace("_", " ").replace("-", " ").split()
    # The longest label that the name begins with leaves the schedule.
    for count in range(len(words), 0, -1):
        label, rest = " ".join(words[:count]), " ".join(words[count:])
        if label in _SAMPLERS and (not rest or rest in _SCHEDULES):
            return _SAMPLERS[label], _SCHEDULES[rest] if rest else _SCHEDULE_OF_ITS_OWN.get(label)
    return None
