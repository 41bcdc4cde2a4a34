"""Tiny pipelines of all families, built from config with random weights, and what to tell them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import diffusers as d
import torch

from texts import letters_tokenizer, text_model

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = [
    "DYNAMIC",
    "FAMILIES",
    "GRID",
    "QUIET",
    "SIZE",
    "build",
    "build_with_texts",
    "cached",
]

# Networks are tiny here: threads would only wait for each other.
torch.set_num_threads(1)
d.utils.logging.set_verbosity_error()

QUIET = (
    # diffusers' own Chroma uses what diffusers deprecates.
    "ignore:`FluxPosEmbed` is deprecated:FutureWarning",
    # torch deprecates what diffusers' Kolors uses.
    "ignore:`torch.jit.script` is deprecated:FutureWarning",
    # diffusers takes tensors for numpy arrays.
    "ignore:__array_wrap__ must accept context:DeprecationWarning",
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
)
"""Warnings of the libraries that tests with pipelines pass over."""
GRID = (2, 2)
SIZE = (8, 16)
Conditioning = dict[str, Any]
Built = tuple[Any, Conditioning]

_BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
_NO_TEXTS = {"text_encoder": None, "tokenizer": None}
_NO_CHECKER = {
    "safety_checker": None,
    "feature_extractor": None,
    "image_encoder": None,
    "requires_safety_checker": False,
}
_FLUX_VAE = {
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "shift_factor": 0.0609,
    "scaling_factor": 1.5035,
}
# Tokens of an image lie between these, so that the shift follows the size of tiny images too.
_DYNAMIC = {"use_dynamic_shifting": True, "base_image_seq_len": 16, "max_image_seq_len": 256}


def _unet(**options: Any) -> Any:
    return d.UNet2DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=2,
        **options,
    )


def _kl(channels: int = 4, blocks: int = 2, **options: Any) -> Any:
    return d.AutoencoderKL(
        block_out_channels=[4] * blocks,
        down_block_types=["DownEncoderBlock2D"] * blocks,
        up_block_types=["UpDecoderBlock2D"] * blocks,
        latent_channels=channels,
        norm_num_groups=1,
        **options,
    )


def _euler(prediction: str = "epsilon") -> Any:
    return d.EulerDiscreteScheduler(
        **_BETAS, prediction_type=prediction, timestep_spacing="linspace", steps_offset=1
    )


def _embeds(width: int, *, negative: bool = True, mask: str = "", pooled: int = 0) -> Conditioning:
    """Random embeddings of 8 tokens, with what else a family wants."""
    told: Conditioning = {}
    for prefix in ("", "negative_") if negative else ("",):
        told[f"{prefix}prompt_embeds"] = torch.randn(1, 8, width)
        if mask:
            told[f"{prefix}{mask}"] = torch.ones(1, 8)
        if pooled:
            told[f"{prefix}pooled_prompt_embeds"] = torch.randn(1, pooled)
    return told


def sd(prediction: str = "epsilon") -> Built:
    pipe = d.StableDiffusionPipeline(
        vae=_kl(),
        **_NO_TEXTS,
        unet=_unet(),
        scheduler=_euler(prediction),
        **_NO_CHECKER,
    )
    return pipe, {**_embeds(32), "guidance_scale": 4.0}


def sdxl() -> Built:
    unet = _unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    pipe = d.StableDiffusionXLPipeline(
        vae=_kl(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.1, 0.9, 1.2, 1.0]),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        scheduler=_euler(),
        add_watermarker=False,
    )
    return pipe, {**_embeds(32, pooled=16), "guidance_scale": 4.0}


def controlnet() -> Built:
    net = d.ControlNetModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        in_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        conditioning_embedding_out_channels=(2, 4),
        cross_attention_dim=32,
        norm_num_groups=2,
    )
    with torch.no_grad():
        # A new ControlNet sees nothing, and its outputs are zero.
        seeing = net.controlnet_cond_embedding.conv_out
        for block in (seeing, *net.controlnet_down_blocks, net.controlnet_mid_block):
            torch.nn.init.normal_(block.weight)
    pipe = d.StableDiffusionControlNetPipeline(
        vae=_kl(),
        **_NO_TEXTS,
        unet=_unet(),
        controlnet=net,
        scheduler=_euler(),
        **_NO_CHECKER,
    )
    image = torch.rand(1, 3, SIZE[0] * 2, SIZE[1] * 2)
    return pipe, {**_embeds(32), "guidance_scale": 4.0, "image": image}


def pixart() -> Built:
    transformer = d.PixArtTransformer2DModel(
        sample_size=16,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=16,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        use_additional_conditions=False,
    )
    pipe = d.PixArtSigmaPipeline(
        **_NO_TEXTS,
        vae=_kl(),
        transformer=transformer,
        scheduler=d.DPMSolverMultistepScheduler(**_BETAS),
    )
    return pipe, {**_embeds(32, mask="prompt_attention_mask"), "prompt": None, "negative_prompt": None}


def sd3() -> Built:
    transformer = d.SD3Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
    )
    encoders = {f"{part}{i}": None for part in ("text_encoder", "tokenizer") for i in ("", "_2", "_3")}
    pipe = d.StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_kl(**_FLUX_VAE),
        **encoders,
    )
    return pipe, _embeds(32, pooled=64)


def _flux_transformer(kind: Any, **options: Any) -> Any:
    return kind(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        **options,
    )


def flux() -> Built:
    transformer = _flux_transformer(d.FluxTransformer2DModel, pooled_projection_dim=32)
    pipe = d.FluxPipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC),
        vae=_kl(**_FLUX_VAE),
        **_NO_TEXTS,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )
    return pipe, _embeds(32, negative=False, pooled=32)


def chroma() -> Built:
    approximator = {
        "approximator_hidden_dim": 32,
        "approximator_layers": 1,
        "approximator_num_channels": 16,
    }
    transformer = _flux_transformer(d.ChromaTransformer2DModel, **approximator)
    pipe = d.ChromaPipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
        vae=_kl(**_FLUX_VAE),
        **_NO_TEXTS,
        transformer=transformer,
    )
    return pipe, _embeds(32, mask="prompt_attention_mask")


def flux2() -> Built:
    transformer = d.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
    )
    vae = d.AutoencoderKLFlux2(
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    vae.bn.running_mean.copy_(torch.randn(4) / 10)
    vae.bn.running_var.copy_(torch.rand(4) + 0.5)
    pipe = d.Flux2Pipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC),
        vae=vae,
        **_NO_TEXTS,
        transformer=transformer,
    )
    return pipe, _embeds(16, negative=False)


def _qwen_vae() -> Any:
    return d.AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.1, -0.1, 0.2, 0.0],
        latents_std=[1.2, 0.9, 1.0, 1.1],
    )


def qwen() -> Built:
    transformer = d.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    pipe = d.QwenImagePipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC, max_shift=0.9, shift_terminal=0.02),
        vae=_qwen_vae(),
        **_NO_TEXTS,
        transformer=transformer,
    )
    told = _embeds(16)
    masks = {f"{prefix}prompt_embeds_mask": torch.ones(1, 8).long() for prefix in ("", "negative_")}
    return pipe, {**told, **masks, "true_cfg_scale": 3.0}


def z_image() -> Built:
    transformer = d.ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    with torch.no_grad():
        # Made without a value.
        transformer.x_pad_token.fill_(1)
        transformer.cap_pad_token.fill_(1)
    pipe = d.ZImagePipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC),
        vae=_kl(16, scaling_factor=0.3611, shift_factor=0.1159),
        **_NO_TEXTS,
        transformer=transformer,
    )
    told = {name: [value[0]] for name, value in _embeds(16).items()}
    return pipe, {**told, "guidance_scale": 3.0}


def sana() -> Built:
    transformer = d.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {
            "block_types": ("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"),
            "block_out_channels": (8, 8, 8, 8),
            "qkv_multiscales": ((), (), (), (5,)),
            "layers_per_block": (1, 1, 1, 1),
        }.items()
    }
    vae = d.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
        **sides,
    )
    pipe = d.SanaPipeline(
        **_NO_TEXTS,
        vae=vae,
        transformer=transformer,
        scheduler=d.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    )
    return pipe, {**_embeds(8, mask="prompt_attention_mask"), "prompt": None, "negative_prompt": None}


def lumina2() -> Built:
    transformer = d.Lumina2Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        hidden_size=24,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=[4, 2, 2],
        axes_lens=[64, 64, 64],
        cap_feat_dim=16,
    )
    pipe = d.Lumina2Pipeline(
        transformer=transformer,
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=_kl(**_FLUX_VAE),
        **_NO_TEXTS,
    )
    told = _embeds(16, mask="prompt_attention_mask")
    # It counts tokens by adding them up.
    return pipe, {name: value.long() if "mask" in name else value for name, value in told.items()}


def aura_flow() -> Built:
    transformer = d.AuraFlowTransformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        out_channels=4,
        pos_embed_max_size=256,
    )
    pipe = d.AuraFlowPipeline(
        **_NO_TEXTS,
        vae=_kl(),
        transformer=transformer,
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=1.73),
    )
    with torch.no_grad():
        # With new weights the image would hardly look at the texts.
        transformer.joint_transformer_blocks[0].attn.to_out[0].weight *= 30
    return pipe, _embeds(16, mask="prompt_attention_mask")


def kolors() -> Built:
    unet = _unet(
        encoder_hid_dim_type="text_proj",
        encoder_hid_dim=24,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    pipe = d.KolorsPipeline(vae=_kl(), **_NO_TEXTS, unet=unet, scheduler=_euler())
    return pipe, {**_embeds(24, pooled=16), "guidance_scale": 4.0}


def hunyuan() -> Built:
    transformer = d.HunyuanDiT2DModel(
        sample_size=16,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        in_channels=4,
        hidden_size=16,
        cross_attention_dim=16,
        cross_attention_dim_t5=24,
        pooled_projection_dim=16,
        text_len=8,
        text_len_t5=8,
    )
    pipe = d.HunyuanDiTPipeline(
        # The pipeline takes it for granted that a latent cell has 8 pixels.
        vae=_kl(blocks=4),
        **_NO_TEXTS,
        transformer=transformer,
        scheduler=d.DDPMScheduler(**_BETAS, prediction_type="v_prediction", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    bert, t5 = (_embeds(width, mask="prompt_attention_mask") for width in (16, 24))
    return pipe, {**bert, **{f"{name}_2": value for name, value in t5.items()}}


def ovis() -> Built:
    transformer = _flux_transformer(d.OvisImageTransformer2DModel, out_channels=16)
    pipe = d.OvisImagePipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC),
        vae=_kl(**_FLUX_VAE),
        **_NO_TEXTS,
        transformer=transformer,
    )
    return pipe, {**_embeds(32), "negative_prompt": None}


def krea2(*, is_distilled: bool = False) -> Built:
    transformer = d.Krea2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        timestep_embed_dim=16,
        text_hidden_dim=16,
        num_text_layers=2,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=32,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(8, 4, 4),
    )
    pipe = d.Krea2Pipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(**_DYNAMIC),
        vae=_qwen_vae(),
        **_NO_TEXTS,
        transformer=transformer,
        text_encoder_select_layers=(0, 1),
        is_distilled=is_distilled,
    )
    told: Conditioning = {}
    for prefix in ("", "negative_"):
        told[f"{prefix}prompt_embeds"] = torch.randn(1, 8, 2, 16)
        told[f"{prefix}prompt_embeds_mask"] = torch.ones(1, 8, dtype=torch.bool)
    return pipe, told


FAMILIES: dict[str, Callable[[], Built]] = {
    "sd": sd,
    "sd_v": functools.partial(sd, "v_prediction"),
    "sdxl": sdxl,
    "controlnet": controlnet,
    "pixart": pixart,
    "sd3": sd3,
    "flux": flux,
    "chroma": chroma,
    "flux2": flux2,
    "qwen": qwen,
    "z_image": z_image,
    "sana": sana,
    "lumina2": lumina2,
    "aura_flow": aura_flow,
    "kolors": kolors,
    "hunyuan": hunyuan,
    "ovis": ovis,
    "krea2": krea2,
    "krea2_distilled": functools.partial(krea2, is_distilled=True),
}
DYNAMIC = ("flux", "flux2", "qwen", "z_image", "ovis", "krea2", "krea2_distilled")


def build(name: str) -> Built:
    """A new pipeline of a family, the same each time, and the conditioning of one image."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe, told = FAMILIES[name]()
    pipe.set_progress_bar_config(disable=True)
    for network in (
        pipe.components[part] for part in ("unet", "transformer", "vae") if part in pipe.components
    ):
        network.eval()
    return pipe, told


cached = functools.cache(build)
"""One for tests that leave it as it is, which is the rule."""


def build_with_texts(**parts: Any) -> Any:
    """A new Stable Diffusion with a tokenizer, of letters, a small text encoder, and these parts."""
    pipe, _ = build("sd")
    tokenizer = letters_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = text_model(tokenizer, 32)
    texts = {"text_encoder": encoder, "tokenizer": tokenizer}
    own = d.StableDiffusionPipeline(**{**pipe.components, **texts, **parts}, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    return own
