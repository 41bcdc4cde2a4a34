"""Sampling: noise levels, samplers, the masked blend, forks. Knows torch and no model library.

    sample_forks        forks of a sheet of latents, from a function denoised(x, sigma)
    continue_forks      carry on with what stopped with leftover noise
    ForkLatents         what both give
    NoiseTable          what sigma means to a model

Whoever drives the network in another way takes `prepare_forks` and answers the requests of its stretches.
"""

from maskgrid.sampling.controls import CONTROL_NAMES, ControlOptions, Controls
from maskgrid.sampling.forking.denoise import Stretch, denoise
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import LatentFormat
from maskgrid.sampling.forking.fork_sampling import ForkSampling, answer_with
from maskgrid.sampling.forking.progress import Progress
from maskgrid.sampling.forking.request import Request, Responder
from maskgrid.sampling.forking.state import State
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import SCHEDULES
from maskgrid.sampling.result.fork_latents import ForkLatents
from maskgrid.sampling.sample_forks import (
    continue_forks,
    prepare_continuation,
    prepare_forks,
    sample_forks,
)
from maskgrid.sampling.samplers import SAMPLERS

__all__ = [
    "CONTROL_NAMES",
    "SAMPLERS",
    "SCHEDULES",
    "ControlOptions",
    "Controls",
    "ForkLatents",
    "ForkMasks",
    "ForkSampling",
    "LatentFormat",
    "NoiseTable",
    "Progress",
    "Request",
    "Responder",
    "State",
    "Stretch",
    "answer_with",
    "continue_forks",
    "denoise",
    "prepare_continuation",
    "prepare_forks",
    "sample_forks",
]
