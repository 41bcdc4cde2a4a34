"""Runs of the original node, and the same runs through the engine."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from maskgrid import ForkPlan, Grid
from maskgrid.hosts.guided_network import GuidedNetwork
from maskgrid.sampling import NoiseTable, sample_forks
from maskgrid.sampling.samplers import SAMPLERS

__all__ = ["Case", "cases", "expected", "network_of", "relative_error", "rerun"]

DATA = Path(__file__).parents[1] / "data"
FOLDERS = (DATA / "parity", DATA / "parity_more")
# Where the original does what maskgrid does only when asked: a noisy cell in clean surroundings; the cell of
# the first batch item only; cells off their masks, where the stride does not divide their size in pixels. And
# samplers that stop just above sigma 0 leave noise outside the masks.
DEFECTS = ("end_leftover", "batch2", "cell20", "karras.part")


@dataclass(frozen=True)
class Case:
    """One run of the original node; `inputs` are the node's own, `folder` has its tensors."""

    name: str
    inputs: dict[str, Any]
    folder: Path

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the inputs name, and the conditioning `cond` and `uncond`."""
        return _tensors(self.folder)

    @property
    def sampler(self) -> str:
        """The sampler's name."""
        return str(self.inputs["sampler_name"])

    @property
    def is_flow(self) -> bool:
        """Whether the network ran as a flow model, in SD3's latent format."""
        return self.inputs["prediction_type"] == "flow"

    @property
    def wants_defects(self) -> bool:
        """Whether the expected output shows a defect of the original."""
        return self.name.endswith(DEFECTS) or SAMPLERS[self.sampler].leaves_noise


@cache
def cases() -> tuple[Case, ...]:
    """Every run."""
    return tuple(
        Case(each["name"], each, folder)
        for folder in FOLDERS
        for each in json.loads((folder / "cases.json").read_text())
    )


@cache
def _tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "tensors.safetensors")


@cache
def _network(prediction: str, cfg: float, folder: Path) -> GuidedNetwork:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(FOLDERS[0] / "unet", low_cpu_mem_usage=False).eval()
    table = NoiseTable.flow(3.0) if prediction == "flow" else NoiseTable.stable_diffusion(prediction)  # type: ignore[arg-type]
    tensors = _tensors(folder)
    return GuidedNetwork(unet, table, tensors["cond"], tensors["uncond"], cfg=cfg)


def network_of(case: Case) -> GuidedNetwork:
    """The network that a run was made with, and its guidance."""
    return _network(case.inputs["prediction_type"], case.inputs["cfg"], case.folder)


def expected(case: Case) -> Tensor:
    """(N * B, 4, h, w) what the original node returned."""
    return case.tensors[case.inputs["output"]]


def rerun(case: Case, *, micro_batch: int | None = None) -> Tensor:
    """(N * B, 4, h, w) what maskgrid returns for the same inputs."""
    node = case.inputs
    network = network_of(case)
    forks = sample_forks(
        network,
        case.tensors[node["latent"]],
        _plan(case),
        table=network.table,
        mode=node["mode"],
        sampler=node["sampler_name"],
        schedule=node["scheduler"],
        steps=node["steps"],
        seed=node["noise_seed"],
        add_noise=node["add_noise"] == "enable",
        start_at_step=node["start_at_step"],
        end_at_step=node["end_at_step"],
        return_with_leftover_noise=node["return_with_leftover_noise"] == "enable",
        denoise=node["denoise"],
        compat=case.wants_defects,
        scaling_factor=1.5305 if case.is_flow else 0.18215,
        shift_factor=0.0609 if case.is_flow else 0.0,
        micro_batch=micro_batch,
    )
    return forks.latents


def relative_error(case: Case, result: Tensor) -> float:
    """||result - expected|| / ||expected||."""
    target = expected(case)
    return float((result - target).norm() / target.norm())


def _plan(case: Case) -> ForkPlan:
    """The plan of the node's own mask (1, H, W, 3)."""
    node = case.inputs
    grid = Grid(node["rows"], node["columns"], cell=node["cell_pixels"], stride=8)
    return ForkPlan(grid, case.tensors[node["mask"]])
