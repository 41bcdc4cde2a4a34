"""The example workflows of the node pack, as prompts."""

from __future__ import annotations

from typing import Any

from comfyui.workflows import OLD_SAMPLER, Workflow, controls

__all__ = ["CHECKPOINT", "EXAMPLES", "old_workflow", "preview"]

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


def expressions() -> Workflow:
    """A sheet of one character, each cell drawn anew; pasted over the original and laid side by side."""
    flow = Workflow()
    sheet, stencil, grid = _inputs(flow)
    loaded, conds, latent = _model(flow, sheet)
    sampler = flow.add(
        "MaskGridSampler",
        model=(loaded, 0),
        **conds,
        latent_image=(latent, 0),
        mask=(stencil, 0),
        **grid,
        **controls(steps=20, cfg=7.0, sampler_name="dpmpp_2m", scheduler="karras"),
        mode="Fork then Sample",
    )
    shown = {"coverage": "center", "stride": 8}
    flow.add("MaskGridPreview", sheet=(sheet, 0), mask=(stencil, 0), **grid, **shown)
    pasted = _paste(flow, (sampler, loaded), (sheet, stencil), grid)
    flow.add("MaskGridContactSheet", before=(sheet, 0), after=(pasted, 1), mask=(stencil, 0), **grid)
    flow.add("SaveImage", images=(pasted, 0), filename_prefix="maskgrid/fork")
    return flow


def two_stages() -> Workflow:
    """All cells together for eight steps, then each alone with another sampler."""
    flow = Workflow()
    sheet, stencil, grid = _inputs(flow)
    loaded, conds, latent = _model(flow, sheet)
    same = {"model": (loaded, 0), **conds, "mask": (stencil, 0), **grid}
    begun = controls(
        steps=20,
        cfg=7.0,
        scheduler="karras",
        end_at_step=8,
        return_with_leftover_noise="enable",
    )
    first = flow.add("MaskGridSampler", **same, latent_image=(latent, 0), **begun, mode="Sample then Fork")
    rest = controls(
        steps=20,
        cfg=7.0,
        scheduler="karras",
        sampler_name="dpmpp_2m",
        start_at_step=8,
        add_noise="disable",
    )
    second = flow.add("MaskGridSampler", **same, latent_image=(first, 0), **rest, mode="Fork then Sample")
    pasted = _paste(flow, (second, loaded), (sheet, stencil), grid)
    merged = flow.add("MaskGridMergeForksImage", forks=(pasted, 0), **grid, picks="", original=(sheet, 0))
    flow.add("SaveImage", images=(merged, 0), filename_prefix="maskgrid/picked")
    return flow


def custom_sampler() -> Workflow:
    """The objects of ComfyUI's custom sampling, and a seed for each fork."""
    flow = Workflow()
    sheet, stencil, grid = _inputs(flow)
    loaded, conds, latent = _model(flow, sheet)
    objects = {
        "noise": (flow.add("RandomNoise", noise_seed=5), 0),
        "guider": (flow.add("CFGGuider", model=(loaded, 0), **conds, cfg=7.0), 0),
        "sampler": (flow.add("KSamplerSelect", sampler_name="euler_ancestral"), 0),
        "sigmas": (
            flow.add("BasicScheduler", model=(loaded, 0), scheduler="karras", steps=20, denoise=0.8),
            0,
        ),
    }
    sampler = flow.add(
        "MaskGridSamplerCustom",
        **objects,
        latent_image=(latent, 0),
        mask=(stencil, 0),
        **grid,
        mode="Fork then Sample",
        seed_mode="increment",
    )
    pasted = _paste(flow, (sampler, loaded), (sheet, stencil), grid)
    flow.add("SaveImage", images=(pasted, 1), filename_prefix="maskgrid/merged")
    return flow


EXAMPLES = {"expressions": expressions, "two_stages": two_stages, "custom_sampler": custom_sampler}


def old_workflow() -> Workflow:
    """As people made them with the original pack; every value differs from its default."""
    flow = Workflow()
    sheet, stencil, _ = _inputs(flow, prepare=False)
    loaded, conds, latent = _model(flow, sheet)
    sampler = flow.add(
        OLD_SAMPLER,
        model=(loaded, 0),
        **conds,
        latent_image=(latent, 0),
        mask=(stencil, 0),
        rows=2,
        columns=4,
        **controls(steps=31, cfg=6.5, noise_seed=1234, sampler_name="heun", scheduler="karras"),
        mode="Fork then Sample",
    )
    merged = flow.add("Merge Latent Batch Gridwise", batch=(sampler, 0), mask=(stencil, 0), rows=2, columns=4)
    decoded = flow.add("VAEDecode", samples=(merged, 0), vae=(loaded, 2))
    flow.add("SaveImage", images=(decoded, 0), filename_prefix="old")
    return flow


def preview() -> Workflow:
    """The preview alone, which needs no model."""
    flow = Workflow()
    sheet, stencil, grid = _inputs(flow)
    flow.add("MaskGridPreview", sheet=(sheet, 0), mask=(stencil, 0), **grid, coverage="center", stride=8)
    return flow


def _inputs(flow: Workflow, *, prepare: bool = True) -> tuple[str, str, dict[str, Any]]:
    sheet = flow.add("LoadImage", image="sheet.png")
    stencil = flow.add("LoadImage", image="stencil.png")
    if prepare:
        steps = {"threshold": 0.5, "invert": False, "fill_holes": True}
        pixels = {"grow": 0.0, "shrink": 0.0, "feather": 0.0}
        stencil = flow.add("MaskGridPrepareStencil", mask=(stencil, 0), **steps, **pixels)
    return sheet, stencil, {"rows": 3, "columns": 3}


def _model(flow: Workflow, sheet: str) -> tuple[str, dict[str, Any], str]:
    loaded = flow.add("CheckpointLoaderSimple", ckpt_name=CHECKPOINT)
    positive = flow.add(
        "CLIPTextEncode", text="a laughing blue face with headphones on a cream background", clip=(loaded, 1)
    )
    negative = flow.add("CLIPTextEncode", text="blurry", clip=(loaded, 1))
    latent = flow.add("VAEEncode", pixels=(sheet, 0), vae=(loaded, 2))
    return loaded, {"positive": (positive, 0), "negative": (negative, 0)}, latent


def _paste(flow: Workflow, sampled: tuple[str, str], pictures: tuple[str, str], grid: dict[str, Any]) -> str:
    """Decode with the second of `sampled`, paste over the sheet through the stencil."""
    (sampler, loaded), (sheet, stencil) = sampled, pictures
    decoded = flow.add("VAEDecode", samples=(sampler, 0), vae=(loaded, 2))
    return flow.add(
        "MaskGridPasteForks",
        forks=(decoded, 0),
        sheet=(sheet, 0),
        mask=(stencil, 0),
        **grid,
        cells="",
        feather=4.0,
    )
