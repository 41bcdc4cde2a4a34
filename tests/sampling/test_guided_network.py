"""A bare UNet as a denoiser: guidance, conditioning by rows, and what networks return."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from forking import SD, cell_masks, relative, sheet
from torch import Tensor, nn

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.guided_network import GuidedNetwork
from maskgrid.sampling import NoiseTable, Request, sample_forks

MASKS = cell_masks(2, 2, (8, 8), kind="full")
LATENTS = sheet(1, 4, 8, 8)
SIGMA = torch.tensor(2.0)


class UNet(nn.Module):
    """A small network that reads everything a UNet reads: x, the timestep, tokens, and what else it is told.

    Attributes:
        asked: Rows, dtype and timesteps of each call.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.mix = nn.Conv2d(4, 4, 3, padding=1)
            self.read = nn.Linear(6, 4)
        self.asked: list[tuple[int, torch.dtype, list[float]]] = []

    def forward(self, x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **more: Any) -> Any:
        self.asked.append((len(x), x.dtype, timestep.tolist()))
        told = self.read(encoder_hidden_states).mean(1)
        if "added" in more:
            told = told + more["added"]["pooled"] * more.get("strength", 1)
        hidden = self.mix(x) + told[:, :, None, None] + timestep[:, None, None, None] / 1000
        return SimpleNamespace(sample=torch.tanh(hidden))


def tokens(count: int, seed: int, length: int = 5) -> Tensor:
    return sheet(count, length, 6, seed=seed)


@pytest.mark.parametrize("table", [SD, NoiseTable.stable_diffusion("v_prediction"), NoiseTable.flow(3.0)])
def test_guidance_is_its_formula(table: NoiseTable) -> None:
    unet, x, sigma = UNet(), sheet(2, 4, 8, 8, seed=3), torch.tensor(0.7)
    positive, negative = tokens(1, 1), tokens(1, 2)

    def plain(conditioning: Tensor) -> Tensor:
        output = unet(
            table.scale_input(x, sigma), table.timestep(sigma).expand(2), conditioning.expand(2, -1, -1)
        )
        return table.denoised(x, output.sample, sigma)

    with torch.no_grad():
        expected = plain(negative) + 4 * (plain(positive) - plain(negative))
        for batched in (True, False):
            guided = GuidedNetwork(unet, table, positive, negative, cfg=4.0, batched=batched)
            torch.testing.assert_close(guided(x, sigma), expected)


def test_at_cfg_1_the_negative_is_not_run() -> None:
    unet = UNet()
    with_negative = GuidedNetwork(unet, SD, tokens(1, 1), tokens(1, 2), cfg=1.0)
    assert torch.equal(with_negative(LATENTS, SIGMA), GuidedNetwork(unet, SD, tokens(1, 1))(LATENTS, SIGMA))
    assert [rows for rows, *_ in unet.asked] == [1, 1]


def test_one_call_a_step_or_two() -> None:
    for batched, expected in ((True, [8]), (False, [4, 4])):
        unet = UNet()
        denoiser = GuidedNetwork(unet, SD, tokens(1, 1), tokens(1, 2), cfg=3.0, batched=batched)
        sample_forks(denoiser, LATENTS, MASKS, table=SD, mode="fork", steps=1)
        assert [rows for rows, *_ in unet.asked] == expected


def test_conditioning_of_another_length_goes_alone() -> None:
    unet = UNet()
    denoiser = GuidedNetwork(unet, SD, tokens(1, 1), tokens(1, 2, length=7), cfg=3.0)
    denoiser(LATENTS, SIGMA)
    assert [rows for rows, *_ in unet.asked] == [1, 1]


def test_each_row_is_told_the_timestep() -> None:
    unet = UNet()
    GuidedNetwork(unet, SD, tokens(1, 1))(sheet(3, 4, 8, 8), SIGMA)
    assert unet.asked[0][2] == [int(SD.timestep(SIGMA))] * 3


@pytest.mark.parametrize("micro_batch", [None, 3, 1])
@pytest.mark.parametrize("batch", [1, 2])
def test_forks_are_sampled_with_their_own_conditioning(micro_batch: int | None, batch: int) -> None:
    unet, positive, negative = UNet(), tokens(4, 1), tokens(4, 2)
    latents = sheet(batch, 4, 8, 8)
    run = {"table": SD, "mode": "fork", "steps": 3}
    denoiser = GuidedNetwork(unet, SD, positive, negative, cfg=2.0)
    forks = sample_forks(denoiser, latents, MASKS, micro_batch=micro_batch, **run)
    for n in range(4):
        alone = GuidedNetwork(unet, SD, positive[n : n + 1], negative[n : n + 1], cfg=2.0)
        assert relative(forks[n], sample_forks(alone, latents, MASKS, **run)[n]) < 1e-5
    assert relative(forks[0], forks[1]) > 1e-3


def test_a_sheet_of_forks_with_their_own_conditioning_needs_one() -> None:
    unet, positive, negative = UNet(), tokens(4, 1), tokens(1, 2)
    run = {"table": SD, "fork_at": 2, "steps": 3}
    with pytest.raises(
        InvalidValueError, match="4 forks have a positive of their own and their sheet has none"
    ):
        sample_forks(GuidedNetwork(unet, SD, positive, negative, cfg=2.0), LATENTS, MASKS, **run)
    with pytest.raises(InvalidValueError, match="a negative of their own"):
        sample_forks(GuidedNetwork(unet, SD, negative, positive, cfg=2.0), LATENTS, MASKS, **run)

    unet.asked.clear()
    sheeted = GuidedNetwork(unet, SD, positive, negative, cfg=2.0, sheet=tokens(1, 5))
    sample_forks(sheeted, LATENTS, MASKS, **run)
    assert [rows for rows, *_ in unet.asked] == [2, 2, 8]

    unet.asked.clear()
    own = GuidedNetwork(unet, SD, positive, negative, cfg=2.0)
    sample_forks(own, LATENTS, MASKS, sheet_conditioning="cells", **run)
    assert [rows for rows, *_ in unet.asked] == [8, 8, 8]


def test_cells_told_alike_are_the_sheet_told_so() -> None:
    unet, one = UNet(), tokens(1, 1)
    run = {"table": SD, "mode": "sample", "steps": 3}
    alike = GuidedNetwork(unet, SD, one.repeat(4, 1, 1), one * 0, cfg=2.0)
    cells = sample_forks(alike, LATENTS, MASKS, sheet_conditioning="cells", **run)
    together = sample_forks(GuidedNetwork(unet, SD, one, one * 0, cfg=2.0), LATENTS, MASKS, **run)
    assert relative(cells.latents, together.latents) < 1e-5


def test_a_mapping_is_the_networks_arguments() -> None:
    unet, pooled = UNet(), sheet(4, 4, seed=7)
    told = {"encoder_hidden_states": tokens(4, 1), "added": {"pooled": pooled}, "strength": 0.5}
    not_told = {"encoder_hidden_states": tokens(4, 2), "added": {"pooled": pooled * 0}, "strength": 0.5}
    x = sheet(2, 4, 8, 8)
    request = Request(x, SIGMA, 0, 1, (3, 1), (3, 1), 1, together=False)
    with torch.no_grad():
        results = [
            GuidedNetwork(unet, SD, told, not_told, cfg=2.0, batched=b).respond(request)
            for b in (True, False)
        ]
        torch.testing.assert_close(*results)
        rows = [3, 1]
        output = unet(
            SD.scale_input(x, SIGMA),
            SD.timestep(SIGMA).expand(2),
            told["encoder_hidden_states"][rows],
            added={"pooled": pooled[rows]},
            strength=0.5,
        )
        alone = GuidedNetwork(unet, SD, told).respond(request)
    torch.testing.assert_close(alone, SD.denoised(x, output.sample, SIGMA))


def test_outputs_may_be_tensors_tuples_or_objects() -> None:
    unet = UNet()

    def as_tensor(*arguments: Any, **told: Any) -> Tensor:
        result: Tensor = unet(*arguments, **told).sample
        return result

    def as_tuple(*arguments: Any, **told: Any) -> tuple[Tensor, None]:
        return unet(*arguments, **told).sample, None

    answers = [
        GuidedNetwork(network, SD, tokens(1, 1))(LATENTS, SIGMA) for network in (unet, as_tensor, as_tuple)
    ]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_network_computes_in_its_own_dtype(dtype: torch.dtype) -> None:
    unet = UNet().to(dtype)
    answer = GuidedNetwork(unet, SD, tokens(1, 1), tokens(1, 2), cfg=2.0)(LATENTS, SIGMA)
    assert answer.dtype == torch.float32
    assert unet.asked[0][1] == dtype
    plain = GuidedNetwork(lambda x, t, encoder_hidden_states: x, SD, tokens(1, 1), dtype=dtype)
    assert plain(LATENTS, SIGMA).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cfg": float("nan")}, InvalidValueError, "cfg is nan"),
        ({"cfg": float("inf")}, InvalidValueError, "cfg is inf"),
        ({"cfg": "4"}, InvalidTypeError, "cfg is '4'"),
        ({"cfg": 4.0, "negative": None}, InvalidValueError, "cfg is 4.0 without a negative"),
        ({"positive": [1, 2]}, InvalidTypeError, "positive is list"),
        ({"positive": {"strength": 1}}, InvalidValueError, "positive have"),
        (
            {"positive": {"a": torch.zeros(1, 2), "b": torch.zeros(3, 2)}},
            InvalidValueError,
            r"\[1, 3\] items",
        ),
        ({"sheet": tokens(2, 1)}, InvalidValueError, "2 items; allowed: 1"),
        ({"network": "unet"}, InvalidTypeError, "network is str"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    arguments = {"network": UNet(), "table": SD, "positive": tokens(1, 1), "negative": tokens(1, 2)} | options
    with pytest.raises(error, match=words):
        GuidedNetwork(**arguments)


def test_a_fork_without_conditioning_is_named() -> None:
    with pytest.raises(InvalidValueError, match="fork 3 has no positive among 3 items"):
        sample_forks(GuidedNetwork(UNet(), SD, tokens(3, 1)), LATENTS, MASKS, table=SD, mode="fork", steps=1)


def test_nothing_here_imports_diffusers() -> None:
    code = (
        "import sys, maskgrid.sampling, maskgrid.hosts.guided_network;"
        "sys.exit(any(m.split('.')[0] in ('diffusers', 'transformers', 'scipy') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])
