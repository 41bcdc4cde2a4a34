"""One pass over what forks share: exact with whole windows, near with small ones, and nothing left behind."""

import copy

import pytest
import torch
from families import GRID, QUIET, SIZE, build, cached
from forking_hosts import fork_latents, relative, sheet, stencils
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.guided_network import GuidedNetwork
from maskgrid.hosts.sharing.base_attention import BaseAttention
from maskgrid.hosts.sharing.base_layers import BaseLayers, Tape
from maskgrid.hosts.sharing.exchange_forwards import exchange_forwards
from maskgrid.hosts.sharing.row_arguments import pick_rows
from maskgrid.hosts.sharing.shared_decoder import SharedDecoder, can_share
from maskgrid.hosts.sharing.shared_network import Sharing
from maskgrid.hosts.sharing.windows import Windows, choose_windows
from maskgrid.sampling import sample_forks

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]

SHARED = (
    *("sd", "sd_v", "sdxl", "controlnet", "kolors", "pixart", "sd3", "aura_flow"),
    *("flux", "chroma", "flux2", "qwen", "ovis"),
)
NOT_SHARED = ("z_image", "sana", "lumina2", "hunyuan", "krea2")
WHOLE = Sharing(halo=100)


def own_texts(told, count):
    """The conditioning with other embeddings for each fork."""
    return {
        name: torch.cat([value * (1 + 0.1 * n) for n in range(count)])
        if isinstance(value, torch.Tensor) and value.is_floating_point() and "embeds" in name
        else torch.cat([value] * count)
        if isinstance(value, torch.Tensor) and ("embeds" in name or "mask" in name)
        else value
        for name, value in told.items()
    }


@pytest.mark.parametrize("family", SHARED)
def test_windows_as_large_as_the_canvas_give_the_exact_forks(family):
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    exact = fork_latents(host, told, mode="fork")
    shared = fork_latents(host, told, mode="fork", sharing=WHOLE)
    assert relative(shared.latents, exact.latents) < 1e-5
    assert relative(exact.latents, sheet(host).expand_as(exact.latents)) > 1e-3


@pytest.mark.parametrize("family", ["sdxl", "sd3", "pixart", "flux"])
@pytest.mark.parametrize("base_prompt", ["own", "shared"])
def test_so_they_do_with_conditioning_of_their_own(family, base_prompt):
    pipe, told = cached(family)
    host, texts = DiffusersHost(pipe), own_texts(told, GRID[0] * GRID[1])
    exact = fork_latents(host, texts, mode="fork")
    shared = fork_latents(host, texts, mode="fork", sharing=Sharing(halo=100, base_prompt=base_prompt))
    assert relative(shared.latents, exact.latents) < 1e-5


@pytest.mark.parametrize("family", ["pixart", "sd3", "flux", "qwen"])
def test_windows_of_a_cell_are_near(family):
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    exact = fork_latents(host, told, mode="fork")
    shared = fork_latents(host, told, mode="fork", sharing=Sharing(halo=0))
    assert 0 < relative(shared.latents, exact.latents) < 1e-2


@pytest.mark.parametrize("family", SHARED)
def test_outside_the_stencil_nothing_changes(family):
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    forks = fork_latents(host, told, mode="fork", sharing=Sharing(halo=0.5))
    outside = stencils().expand_as(forks.latents) == 0
    assert torch.equal(forks.latents[outside], sheet(host).expand_as(forks.latents)[outside])


@pytest.mark.parametrize(
    "controls",
    [
        {"fork_at": 2},
        {"fork_seeds": "increment", "mode": "fork"},
        {"sampler": "dpmpp_2s_ancestral", "mode": "fork"},
        {"sampler": "euler_cfg_pp", "mode": "fork"},
        {"mode": "fork", "micro_batch": 3},
        {"sheet_conditioning": "cells", "mode": "sample"},
    ],
)
def test_controls_mean_what_they_mean(controls):
    pipe, told = cached("sd")
    host = DiffusersHost(pipe)
    exact = fork_latents(host, told, **controls)
    assert relative(fork_latents(host, told, sharing=WHOLE, **controls).latents, exact.latents) < 1e-5


@pytest.mark.parametrize(
    ("family", "own", "base_prompt", "bases"),
    [
        *(("sd", False, "own", 2), ("controlnet", False, "own", 2), ("sd3", False, "own", 2)),
        *(("flux", False, "own", 1), ("sdxl", True, "own", 8), ("sdxl", True, "shared", 2)),
    ],
)
def test_the_base_has_a_row_for_each_conditioning(family, own, base_prompt, bases):
    pipe, told = build(family)
    host, rows = DiffusersHost(pipe), []
    first = host.network.conv_in if hasattr(host.network, "conv_in") else host.network.time_text_embed
    first.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    texts = own_texts(told, 4) if own else told
    fork_latents(host, texts, mode="fork", steps=1, sharing=Sharing(halo=0, base_prompt=base_prompt))
    assert rows[0] == bases
    assert sum(rows[1:]) == (4 if family == "flux" else 8), rows


def test_lists_that_are_no_rows_are_left_alone():
    arguments = {"skip_layers": [7, 8], "img_shapes": ["a", "b"], "told": {"x": (torch.arange(2.0),)}}
    assert pick_rows(arguments, 2, [1]) == {
        "skip_layers": [7, 8],
        "img_shapes": ["b"],
        "told": {"x": (torch.tensor([1.0]),)},
    }


def test_the_pipeline_is_put_back_whatever_happens():
    pipe, told = build("sd")
    before = {name: dict(module.__dict__) for name, module in pipe.unet.named_modules()}

    def stop(progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fork_latents(DiffusersHost(pipe), told, mode="fork", sharing=Sharing(), callback=stop)
    after = {name: module.__dict__ for name, module in pipe.unet.named_modules()}
    assert all(before[name].keys() == after[name].keys() for name in before)


@pytest.mark.parametrize("family", NOT_SHARED)
def test_a_network_that_is_not_known_is_refused_by_name(family):
    pipe, told = cached(family)
    kind = type(pipe.transformer).__name__
    with pytest.raises(InvalidTypeError, match=f"a {kind} can't be shared between forks; allowed: "):
        fork_latents(DiffusersHost(pipe), told, sharing=Sharing())


def test_a_layer_that_can_not_be_shared_is_named():
    pipe, told = build("sd")
    pipe.unet.conv_act = nn.Sequential(nn.SiLU(), nn.BatchNorm2d(pipe.unet.conv_norm_out.num_channels))
    with pytest.raises(InvalidTypeError, match=r"the layer conv_act\.1 .*can't be shared"):
        fork_latents(DiffusersHost(pipe), told, sharing=Sharing())


@pytest.mark.parametrize(
    ("options", "said"), [({"halo": -1}, "halo is -1"), ({"base_prompt": "none"}, "base_prompt is 'none'")]
)
def test_what_is_no_sharing_is_refused(options, said):
    with pytest.raises(InvalidValueError, match=said):
        Sharing(**options)


@pytest.mark.parametrize("halo", [0, 100])
def test_a_bare_network_shares_as_its_pipeline_does(halo):
    pipe, told = cached("sd")
    host, controls = DiffusersHost(pipe), {"mode": "fork", "steps": 3}
    table = host.table(SIZE, 3)
    texts = (told["prompt_embeds"], told["negative_prompt_embeds"])
    network = GuidedNetwork(pipe.unet, table, *texts, cfg=told["guidance_scale"], sharing=Sharing(halo=halo))
    grid = {"rows": GRID[0], "columns": GRID[1]}
    forks = sample_forks(network, sheet(host), stencils(), table=table, seed=3, **grid, **controls)
    expected = fork_latents(host, told, sharing=Sharing(halo=halo), **controls)
    assert relative(forks.latents, expected.latents) < 1e-5


CODED = ("sd", "sdxl", "flux", "flux2", "sd3")


@pytest.mark.parametrize("family", CODED)
def test_cells_are_decoded_alone(family):
    pipe, told = cached(family)
    host = DiffusersHost(pipe)
    forks = fork_latents(host, told, mode="fork")
    height, width = (side // count for side, count in zip(SIZE, GRID, strict=True))
    cells = [(r * height, c * width, (r + 1) * height, (c + 1) * width) for r in range(2) for c in range(2)]
    decoder = SharedDecoder(pipe.vae, host.decode)
    made = list(decoder.decode(sheet(host), lambda n: forks[n], cells, halo=100))
    for latent, cell, found in zip(forks, cells, made, strict=True):
        top, left, bottom, right = (host.stride * side for side in cell)
        expected = host.decode(latent)[..., top:bottom, left:right]
        assert relative(found, expected) < 1e-5, cell


def test_a_vae_that_can_not_decode_windows_is_named():
    pipe, _ = cached("sana")
    assert not can_share(pipe.vae)
    with pytest.raises(InvalidTypeError, match="AutoencoderDC can't decode windows; allowed: A"):
        SharedDecoder(pipe.vae, lambda latents: latents)


# The layers by themselves, against the same layer over the whole canvas with the window put in.

PLACES = ((0, 0), (4, 8), (8, 4), (12, 12))


def put_in(base, windows, inside):
    """(n, C, ., .): the base with each window's own in its place."""
    maps = base.repeat(len(windows), 1, 1, 1)
    windows.paste(inside, maps, range(len(windows)))
    return maps


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 4, 3, padding=1),
        nn.Conv2d(8, 4, 5, padding=4, dilation=2, groups=2),
        nn.Conv2d(8, 4, 3, padding=1, stride=2),
        nn.GroupNorm(2, 8),
    ],
    ids=str,
)
@pytest.mark.parametrize("hooked", [False, True])
def test_a_layer_sees_what_lies_around(layer, hooked):
    layer = copy.deepcopy(layer)
    if hooked:
        plain = layer.forward
        layer.forward = lambda *args: plain(*args)
    g = torch.Generator().manual_seed(0)
    base = torch.randn(1, 8, 16, 16, generator=g) + 3
    windows = Windows((16, 16), (4, 4), PLACES)
    inside = torch.randn(4, 8, 4, 4, generator=g)
    with torch.no_grad():
        whole = layer(put_in(base, windows, inside))
        tape = Tape()
        with exchange_forwards(BaseLayers(nn.Sequential(layer), tape).changes):
            with tape.record([(windows, [0, 0, 0, 0])]):
                layer(base)
            with tape.replay(0):
                found = layer(inside)
    expected = windows.at(*whole.shape[2:]).cut(whole, range(4))
    assert torch.allclose(found, expected, atol=1e-5), (found - expected).abs().max()


@pytest.mark.parametrize("text_first", [False, True])
@pytest.mark.parametrize("texts", [0, 5])
@pytest.mark.parametrize("masked", [None, "bool", "added"])
def test_attention_is_that_of_each_canvas(text_first, texts, masked):
    g = torch.Generator().manual_seed(0)
    windows = Windows((8, 8), (4, 4), ((0, 0), (0, 4), (4, 4), (2, 1)))
    indices = windows.token_indices(torch.device("cpu"))

    def draw(*shape):
        return torch.randn(*shape, generator=g)

    base_text, base = draw(2, 2, 3, texts, 8), draw(2, 2, 3, 64, 8)
    text, inside, query = draw(2, 4, 3, texts, 8), draw(2, 4, 3, 16, 8), draw(4, 3, texts + 16, 8)
    rows = [0, 0, 1, 1]

    def joined(first, second):
        return torch.cat([first, second] if text_first else [second, first], 2)

    def hide(count):
        """Of each row's text all but the first tokens."""
        if masked is None or not texts:
            return None
        seen = joined(
            (torch.arange(texts) < torch.tensor(rows)[:, None] + 2)[:, None, :, None],
            torch.ones(4, 1, count, 1, dtype=torch.bool),
        ).transpose(2, 3)
        return seen if masked == "bool" else torch.zeros(seen.shape).masked_fill_(~seen, -9.0)

    keys = [base[part][rows].clone() for part in (0, 1)]
    for part in (0, 1):
        for n in range(4):
            keys[part][n, :, indices[n]] = inside[part, n]
    whole = (joined(text[part], keys[part]) for part in (0, 1))
    expected = scaled_dot_product_attention(query, *whole, hide(64))
    tape = Tape()
    tape.tokens = 64
    base_hidden = None if hide(64) is None else hide(64)[[0, 2]]
    with BaseAttention(tape, text_first=text_first):
        with tape.record([(windows, rows)]):
            everything = (joined(base_text[part], base[part]) for part in (0, 1))
            scaled_dot_product_attention(joined(base_text[0], base[0]), *everything, base_hidden)
        with tape.replay(0):
            own = (joined(text[part], inside[part]) for part in (0, 1))
            found = scaled_dot_product_attention(query, *own, hide(16))
    assert torch.allclose(found, expected, atol=1e-5), (found - expected).abs().max()


@pytest.mark.parametrize(("side", "align"), [(48, 4), (50, 4), (50, 8), (7, 2)])
@pytest.mark.parametrize("halo", [0, 3, 100])
def test_windows_hold_what_changes_on_the_lattice(side, align, halo):
    needed = [(top, left, top + 2, left + 3) for top in (0, side // 2, side - 2) for left in (0, side - 3)]
    windows = choose_windows(needed, (side, side), halo=(halo, halo), align=align)
    for window, inner in zip(windows, needed, strict=True):
        for axis in (0, 1):
            low, high = window[axis], window[axis + 2]
            assert 0 <= low <= max(inner[axis] - halo, 0), window
            assert min(inner[axis + 2] + halo, side) <= high <= side, window
            assert low % align == 0, window
            assert high % align == 0 or high == side, window
