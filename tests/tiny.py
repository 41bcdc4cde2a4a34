"""A tiny Stable Diffusion pipeline with random weights and a real tokenizer, built from config."""

from __future__ import annotations

import re

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel

from texts import letters_tokenizer, text_model

# Names of a checkpoint in one file, as LDM wrote it: patterns of diffusers' names, and what they become.
LDM_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
LDM_UNET = {
    r"time_embedding\.linear_1": "time_embed.0",
    r"time_embedding\.linear_2": "time_embed.2",
    r"conv_in": "input_blocks.0.0",
    r"conv_norm_out": "out.0",
    r"conv_out": "out.2",
    # Of two blocks with one layer each: every level is a layer, then its down- or upsampler.
    r"down_blocks\.0\.resnets\.0": "input_blocks.1.0",
    r"down_blocks\.0\.downsamplers\.0\.conv": "input_blocks.2.0.op",
    r"down_blocks\.1\.resnets\.0": "input_blocks.3.0",
    r"down_blocks\.1\.attentions\.0": "input_blocks.3.1",
    r"mid_block\.resnets\.0": "middle_block.0",
    r"mid_block\.attentions\.0": "middle_block.1",
    r"mid_block\.resnets\.1": "middle_block.2",
    r"up_blocks\.0\.resnets\.(\d)": r"output_blocks.\1.0",
    r"up_blocks\.0\.attentions\.(\d)": r"output_blocks.\1.1",
    r"up_blocks\.0\.upsamplers\.0\.conv": "output_blocks.1.2.conv",
    r"up_blocks\.1\.resnets\.0": "output_blocks.2.0",
    r"up_blocks\.1\.resnets\.1": "output_blocks.3.0",
}
LDM_VAE = {
    r"coder\.conv_norm_out": "coder.norm_out",
    r"down_blocks\.(\d)\.resnets\.(\d)": r"down.\1.block.\2",
    r"down_blocks\.(\d)\.downsamplers\.0": r"down.\1.downsample",
    # LDM counts the decoder's blocks from the picture.
    r"up_blocks\.0\.resnets\.(\d)": r"up.1.block.\1",
    r"up_blocks\.0\.upsamplers\.0": "up.1.upsample",
    r"up_blocks\.1\.resnets\.(\d)": r"up.0.block.\1",
    r"mid_block\.resnets\.0": "mid.block_1",
    r"mid_block\.resnets\.1": "mid.block_2",
    r"mid_block\.attentions\.0": "mid.attn_1",
    r"conv_shortcut": "nin_shortcut",
    r"group_norm": "norm",
    r"to_([qkv])": r"\1",
    r"to_out\.0": "proj_out",
}
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def pipeline() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    words = letters_tokenizer()
    text = text_model(words, 16, num_hidden_layers=1)
    unet = UNet2DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        norm_num_groups=2,
        attention_head_dim=2,
    )
    vae = AutoencoderKL(
        block_out_channels=(4, 4),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=1,
    )
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=words,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**BETAS, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def checkpoint(pipe: StableDiffusionPipeline) -> dict[str, torch.Tensor]:
    """The tiny pipeline's weights as a single file holds them, with LDM's names."""
    weights = {}
    for name, value in pipe.unet.state_dict().items():
        old = _renamed(name, {**LDM_UNET, **LDM_RESNET} if "resnets" in name else LDM_UNET)
        weights["model.diffusion_model." + old] = value
    for name, value in pipe.vae.state_dict().items():
        # LDM has attention as a convolution.
        flat = "attentions" in name and value.ndim == 2
        weights["first_stage_model." + _renamed(name, LDM_VAE)] = value[..., None, None] if flat else value
    for name, value in pipe.text_encoder.state_dict().items():
        weights["cond_stage_model.transformer.text_model." + name.removeprefix("text_model.")] = value
    return weights


def _renamed(name: str, names: dict[str, str]) -> str:
    for pattern, new in names.items():
        name = re.sub(pattern, new, name)
    return name
