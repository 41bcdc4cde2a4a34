"""Shared passes beside what pipelines have of their own: offloading, LoRAs, precision, clones; refusals."""

import threading
from pathlib import Path

import diffusers as d
import pytest
import torch
from families import QUIET, build
from forking_hosts import fork_latents, relative, sheet
from test_diffusers_features import by_blocks, by_layers, by_leaves, by_models, hooked, lora, part_of

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.sharing.shared_network import Sharing

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]
CELLS = {"mode": "fork", "sharing": Sharing(halo=0)}
WHOLE = {"mode": "fork", "sharing": Sharing(halo=100)}


@pytest.mark.parametrize("offload", [by_blocks, by_leaves, by_models, by_layers])
@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_offloaded_networks_share_alike(family, offload, tmp_path: Path):
    pipe, told = build(family)
    host = DiffusersHost(pipe)
    expected = fork_latents(host, told, **CELLS).latents
    offload(pipe, tmp_path)
    hooks = hooked(pipe)
    assert relative(fork_latents(host, told, **CELLS).latents, expected) < 1e-5
    assert hooked(pipe) == hooks


@pytest.mark.parametrize("family", ["sd", "sd3", "flux"])
def test_a_lora_is_shared_too(family, tmp_path: Path):
    pipe, told = build(family)
    host = DiffusersHost(pipe)
    without = fork_latents(host, told, **WHOLE).latents
    pipe.load_lora_weights(lora(host.network, part_of(pipe), 2), adapter_name="style")
    exact = fork_latents(host, told, mode="fork").latents
    assert relative(fork_latents(host, told, **WHOLE).latents, exact) < 1e-5
    assert relative(without, exact) > 1e-4


@pytest.mark.parametrize("family", ["sd", "pixart", "flux"])
def test_half_precision_stays_half(family):
    pipe, told = build(family)
    pipe.to(torch.bfloat16)
    halved = {
        n: v.bfloat16() if isinstance(v, torch.Tensor) and v.is_floating_point() else v
        for n, v in told.items()
    }
    host = DiffusersHost(pipe)
    exact = fork_latents(host, halved, mode="fork").latents
    assert relative(fork_latents(host, halved, **WHOLE).latents, exact) < 0.03


def test_free_u_is_shared_too():
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    exact = fork_latents(host, told, mode="fork").latents
    assert relative(fork_latents(host, told, **WHOLE).latents, exact) < 1e-5


def test_attention_that_does_not_ask_torch_is_refused():
    pipe, told = build("sd")
    pipe.enable_attention_slicing("max")
    with pytest.raises(InvalidTypeError, match=r"attention \S+ \(SlicedAttnProcessor\) does not ask torch"):
        fork_latents(DiffusersHost(pipe), told, **CELLS)


def test_perturbed_attention_is_refused():
    bare, told = build("sd")
    pipe = d.StableDiffusionPAGPipeline(**bare.components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    with pytest.raises(InvalidTypeError, match="attention with 8 rows for 12 windows"):
        fork_latents(DiffusersHost(pipe), {**told, "pag_scale": 2.0}, **CELLS)


def test_a_compiled_network_is_refused():
    pipe, told = build("sd")
    pipe.unet.compile(backend="eager")
    with pytest.raises(InvalidTypeError, match="the network is compiled"):
        fork_latents(DiffusersHost(pipe), told, **CELLS)


def test_a_clone_beside_a_shared_run_is_not_told_of_it():
    pipe, told = build("sd")
    host = DiffusersHost(pipe)
    clone = host.clone()
    exact = fork_latents(host, told, mode="fork").latents
    shared = fork_latents(host, told, **CELLS).latents
    inside, done = threading.Event(), threading.Event()
    found = []

    def wait(progress):
        inside.set()
        assert done.wait(60)

    thread = threading.Thread(
        target=lambda: found.append(fork_latents(host, told, callback=wait, **CELLS).latents)
    )
    thread.start()
    assert inside.wait(60)
    try:
        beside = fork_latents(clone, told, mode="fork").latents
    finally:
        done.set()
        thread.join()
    assert relative(beside, exact) < 1e-6
    assert relative(found[0], shared) < 1e-6
    assert relative(sheet(host).expand_as(exact), exact) > 1e-3
