"""Samplers: the solvers that walk from noise to image, by ComfyUI's names. Each is in the file of its name.

    sampler = get_sampler("dpmpp_2m")
    steps = sampler.solve(x, walk)             # a generator, see maskgrid.sampling.samplers.walk

The files that are no solver: `registry` knows the names and `webui_names` other people's, `walk` is the
contract, `noise` draws the step noise, and `euler_step`, `ancestral_step`, `half_log_snr`, `linear_multistep`
and `dpm_solver` are what several solvers share.
"""

from maskgrid.sampling.samplers.registry import SAMPLERS, SamplerInfo, get_sampler

__all__ = ["SAMPLERS", "SamplerInfo", "get_sampler"]
