"""A LoRA of random weights, written as a file that pipelines load."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def write_lora(network: nn.Module, file: Path, seed: int, *, part: str = "unet") -> Path:
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("to_q", "to_v", "q_proj")):
            sides = (2, module.in_features), (module.out_features, 2)
            for letter, side in zip("AB", sides, strict=True):
                weights[f"{part}.{name}.lora_{letter}.weight"] = torch.randn(side, generator=generator)
    save_file(weights, file)
    return file
