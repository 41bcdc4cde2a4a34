"""Every sampler that ComfyUI has, forks in one batch against one run after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from comfyui.workflows import OLD_SAMPLER, Workflow, controls, sheet_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from comfyui.server import Server

__all__ = ["CASES", "LIMIT", "Case", "Difference", "compare", "sampler_names"]

LIMIT = 1e-5
"""The most that a number may differ by, as a share of the largest number of the original's result."""

FORK, SAMPLE = "Fork then Sample", "Sample then Fork"


@dataclass(frozen=True)
class Case:
    """One setting, run with every sampler.

    Attributes:
        name: What the table calls it.
        sheet: The options of `sheet_of`.
        controls: What differs from `controls()`.
        original: Whether the original node can run it: 4 axes, 8 pixels, one item.
    """

    name: str
    sheet: dict[str, Any] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)
    original: bool = True

    @property
    def noisy(self) -> bool:
        """Whether noise is left."""
        return self.controls.get("return_with_leftover_noise") == "enable"


CASES = (
    Case("eps, hard"),
    Case("eps, soft", {"mask": "soft"}, {"scheduler": "karras", "cfg": 1.0}),
    Case("v, soft", {"kind": "v", "mask": "soft"}, {"scheduler": "sgm_uniform"}),
    Case("flow, hard", {"kind": "flow"}, {"scheduler": "simple"}),
    Case("flow, soft", {"kind": "flow", "mask": "soft"}, {"scheduler": "beta"}),
    Case("start, end", {"mask": "soft"}, {"start_at_step": 2, "end_at_step": 5}),
    Case("leftover", {"kind": "v"}, {"end_at_step": 4, "return_with_leftover_noise": "enable"}),
    Case("denoise 0.6", {"kind": "flow"}, {"denoise": 0.6}, original=False),
    Case("batch 2", {"batch": 2, "mask": "soft"}, original=False),
    Case("stride 16", {"kind": "stride 16"}, {"scheduler": "exponential"}, original=False),
    Case("5-D, hard", {"kind": "video"}, {"scheduler": "simple"}, original=False),
    Case("5-D, soft", {"kind": "video", "mask": "soft"}, {"scheduler": "simple"}, original=False),
    Case("inpaint model", {"kind": "inpaint"}, original=False),
)


@dataclass(frozen=True)
class Difference:
    """How far two results are apart.

    Attributes:
        share: The largest difference inside the stencil, as a share of the largest number.
        outside: How many numbers outside of it differ from the sheet.
    """

    share: float
    outside: int

    @property
    def fine(self) -> bool:
        """Whether it is what we promise."""
        return self.share < LIMIT and self.outside == 0


def sampler_names(server: Server) -> list[str]:
    """The names of all samplers of this ComfyUI."""
    found = server.get("/object_info/KSamplerAdvanced")["KSamplerAdvanced"]["input"]["required"]
    names = found["sampler_name"]
    return list(names[0] if isinstance(names[0], list) else names[1]["options"])


def compare(
    server: Server, case: Case, name: str, *, original: bool, micro_batch: int = 0
) -> Iterator[Difference]:
    """Both modes of a case with one sampler.

    Args:
        server: Where it runs.
        case: The setting.
        name: The sampler.
        original: Whether to compare with the original node; else with ComfyUI's nodes, run serially.
        micro_batch: How many forks to run at once; 0 for all.
    """
    flow = Workflow()
    inputs = sheet_of(flow, **case.sheet)
    chosen = controls(sampler_name=name, **case.controls)
    denoise = chosen.pop("denoise", 1.0)
    sampler = flow.add("KSamplerSelect", sampler_name=name)
    for mode in (FORK, SAMPLE):
        options = {"mode": mode, "compat": True, "micro_batch": micro_batch}
        if denoise < 1:
            ours = _custom(flow, inputs, {**chosen, "denoise": denoise}, sampler, options)
        else:
            ours = flow.add("MaskGridSampler", **inputs, **chosen, **options)
        flow.save(f"ours {mode}", ours)
    stride = 16 if case.sheet.get("kind") == "stride 16" else 8
    grid = {name: inputs[name] for name in ("latent_image", "mask", "rows", "columns")}
    flow.save("masks", flow.add("MaskGridTestMasks", **grid, stride=stride))
    if original:
        for mode in (FORK, SAMPLE):
            flow.save(f"theirs {mode}", flow.add(OLD_SAMPLER, **inputs, **chosen, mode=mode))
    else:
        serial = flow.add("MaskGridTestSerial", **inputs, **chosen, stride=stride, denoise=denoise)
        flow.save(f"theirs {FORK}", serial, 0)
        flow.save(f"theirs {SAMPLE}", serial, 1)
    flow.save("sheet", inputs["latent_image"][0], 3)
    server.run(flow.prompt)
    sheet, masks = (server.saved(saved)["tensor"] for saved in ("sheet", "masks"))
    for mode in (FORK, SAMPLE):
        ours, theirs = (server.saved(f"{who} {mode}")["tensor"] for who in ("ours", "theirs"))
        yield difference(ours, theirs, sheet, None if case.noisy else masks > 0)


def difference(ours: Any, theirs: Any, sheet: Any, inside: Any) -> Difference:
    """Compare results inside of the masks, and ours with the sheet outside; all of both without masks.

    Args:
        ours: (N * B, ...).
        theirs: Likewise.
        sheet: (B, ...).
        inside: (N * B, ...), or None where noise is left.
    """
    apart = np.abs(ours - theirs) / float(np.abs(theirs).max())
    if inside is None:
        return Difference(float(apart.max()), 0)
    sheets = np.concatenate([sheet] * (len(ours) // len(sheet)))
    return Difference(float(apart[inside].max()), int((ours != sheets)[~inside].sum()))


def _custom(
    flow: Workflow, inputs: dict[str, Any], chosen: dict[str, Any], sampler: str, options: dict[str, Any]
) -> str:
    """MaskGrid Sampler Custom with a part of the schedule, which KSamplerAdvanced can't have."""
    conds = {name: inputs[name] for name in ("model", "positive", "negative")}
    guider = flow.add("CFGGuider", **conds, cfg=chosen["cfg"])
    sigmas = flow.add(
        "MaskGridTestSigmas",
        model=inputs["model"],
        sampler_name=chosen["sampler_name"],
        scheduler=chosen["scheduler"],
        steps=chosen["steps"],
        denoise=chosen["denoise"],
    )
    noise = flow.add("RandomNoise", noise_seed=chosen["noise_seed"])
    rest = {name: inputs[name] for name in ("latent_image", "mask", "rows", "columns")}
    objects = {"noise": (noise, 0), "guider": (guider, 0), "sampler": (sampler, 0), "sigmas": (sigmas, 0)}
    return flow.add("MaskGridSamplerCustom", **objects, **rest, **options)
