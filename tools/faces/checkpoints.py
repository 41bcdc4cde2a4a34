"""Checkpoints: one safetensors file with the weights, their average and the optimiser's state.

A file is written under a temporary name and renamed, so a killed training leaves the last whole one.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


class Run:
    """A training that can be stopped and resumed.

    Args:
        folder: where `checkpoint.safetensors` and `log.txt` lie.
        model: what is trained.
        optimizer: an AdamW over the model's parameters that take a gradient.
        decay: how slowly the average of the weights follows; 0 keeps it equal to the weights.
    """

    def __init__(self, folder: Path, model: nn.Module, optimizer: torch.optim.AdamW, decay: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.model, self.optimizer, self.decay = folder, model, optimizer, decay
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.step = 0
        self.started = time.monotonic()
        if (folder / "checkpoint.safetensors").exists():
            self._load()

    def update_average(self) -> None:
        """Moves the average towards the weights, faster in the first steps."""
        rate = 1 - min(self.decay, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, rate)

    def log(self, **figures: float) -> None:
        """Appends one line to log.txt and prints it."""
        values = " ".join(f"{name} {value:.5g}" for name, value in figures.items())
        line = f"{time.strftime('%H:%M:%S')} step {self.step} {values}"
        print(line, flush=True)
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save(self) -> None:
        """Writes everything that `_load` needs, at once or not at all."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        tensors = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
        path = self.folder / "checkpoint.safetensors"
        save_file(tensors, path.with_suffix(".tmp"), metadata={"run": json.dumps({"step": self.step})})
        path.with_suffix(".tmp").replace(path)

    def _load(self) -> None:
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        with safe_open(self.folder / "checkpoint.safetensors", "pt") as file:
            self.step = json.loads(file.metadata()["run"])["step"]
            for key in file.keys():  # noqa: SIM118 - a safe_open handle isn't iterable
                group, name = key.split(".", 1)
                groups[group][name] = file.get_tensor(key)
        self.model.load_state_dict(groups["model"])
        self.average = groups["average"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in groups["optimizer"].items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": settings})


def load_average(path: Path, model: nn.Module) -> nn.Module:
    """Puts the averaged weights of a checkpoint into a model, ready for use."""
    with safe_open(path, "pt") as file:
        names = [key for key in file.keys() if key.startswith("average.")]  # noqa: SIM118
        model.load_state_dict({name.removeprefix("average."): file.get_tensor(name) for name in names})
    return model.eval().requires_grad_(False)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
