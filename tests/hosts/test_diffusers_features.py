"""Features of pipelines that work through the host because they are the pipeline's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import diffusers as d
import numpy as np
import pytest
import torch
from families import QUIET, SIZE, build, build_with_texts
from forking_hosts import fork_latents, relative, sheet, stencils
from own_runs import distance_from_own_run, own_run
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from maskgrid.hosts.diffusers import DiffusersHost, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="offloads from a GPU")
TEXTS: dict[str, Any] = {"prompt": "a face", "negative_prompt": "dull", "guidance_scale": 3.0}
# The same arithmetic in another order or batch, in float32; and in bfloat16, whose loop rounds at every step.
ROUNDING, HALF_ROUNDING = 1e-5, 5e-2


def promised(host: DiffusersHost, told: Mapping[str, Any], tolerance: float = ROUNDING) -> Tensor:
    """Forks, once they are exact outside the stencil and a white one is the pipeline's own run."""
    forks = fork_latents(host, told, fork_at=1).latents
    assert forks.isfinite().all()
    assert not (forks != sheet(host))[(stencils() == 0).expand_as(forks)].any()
    assert distance_from_own_run(host, told) < tolerance
    return forks


def part_of(pipe: Any) -> str:
    return "unet" if hasattr(pipe, "unet") else "transformer"


def in_bfloat16(pipe: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    """The conditioning for a pipeline that is cast to bfloat16."""
    pipe.to(torch.bfloat16)
    return {name: v.bfloat16() if isinstance(v, Tensor) else v for name, v in told.items()}


@contextmanager
def failing(module: nn.Module) -> Iterator[None]:
    """A module that raises at its second call."""
    calls = iter(range(2))

    def hook(*args: Any) -> None:
        if next(calls) == 1:
            raise ArithmeticError("at the second call")

    handle = module.register_forward_pre_hook(hook)
    try:
        with pytest.raises(ArithmeticError, match="at the second call"):
            yield
    finally:
        handle.remove()


# LoRA


def lora(network: nn.Module, part: str, seed: int) -> dict[str, Tensor]:
    """Random weights of rank 2 for the queries and values of a network, by the names in LoRA files."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("to_q", "to_v")):
            weights[f"{part}.{name}.lora_A.weight"] = torch.randn(2, module.in_features, generator=generator)
            weights[f"{part}.{name}.lora_B.weight"] = torch.randn(module.out_features, 2, generator=generator)
    return weights


@pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning")
@pytest.mark.parametrize(
    ("family", "scaling"), [("sd", "cross_attention_kwargs"), ("flux", "joint_attention_kwargs")]
)
def test_a_lora_changes_the_forks_until_it_is_unloaded(family: str, scaling: str, tmp_path: Path) -> None:
    pipe, told = (build_with_texts(), TEXTS) if family == "sd" else build(family)
    host = DiffusersHost(pipe)
    without = promised(host, told)
    weights, others = (lora(host.network, part_of(pipe), seed) for seed in (2, 3))
    save_file(weights, tmp_path / "lora.safetensors")
    pipe.load_lora_weights(tmp_path, weight_name="lora.safetensors", adapter_name="style")
    styled = promised(host, told)
    assert relative(styled, without) > 1e-3

    half = {**told, scaling: {"scale": 0.5}}
    assert relative(promised(host, half), styled) > 1e-3
    together, serial = (fork_latents(host, half, mode="fork", micro_batch=n).latents for n in (None, 1))
    assert relative(serial, together) < ROUNDING
    none = fork_latents(host, {**told, scaling: {"scale": 0.0}}, fork_at=1).latents
    assert relative(none, without) < ROUNDING
    assert torch.equal(fork_latents(host, told, fork_at=1).latents, styled)

    pipe.load_lora_weights(others, adapter_name="other")
    pipe.set_adapters(["style", "other"], adapter_weights=[0.5, 0.5])
    assert relative(promised(host, told), styled) > 1e-3
    pipe.unload_lora_weights()
    assert torch.equal(fork_latents(host, told, fork_at=1).latents, without)


# IP-Adapter


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8))


def image_encoder() -> Any:
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CLIPVisionModelWithProjection(config).eval()


def ip_adapter(network: Any) -> dict[str, dict[str, Tensor]]:
    """Random weights for a network, by the names in files of IP-Adapters: 4 tokens of 32 for an image."""
    generator = torch.Generator().manual_seed(4)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    projection = {"proj.weight": random(128, 16), "proj.bias": random(128)}
    projection |= {"norm.weight": torch.ones(32), "norm.bias": torch.zeros(32)}
    is_flux = isinstance(network, d.FluxTransformer2DModel)
    kinds = "transformer_blocks" if is_flux else "attn2.processor"
    names = [name for name in network.attn_processors if name.startswith(kinds) or name.endswith(kinds)]
    attention = {}
    for i, name in enumerate(names):
        width = network.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for side in ("to_k_ip", "to_v_ip"):
            key = f"{i if is_flux else 2 * i + 1}.{side}"
            attention[f"{key}.weight"] = random(width, 32)
            if is_flux:
                attention[f"{key}.bias"] = random(width)
    return {"image_proj": projection, "ip_adapter": attention}


def with_ip_adapter(family: str) -> tuple[Any, dict[str, Any]]:
    """A pipeline with an image encoder and an IP-Adapter."""
    if family == "sd":
        pipe, told = build_with_texts(image_encoder=image_encoder()), TEXTS
    else:
        bare, told = build(family)
        pipe = type(bare)(**{**bare.components, "image_encoder": image_encoder()})
        pipe.set_progress_bar_config(disable=True)
    place = {} if family == "flux" else {"subfolder": ""}
    pipe.load_ip_adapter(ip_adapter(getattr(pipe, part_of(pipe))), weight_name="", **place)
    return pipe, told


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_an_ip_adapter_has_one_image_for_any_number_of_forks(family: str, guidance: float) -> None:
    pipe, told = with_ip_adapter(family)
    host = DiffusersHost(pipe)
    shown = {**told, "guidance_scale": guidance, "ip_adapter_image": picture(0)}
    forks = promised(host, shown)
    other = fork_latents(host, {**shown, "ip_adapter_image": picture(1)}, fork_at=1).latents
    assert relative(other, forks) > 0.01
    serial = fork_latents(host, shown, fork_at=1, micro_batch=1).latents
    assert relative(serial, forks) < ROUNDING

    device = torch.device("cpu")
    embeds = pipe.prepare_ip_adapter_image_embeds(picture(0), None, device, 1, guidance > 1)
    given = {**told, "guidance_scale": guidance, "ip_adapter_image_embeds": embeds}
    assert torch.equal(fork_latents(host, given, fork_at=1).latents, forks)

    pipe.set_ip_adapter_scale(0.3)
    assert relative(promised(host, shown), forks) > 0.01


def test_forks_have_their_own_texts_beside_an_ip_adapter() -> None:
    pipe, told = with_ip_adapter("sd")
    host = DiffusersHost(pipe)
    texts = ["a sad face", "a hat", "an owl", "red"]
    shown = {**told, "ip_adapter_image": [picture(0)]}
    own = {**shown, "prompt": texts}
    together, some = (fork_latents(host, own, mode="fork", micro_batch=n).latents for n in (None, 3))
    assert relative(some, together) < ROUNDING
    for fork, text in enumerate(texts):
        alone = fork_latents(host, {**shown, "prompt": text}, mode="fork").latents[fork]
        assert relative(together[fork], alone) < ROUNDING


def test_an_ip_adapter_of_flux_has_a_negative_image_too() -> None:
    pipe, told = with_ip_adapter("flux")
    host = DiffusersHost(pipe)
    negative = {f"negative_{name}": value.flip(0, 1).roll(1, -1) for name, value in told.items()}
    guided = {**told, **negative, "true_cfg_scale": 3.0}
    images = {"ip_adapter_image": picture(0), "negative_ip_adapter_image": picture(1)}
    forks = promised(host, {**guided, **images})
    for name in images:
        other = fork_latents(host, {**guided, **images, name: picture(2)}, fork_at=1).latents
        assert relative(other, forks) > 1e-3
    embeds = {
        f"{name}_embeds": pipe.prepare_ip_adapter_image_embeds(image, None, torch.device("cpu"), 1)
        for name, image in images.items()
    }
    assert torch.equal(fork_latents(host, {**guided, **embeds}, fork_at=1).latents, forks)
    serial = fork_latents(host, {**guided, **embeds}, fork_at=1, micro_batch=1).latents
    assert relative(serial, forks) < ROUNDING


# Textual inversion


def test_a_textual_inversion_is_a_word() -> None:
    host = DiffusersHost(build_with_texts())
    named, unnamed = {**TEXTS, "prompt": "a hat <owl>"}, {**TEXTS, "prompt": "a hat"}
    before = {prompt["prompt"]: fork_latents(host, prompt, fork_at=1).latents for prompt in (named, unnamed)}
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(1))
    host.pipe.load_textual_inversion(vectors, token="<owl>")
    forks = promised(host, named)
    assert relative(forks, before["a hat <owl>"]) > 1e-3
    assert relative(forks, before["a hat"]) > 1e-3
    assert torch.equal(promised(host, unnamed), before["a hat"])

    own = {**TEXTS, "prompt": ["a hat", "a hat <owl>", "<owl>", "red"]}
    listed = fork_latents(host, own, mode="fork").latents[1]
    assert relative(listed, fork_latents(host, named, mode="fork").latents[1]) < ROUNDING
    host.pipe.unload_textual_inversion()
    assert torch.equal(fork_latents(host, named, fork_at=1).latents, before["a hat <owl>"])


# CPU offload


def in_groups(pipe: Any, folder: Path | None = None, **options: Any) -> None:
    for part in (part_of(pipe), "vae"):
        if folder is not None:
            # A folder each: the files are called by modules' names, which two networks may share.
            options["offload_to_disk_path"] = str(folder / part)
        getattr(pipe, part).enable_group_offload(torch.device("cpu"), **options)


def by_blocks(pipe: Any, folder: Path) -> None:
    in_groups(pipe, offload_type="block_level", num_blocks_per_group=1)


def by_leaves(pipe: Any, folder: Path) -> None:
    in_groups(pipe, offload_type="leaf_level")


def to_disk(pipe: Any, folder: Path) -> None:
    in_groups(pipe, folder, offload_type="leaf_level")


def by_models(pipe: Any, folder: Path) -> None:
    pipe.enable_model_cpu_offload(device="cpu")


def by_layers(pipe: Any, folder: Path) -> None:
    # What enable_sequential_cpu_offload does, which names a device "cpu:0" that accelerate does not expect.
    from accelerate import cpu_offload

    for part in (part_of(pipe), "vae"):
        cpu_offload(getattr(pipe, part), torch.device("cpu"))


def hooked(pipe: Any) -> list[tuple[str, type]]:
    """The modules that have a hook, and its kind."""
    marks = ("_hf_hook", "_diffusers_hook")
    parts = ((part, getattr(pipe, part)) for part in (part_of(pipe), "vae"))
    modules = ((f"{part}.{name}", each) for part, net in parts for name, each in net.named_modules())
    return [
        (name, type(getattr(each, mark))) for name, each in modules for mark in marks if hasattr(each, mark)
    ]


@pytest.mark.parametrize("offload", [by_blocks, by_leaves, by_models, by_layers, to_disk])
@pytest.mark.parametrize("family", ["sd", "flux"])
def test_offloaded_networks_give_the_same_bits(
    family: str, offload: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    pipe, told = build(family)
    host = DiffusersHost(pipe)
    pixels = torch.rand(1, 3, SIZE[0] * host.stride, SIZE[1] * host.stride) * 2 - 1

    def everything() -> list[Tensor]:
        forks = fork_latents(host, told, fork_at=1, micro_batch=3).latents
        return [forks, host.encode(pixels), host.decode(sheet(host))]

    def as_expected() -> bool:
        # Weights from a file lie elsewhere in memory, by which the kernels' rounding goes.
        most = 1e-6 if offload is to_disk else 0
        return all(relative(*pair) <= most for pair in zip(everything(), expected, strict=True))

    expected = everything()
    offload(pipe, tmp_path)
    hooks = hooked(pipe)
    assert hooks
    places = [value.device for value in host.network.parameters()]
    assert host.device.type == "cpu"
    assert host.dtype == torch.float32
    for _ in range(2):
        assert as_expected()
        assert hooked(pipe) == hooks
        assert [value.device for value in host.network.parameters()] == places

    last = host.network.conv_out if family == "sd" else host.network.proj_out
    with failing(last):
        fork_latents(host, told)
    assert hooked(pipe) == hooks
    assert as_expected()
    assert check(pipe, **told).trusted
    assert hooked(pipe) == hooks


# Not from the disk, where the pipeline's own run fails.
@pytest.mark.parametrize("offload", [by_blocks, by_leaves, by_models, by_layers])
def test_an_offloaded_vae_that_overflows_computes_in_single(
    offload: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    pipe, _ = build("sdxl")
    host = DiffusersHost(pipe)
    expected = host.decode(sheet(host))
    pipe.vae.to(torch.float16)
    pipe.vae.register_to_config(force_upcast=True)
    offload(pipe, tmp_path)
    for _ in range(2):
        torch.testing.assert_close(host.decode(sheet(host)), expected, atol=1e-2, rtol=0)
        assert pipe.vae.dtype == torch.float16


@needs_cuda
@pytest.mark.parametrize("way", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_networks_are_off_the_gpu_between_runs(way: str) -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told).latents
    getattr(pipe, way)()
    assert host.device.type == "cuda"
    assert relative(fork_latents(host, told).latents.cpu(), expected) < 1e-2
    with failing(host.network.conv_out):
        fork_latents(host, told)
    assert {value.device.type for value in host.network.parameters()} <= {"cpu", "meta"}
    assert host.decode(sheet(host)).device.type == "cuda"


# torch.compile


@pytest.mark.parametrize(
    ("backend", "run", "graphs"),
    # One graph for the sheet and one for four forks, or that for the forks alone; none for a step.
    [("eager", {"fork_at": 1}, 2), ("aot_eager", {"mode": "fork"}, 1)],
)
def test_a_compiled_network_is_compiled_once_for_a_batch(
    backend: str, run: dict[str, Any], graphs: int
) -> None:
    pipe, told = build("flux")
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told, steps=5, **run).latents
    compiled = []

    def counting(graph: Any, inputs: Any, **options: Any) -> Any:
        compiled.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs, **options)

    torch._dynamo.reset()
    if backend == "eager":
        pipe.transformer = torch.compile(pipe.transformer, backend=counting)
    else:
        pipe.transformer.compile(backend=counting)
    for _ in range(2):
        assert relative(fork_latents(host, told, steps=5, **run).latents, expected) < ROUNDING
        assert len(compiled) == graphs
    assert host.network is pipe.transformer
    assert host.network.dtype == host.dtype == torch.float32
    assert host.device.type == "cpu"
    torch._dynamo.reset()


# Quantised weights


class Int8Linear(nn.Module):
    """A linear layer with weights of 8 bits and a scale by channel, which computes in bfloat16."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.scale = linear.weight.detach().float().abs().amax(1, keepdim=True) / 127
        self.weight = nn.Parameter((linear.weight / self.scale).round().to(torch.int8), requires_grad=False)
        self.offset = None if linear.bias is None else linear.bias.detach().bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight * self.scale).bfloat16()
        return nn.functional.linear(x, weight, self.offset)


def in_int8(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))


def stored_in_float8(network: nn.Module) -> None:
    """Weights that are cast for the time of a layer's call, by hooks that diffusers does not know of."""

    def widen(module: nn.Module, args: Any) -> None:
        module.to(torch.float32)

    def narrow(module: nn.Module, args: Any, output: Any) -> None:
        module.to(torch.float8_e4m3fn)

    for module in network.modules():
        if not list(module.children()):
            module.to(torch.float8_e4m3fn)
            module.register_forward_pre_hook(widen)
            module.register_forward_hook(narrow)


def seen_by(network: nn.Module) -> set[torch.dtype]:
    """A set into which the dtypes of the latents go that a network is shown."""
    dtypes: set[torch.dtype] = set()

    def look(module: nn.Module, args: Any, kwargs: Any) -> None:
        dtypes.add((args[0] if args else kwargs["hidden_states"]).dtype)

    network.register_forward_pre_hook(look, with_kwargs=True)
    return dtypes


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["sd", "flux", "sana"])
def test_weights_can_be_stored_in_float8(family: str, compute: torch.dtype) -> None:
    pipe, told = build(family)
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told, fork_at=1).latents
    told = told if compute == torch.float32 else in_bfloat16(pipe, told)
    for network in (host.network, pipe.vae):
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=compute)
    seen = seen_by(host.network)
    forks = promised(host, told, ROUNDING if compute == torch.float32 else HALF_ROUNDING)
    assert host.dtype == compute
    assert seen == {compute}
    assert 0 < relative(forks, expected) < 0.1
    pixels = host.decode(sheet(host))
    assert pixels.isfinite().all()
    assert host.encode(pixels).shape == sheet(host).shape


def test_latents_are_never_in_float8() -> None:
    pipe = build_with_texts()
    host = DiffusersHost(pipe)
    expected = fork_latents(host, TEXTS, fork_at=1).latents
    stored_in_float8(pipe.unet)
    assert pipe.unet.dtype == torch.float8_e4m3fn
    assert host.dtype == pipe.text_encoder.dtype == torch.float32
    assert relative(promised(host, TEXTS), expected) < 0.1
    bare, _ = build("sd")
    bare.unet.to(torch.float8_e4m3fn)
    assert DiffusersHost(bare).dtype == torch.float32


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
def test_latents_follow_the_embeddings_where_the_pipeline_has_them_do_so() -> None:
    pipe, told = build("flux")
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told, fork_at=1).latents
    told = in_bfloat16(pipe, told)
    in_int8(pipe.transformer)
    # As in a GGUF file: the norms stay in float32, and they are all that says what the network's dtype is.
    for name, value in pipe.transformer.named_parameters():
        if "norm" in name and value.is_floating_point():
            value.data = value.data.float()
    assert host.network.dtype == torch.float32
    seen = seen_by(host.network)
    forks = promised(host, told, HALF_ROUNDING)
    assert seen == {torch.bfloat16}
    assert 0 < relative(forks, expected) < 0.1


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor, torch.quantize_per_channel:UserWarning")
def test_linear_layers_can_be_quantised_dynamically() -> None:
    # Deprecated: torch will leave it out one day.
    quantization = pytest.importorskip("torch.ao.quantization")
    pipe, told = build("sd3")
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told, fork_at=1).latents
    pipe.transformer = quantization.quantize_dynamic(pipe.transformer, {nn.Linear})
    # What is read is rounded to 8 bits too, so that a last digit may count.
    assert 0 < relative(promised(host, told, 1e-2), expected) < 0.1
    assert host.dtype == torch.float32


# The rest


def test_freeu_and_attention_slices_are_the_pipelines_own() -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    plain = promised(host, told)
    pipe.enable_attention_slicing(1)
    assert relative(promised(host, told), plain) < ROUNDING
    pipe.disable_attention_slicing()
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.4, b2=1.6)
    assert relative(promised(host, told), plain) > 1e-3
    pipe.disable_freeu()
    assert torch.equal(promised(host, told), plain)


@pytest.mark.parametrize(
    "told", [{"guidance_rescale": 0.7}, {"guidance_scale": 1.0}, {"negative_prompt": "red"}]
)
def test_arguments_go_through(told: dict[str, Any]) -> None:
    host = DiffusersHost(build_with_texts())
    plain = fork_latents(host, TEXTS, fork_at=1).latents
    assert relative(promised(host, {**TEXTS, **told}), plain) > 1e-4


def test_perturbed_attention_is_the_pipelines_own() -> None:
    bare, told = build("sd")
    pipe = d.StableDiffusionPAGPipeline(**bare.components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    host = DiffusersHost(pipe)
    forks = promised(host, {**told, "pag_scale": 2.0})
    assert relative(forks, fork_latents(host, {**told, "pag_scale": 0.0}, fork_at=1).latents) > 1e-4
    serial = fork_latents(host, {**told, "pag_scale": 2.0}, fork_at=1, micro_batch=1).latents
    assert relative(serial, forks) < ROUNDING


def test_the_vae_can_work_in_slices_and_tiles() -> None:
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    latents = torch.cat([sheet(host), sheet(host, seed=7)])
    plain = host.decode(latents)
    encoded = host.encode(plain)
    pipe.vae.enable_slicing()
    torch.testing.assert_close(host.decode(latents), plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(host.encode(plain), encoded, atol=1e-5, rtol=0)
    pipe.vae.enable_tiling()
    pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = 8, 4
    tiled = host.decode(latents)
    assert relative(tiled, plain) > 1e-3
    run = {"latents": sheet(host, seed=5), "size": (SIZE[0] * host.stride, SIZE[1] * host.stride)}
    packed, shown = (
        own_run(pipe, told, **run, num_inference_steps=2, output_type=kind)[0] for kind in ("latent", "pt")
    )
    torch.testing.assert_close(host.decode(packed) / 2 + 0.5, shown, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("sampler", "calls"), [("euler", 3), ("heun", 5)])
def test_a_callback_sees_every_call_of_every_batch(sampler: str, calls: int) -> None:
    pipe, told = build("sd")
    seen = []

    def look(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append((step, float(timestep), kwargs["latents"].shape))
        return kwargs

    host = DiffusersHost(pipe)
    plain = fork_latents(host, told, mode="fork", micro_batch=3, sampler=sampler).latents
    told = {**told, "callback_on_step_end": look, "callback_on_step_end_tensor_inputs": ["latents"]}
    forks = fork_latents(host, told, mode="fork", micro_batch=3, sampler=sampler).latents
    assert torch.equal(forks, plain)
    first, second = seen[:calls], seen[calls:]
    assert [step for step, _, _ in first] == [step for step, _, _ in second] == list(range(calls))
    assert [time for _, time, _ in first] == [time for _, time, _ in second]
    assert {shape[0] for _, _, shape in first} == {3}
    assert {shape[0] for _, _, shape in second} == {1}
