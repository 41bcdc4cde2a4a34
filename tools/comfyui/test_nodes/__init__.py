"""Nodes for checks only: tiny random models, serial runs by ComfyUI's own nodes, tensors to files."""

# ruff: noqa: N802, RUF012 - ComfyUI wants these names and attributes.

import copy
from pathlib import Path

import comfy.cldm.cldm
import comfy.controlnet
import comfy.latent_formats
import comfy.ldm.wan.model
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.samplers
import comfy.supported_models
import comfy.utils
import folder_paths
import nodes
import numpy as np
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 16,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "legacy": False,
    "dtype": torch.float32,
}
VIDEO = {
    "model_type": "t2v",
    "in_dim": 16,
    "out_dim": 16,
    "dim": 48,
    "ffn_dim": 64,
    "freq_dim": 32,
    "text_dim": 16,
    "num_heads": 2,
    "num_layers": 2,
    "dtype": torch.float32,
}
_KINDS = ("eps", "v", "flow", "inpaint", "video", "stride 16")


class Flow(comfy.supported_models.SD15):
    """A tiny UNet as a flow model."""

    sampling_settings = {"shift": 3.0, "multiplier": 1000}


class Wan(comfy.supported_models.WAN21_T2V):
    """Wan's transformer with latents of 5 axes."""


class Stride16(comfy.supported_models.SD15):
    """A tiny UNet whose latents stand for 16 x 16 pixels each."""

    class latent_format(comfy.latent_formats.SD15):  # noqa: N801
        """Latents of SD 1.5 at another scale."""

        spacial_downscale_ratio = 16


class _Counting(torch.nn.Module):
    """A network that counts the rows it is shown."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.rows = 0
        self.fail_above = 0

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.inner, name)

    def forward(self, x, *args, **kwargs):
        """Count, then run."""
        if self.fail_above and len(x) > self.fail_above:
            raise comfy.model_management.OOM_EXCEPTION("more rows than this test lets fit")
        self.rows += len(x)
        return self.inner(x, *args, **kwargs)


def make_model(kind):
    """A model patcher with random weights, the same each time."""
    types = comfy.model_base.ModelType
    config = {
        "eps": comfy.supported_models.SD15,
        "v": comfy.supported_models.SD15,
        "flow": Flow,
        "inpaint": comfy.supported_models.SD15,
        "video": Wan,
        "stride 16": Stride16,
    }[kind]
    shape = dict(VIDEO if kind == "video" else UNET)
    if kind == "inpaint":
        shape["in_channels"] = 9
    config = config(shape)
    config.set_inference_dtype(torch.float32, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        if kind == "video":
            model = comfy.model_base.WAN21(config, device="cpu")
        else:
            model_type = {"v": types.V_PREDICTION, "flow": types.FLOW}.get(kind, types.EPS)
            model = comfy.model_base.BaseModel(config, model_type=model_type, device="cpu")
            if kind == "inpaint":
                model.set_inpaint()
        fill(model.diffusion_model)
    model.diffusion_model = _Counting(model.diffusion_model)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def fill(network):
    """Random weights; ComfyUI's operations leave memory as they found it."""
    for parameter in network.parameters():
        scale = (parameter.numel() / parameter.shape[0]) ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.requires_grad_(False).copy_(torch.randn(parameter.shape) * scale + (parameter.ndim == 1))


def random(shape, seed):
    """Numbers that do not touch the global generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class MaskGridTestModel:
    """A tiny model, conditioning of 7 tokens, and the latents of a sheet."""

    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING", "LATENT")
    FUNCTION = "make"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        number = ("INT", {"default": 1, "min": 0, "max": 4096})
        return {
            "required": {
                "kind": (list(_KINDS),),
                **dict.fromkeys(("batch", "height", "width", "prompts", "fail_above"), number),
                # A number that makes the page run it anew.
                "run": ("INT", {"default": 0}),
            }
        }

    def make(self, kind, batch, height, width, prompts, fail_above, run):
        """Make them."""
        model = make_model(kind)
        model.model.diffusion_model.fail_above = fail_above
        channels = (16, 3) if kind == "video" else (4,)
        positive = random((prompts, 7, 16), 1)
        latent = {"samples": random((batch, *channels, height, width), 3) * 3, "kept": "yes"}
        if kind != "video":
            latent["samples"] /= 0.6
        conds = [[[positive, {}]], [[random((1, 7, 16), 2), {}]]]
        if kind == "inpaint":
            more = {"concat_latent_image": random((1, 4, height, width), 4)}
            conds = [[[cond[0][0], more]] for cond in conds]
        return (model, *conds, latent)


class MaskGridTestControl:
    """A tiny ControlNet, and pictures of noise for its hints."""

    RETURN_TYPES = ("CONTROL_NET", "IMAGE")
    FUNCTION = "make"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        number = ("INT", {"default": 1, "max": 4096})
        return {"required": dict.fromkeys(("hints", "height", "width"), number)}

    def make(self, hints, height, width):
        """Make them."""
        shape = {key: value for key, value in UNET.items() if key not in ("out_channels", "legacy")}
        net = comfy.cldm.cldm.ControlNet(
            hint_channels=3, num_heads=8, operations=comfy.ops.disable_weight_init, **shape
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            fill(net)
        cpu = torch.device("cpu")
        pictures = random((hints, height, width, 3), 12).clamp(0, 1)
        return (comfy.controlnet.ControlNet(net, load_device=cpu), pictures)


class MaskGridTestMask:
    """A stencil: hard, or soft."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        number = ("INT", {"default": 64, "min": 1, "max": 4096})
        return {
            "required": {
                "kind": (["hard", "soft", "thin", "empty"],),
                "height": number,
                "width": number,
            }
        }

    def make(self, kind, height, width):
        """Make it."""
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        radius = (x**2 + y**2).sqrt()
        mask = {
            "hard": (radius < 0.7).float(),
            "soft": (1.2 - radius).clamp(0, 1),
            "thin": (torch.arange(width) == width // 2).float().expand(height, width),
            "empty": torch.zeros(height, width),
        }[kind]
        return (mask[None, :, :, None].repeat(1, 1, 1, 3),)


class MaskGridTestSerial:
    """Forks by ComfyUI's own nodes, one run after the other; and of one run with the tiled stencil."""

    RETURN_TYPES = ("LATENT", "LATENT")
    FUNCTION = "sample"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs of KSamplerAdvanced, and the grid."""
        types = copy.deepcopy(nodes.KSamplerAdvanced.INPUT_TYPES())
        number = ("INT", {"default": 1})
        types["required"] |= {"mask": ("IMAGE",), "rows": number, "columns": number, "stride": number}
        types["required"]["denoise"] = ("FLOAT", {"default": 1.0})
        return types

    def sample(self, mask, rows, columns, stride, latent_image, **controls):
        """Sample them."""
        forks = []
        for full in masks_of(mask, rows, columns, stride, latent_image):
            masked = nodes.SetLatentNoiseMask().set_mask(latent_image, full)[0]
            forks.append(nodes.KSamplerAdvanced().sample(latent_image=masked, **controls)[0]["samples"])
        tiled = nodes.SetLatentNoiseMask().set_mask(latent_image, mask[0, :, :, 0].repeat(rows, columns))[0]
        tiled = nodes.KSamplerAdvanced().sample(latent_image=tiled, **controls)[0]["samples"]
        cut = cells_of(tiled, latent_image["samples"], rows, columns)
        return ({"samples": torch.cat(forks)}, {"samples": torch.cat(list(cut))})


class MaskGridTestSerialCustom:
    """The forks by SamplerCustomAdvanced, one run after the other."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs of SamplerCustomAdvanced, and the grid."""
        number = ("INT", {"default": 1})
        names = {"noise": "NOISE", "guider": "GUIDER", "sampler": "SAMPLER", "sigmas": "SIGMAS"}
        return {
            "required": {
                **{name: (kind,) for name, kind in names.items()},
                "latent_image": ("LATENT",),
                "mask": ("IMAGE",),
                **dict.fromkeys(("rows", "columns", "stride"), number),
            }
        }

    def sample(self, noise, guider, sampler, sigmas, latent_image, mask, rows, columns, stride):
        """Sample them."""
        forks = []
        for full in masks_of(mask, rows, columns, stride, latent_image):
            masked = nodes.SetLatentNoiseMask().set_mask(latent_image, full)[0]
            out = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas.clone(), masked)
            forks.append(out.args[0]["samples"])
        return ({"samples": torch.cat(forks)},)


class MaskGridTestSigmas:
    """The noise levels of KSampler, which leaves one out for some samplers; BasicScheduler does not."""

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "make"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        kinds = comfy.samplers.KSampler
        return {
            "required": {
                "model": ("MODEL",),
                "sampler_name": (kinds.SAMPLERS,),
                "scheduler": (kinds.SCHEDULERS,),
                "steps": ("INT", {"default": 6}),
                "denoise": ("FLOAT", {"default": 1.0, "step": 0.01}),
            }
        }

    def make(self, model, sampler_name, scheduler, steps, denoise):
        """Make them."""
        sampling = comfy.samplers.KSampler(
            model, steps, model.load_device, sampler_name, scheduler, denoise, model.model_options
        )
        return (sampling.sigmas,)


def masks_of(mask, rows, columns, stride, latent):
    """A full-size mask for each cell."""
    height, width = (side * stride for side in latent["samples"].shape[-2:])
    h, w = mask.shape[1:3]
    for row in range(rows):
        for column in range(columns):
            full = torch.zeros(height, width)
            full[h * row : h * (row + 1), w * column : w * (column + 1)] = mask[0, :, :, 0]
            yield full


class MaskGridTestMasks:
    """The masks of the forks at latent size, as ComfyUI makes them."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "make"
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        number = ("INT", {"default": 1})
        sides = dict.fromkeys(("rows", "columns", "stride"), number)
        return {"required": {"latent_image": ("LATENT",), "mask": ("IMAGE",), **sides}}

    def make(self, latent_image, mask, rows, columns, stride):
        """Make them."""
        shape = latent_image["samples"].shape
        masks = masks_of(mask, rows, columns, stride, latent_image)
        return ({"samples": torch.cat([comfy.utils.reshape_mask(full, shape) for full in masks])},)


def cells_of(sampled, sheet, rows, columns):
    """The sheet once for each cell, with that cell from what was sampled."""
    h, w = sheet.shape[-2] // rows, sheet.shape[-1] // columns
    for row in range(rows):
        for column in range(columns):
            place = (..., slice(h * row, h * (row + 1)), slice(w * column, w * (column + 1)))
            fork = sheet.clone()
            fork[place] = sampled[place]
            yield fork


class MaskGridTestSave:
    """Writes a tensor, and what else there is to know, into the output folder."""

    RETURN_TYPES = ()
    FUNCTION = "save"
    OUTPUT_NODE = True
    CATEGORY = "MaskGrid tests"

    @classmethod
    def INPUT_TYPES(cls):
        """Inputs."""
        return {
            "required": {"name": ("STRING", {"default": "tensor"})},
            "optional": {"latent": ("LATENT",), "image": ("IMAGE",), "model": ("MODEL",)},
        }

    def save(self, name, latent=None, image=None, model=None):
        """Write them."""
        folder = Path(folder_paths.get_output_directory())
        rows = -1 if model is None else model.model.diffusion_model.rows
        tensor = latent["samples"] if latent is not None else image
        kept = ",".join(sorted(latent)) if latent is not None else ""
        state = int(torch.random.get_rng_state().sum())
        np.savez(folder / f"{name}.npz", tensor=tensor.numpy(), rows=rows, keys=kept, state=state)
        return {}


NODE_CLASS_MAPPINGS = {
    node.__name__: node
    for node in (
        MaskGridTestModel,
        MaskGridTestControl,
        MaskGridTestMask,
        MaskGridTestSerial,
        MaskGridTestSerialCustom,
        MaskGridTestMasks,
        MaskGridTestSigmas,
        MaskGridTestSave,
    )
}
