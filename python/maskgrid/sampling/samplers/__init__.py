"""Samplers: the solvers that walk from noise to image, by ComfyUI's names. Each is in the file of its name.

    sampler = get_sampler("dpmpp_2m")
    steps = sampler.solve(x, walk)             # a generator, see maskgrid.sampling.samplers.walk

The files that are no solver: `registry` knows the names, `walk` is the contract, `noise` draws the step
noise, and `euler_step`, `ancestral_step`, `half_log_snr` and `linear_multistep` are what several solvers
share.
"""

from maskgrid.sampling.samplers.registry import NOT_YET, SAMPLERS, SamplerInfo, get_sampler

__all__ = ["NOT_YET", "SAMPLERS", "SamplerInfo", "get_sampler"]
