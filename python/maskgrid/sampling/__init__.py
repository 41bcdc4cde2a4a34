"""Sampling: noise tables, schedules, samplers, the masked blend, forks. Knows torch and no model library.

    sample_forks        forks of a sheet of latents, from a function denoised(x, sigma)
    continue_forks      carry on with what stopped with leftover noise
    ForkLatents         what both give
    NoiseTable          what sigma means to a model

Whoever drives the network in another way takes `fork_job` and answers the requests of its stretches.
"""

from maskgrid.sampling.controls import Controls, LatentFormat
from maskgrid.sampling.forking.fork_masks import ForkMasks
from maskgrid.sampling.forking.fork_run import ForkJob, run_job
from maskgrid.sampling.forking.request import Progress, Request, Responder
from maskgrid.sampling.forking.stretch import Stretch
from maskgrid.sampling.noise_levels.noise_table import NoiseTable
from maskgrid.sampling.noise_levels.schedules import SCHEDULES
from maskgrid.sampling.result.fork_latents import ForkLatents
from maskgrid.sampling.sample_forks import (
    ForkControls,
    continue_forks,
    continue_job,
    fork_job,
    sample_forks,
)
from maskgrid.sampling.samplers import SAMPLERS

__all__ = [
    "SAMPLERS",
    "SCHEDULES",
    "Controls",
    "ForkControls",
    "ForkJob",
    "ForkLatents",
    "ForkMasks",
    "LatentFormat",
    "NoiseTable",
    "Progress",
    "Request",
    "Responder",
    "Stretch",
    "continue_forks",
    "continue_job",
    "fork_job",
    "run_job",
    "sample_forks",
]
