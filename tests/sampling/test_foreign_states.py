"""Files of latents that anybody may have made: each is what it says, or refused in one line."""

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from forking import SD, Network, cell_masks, sheet
from safetensors import safe_open
from safetensors.torch import save_file

from maskgrid.errors import MaskGridError
from maskgrid.sampling import ForkLatents, NoiseTable, continue_forks, sample_forks

KEY = "maskgrid.fork_latents"
REMOVED = object()
DEEP: Any = 0
for _ in range(200):
    DEEP = [DEEP]
VALUES = [
    *(REMOVED, None, True, False, -1, 0, 1, 2, 3, 1.5, 10**30, 1e308, float("nan"), float("inf"), "", "x"),
    *("euler", "\ud800", [], [0], [0, 0], [0, 1, 2, 3], [[0, 0]], {}, {"a": 1}, {"denoised": 1}, DEEP),
]
RUNS: dict[str, dict[str, Any]] = {
    "apart": {"table": SD, "sampler": "dpmpp_2m", "fork_at": 0, "scaling_factor": torch.ones(4, 1, 1)},
    "together": {"table": NoiseTable.flow(3.0), "sampler": "uni_pc", "fork_at": 4, "fork_seeds": "increment"},
    "finished": {"table": SD, "sampler": "euler", "end_at_step": None},
}


def make(name: str, path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A file, and the facts and tensors that are in it."""
    options = {"steps": 4, "end_at_step": 2, "return_with_leftover_noise": True, "seed": 3, **RUNS[name]}
    sample_forks(Network(), sheet(1, 4, 5, 6), cell_masks(1, 2, (5, 6)), **options).save(path)
    with safe_open(str(path), "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return json.loads(file.metadata()[KEY]), tensors


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a value of JSON."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*way, key)
        if isinstance(item, dict | list):
            yield from places(item, (*way, key))


def tampered(facts: Any, way: tuple[Any, ...], value: Any) -> Any:
    facts = copy.deepcopy(facts)
    inner = facts
    for key in way[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return facts


def read_and_use(path: Path) -> str | None:
    """Load it and do what can be done with it; why not, if it was refused."""
    try:
        forks = ForkLatents.load(path)
    except MaskGridError as error:
        return str(error)
    shape = forks.image_latents.shape
    assert forks.latents.shape == (len(forks) * shape[0], *shape[1:])
    assert forks.merged().shape == shape
    assert len(forks[1:]) == max(len(forks) - 1, 0)
    # A run that can't be carried on says so; anything but a word of ours is a fault of the reading.
    with contextlib.suppress(MaskGridError):
        assert continue_forks(Network(), forks).latents.shape == forks.latents.shape
    return None


@pytest.mark.parametrize("name", sorted(RUNS))
def test_whatever_a_fact_is_nothing_breaks(name: str, tmp_path: Path) -> None:
    path = tmp_path / "forks.safetensors"
    facts, tensors = make(name, path)
    refused = 0
    for way in places(facts):
        for value in VALUES:
            save_file(tensors, path, metadata={KEY: json.dumps(tampered(facts, way, value))})
            said = read_and_use(path)
            refused += said is not None
            assert said is None or "\n" not in said, f"{way} is {value!r:.40}: {said}"
    assert refused > 300


@pytest.mark.parametrize("name", sorted(RUNS))
def test_whatever_a_tensor_is_nothing_breaks(name: str, tmp_path: Path) -> None:
    path = tmp_path / "forks.safetensors"
    facts, tensors = make(name, path)
    header = {KEY: json.dumps(facts)}
    for key, tensor in tensors.items():
        others = [
            *(tensor[..., :-1], tensor[:0], tensor[None], torch.tensor(1.0), torch.zeros(0)),
            *(tensor.double(), tensor.half(), tensor.long(), tensor.bool(), torch.zeros_like(tensor)),
            *(tensor - 1e6, tensor + 1e6, tensor * float("nan"), tensor.to(torch.complex64)),
            *(
                torch.zeros(tensor.shape, dtype=torch.float8_e4m3fn),
                tensor.repeat(2, *[1] * (tensor.ndim - 1)),
            ),
        ]
        for number, other in enumerate(others):
            save_file({**tensors, key: other.contiguous().clone()}, path, metadata=header)
            said = read_and_use(path)
            assert said is None or "\n" not in said, f"{key}, {number}: {said}"
        save_file({each: tensors[each] for each in tensors if each != key}, path, metadata=header)
        said = read_and_use(path)
        # A run whose forks draw noise of their own has none in its file.
        assert said is not None or key == "setup.noise", f"a file without {key} was read"


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "forks.safetensors"
    _, tensors = make("apart", path)
    data = path.read_bytes()
    for cut in (0, 4, 8, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        assert read_and_use(path) is not None
    for header in (
        "",
        "[",
        "[]",
        "7",
        "{}",
        "[" * 100_000,
        '{"version": ' + "9" * 5000 + "}",
        '{"version": 2}',
    ):
        save_file(tensors, path, metadata={KEY: header})
        assert read_and_use(path) is not None
    assert read_and_use(tmp_path) is not None
