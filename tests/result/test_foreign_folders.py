"""Folders that anybody may have made: each is read as what it says, or refused in one line."""

import contextlib
import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskgrid
from maskgrid import Forks
from maskgrid.errors import MaskGridError
from maskgrid.result.output_place import names_of_ours
from maskgrid.result.read_manifest import read_manifest
from maskgrid.result.repeat_runs import recorded_model, recorded_runs

FORMAT_1 = Path(__file__).parent.parent / "data" / "folder_of_format_1"
DEEP: Any = "bottom"
for _ in range(200):
    DEEP = [DEEP]
REMOVED = object()
VALUES = [
    *(REMOVED, None, True, False, -1, 0, 1, 2, 1.5, 10**30, 1e308, float("nan"), float("inf")),
    *(
        "",
        "x",
        "merged.png",
        "MERGED.PNG",
        "../x.png",
        "/etc/passwd",
        "a\0b",
        "CON.png",
        "x\ud800",
        "x" * 300,
    ),
    *([], [1], [None, []], {}, {"a": 1}, DEEP),
]
SETTINGS = {"prompt": ["a", "b"], "negative_prompt": "no", "fork_seeds": "increment", "seed": 3, "steps": 2}
SETTINGS |= {"sampler": "euler", "mode": "fork", "pipeline": {"model": "m", "device": None, "dtype": None}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two forks of two runs, as small as they can be."""
    random = np.random.default_rng(0)
    grid = maskgrid.Grid(1, 2, cell=4, stride=2)
    sheet = random.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    made = []
    for cell in (1, 0):
        patch = random.integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
        stencil = np.full((4, 4), 128 + 127 * cell, np.uint8)
        alpha = np.ones((1, 4, 4), np.float32) / 2
        made.append(Forks(sheet, patch, [cell], grid, alpha, stencil=stencil, settings=SETTINGS))
    return (made[0] + made[1]).save(tmp_path / "out")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a value of JSON."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def tampered(fields: Any, path: tuple[Any, ...], value: Any) -> Any:
    fields = copy.deepcopy(fields)
    inner = fields
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return fields


def pictures(forks: Forks) -> list[np.ndarray]:
    return [np.asarray(forks.original), *(forks.array(index) for index in range(len(forks)))]


def read_or_refused(folder: Path, *, save: bool) -> list[np.ndarray] | MaskGridError:
    """The pictures of a folder after it was read, shown, saved again and asked for its runs; or why not."""
    try:
        forks = Forks.load(folder)
        recorded_model(folder)
        recorded_runs(folder)
        if save:
            forks.contact_sheet()
            forks.save(folder.parent / "again", force=True)
        return pictures(forks)
    except MaskGridError as error:
        return error


@pytest.mark.parametrize("version", [1, 2])
def test_whatever_a_field_of_a_manifest_is_nothing_else_is_read(folder, version):
    if version == 1:
        shutil.rmtree(folder)
        shutil.copytree(FORMAT_1, folder)
    expected = pictures(Forks.load(folder))
    file = folder / "manifest.json"
    fields = json.loads(file.read_text())
    for path in places(fields):
        for value in VALUES if version == 2 else VALUES[::2]:
            file.write_text(json.dumps(tampered(fields, path, value)))
            found = read_or_refused(folder, save=path[:2] == ("runs", 0))
            what = f"{path} is {'deep' if value is DEEP else value!r:.80}: {found!r:.200}"
            if isinstance(found, MaskGridError):
                assert "\n" not in str(found), what
            else:
                # A fork that is not listed is not read.
                assert 1 <= len(found) <= len(expected), what
                assert all(any(np.array_equal(one, each) for each in expected) for one in found), what


@pytest.mark.parametrize(
    "name", ["manifest.json", "original.png", "fork_000_r0_c1.png", "alpha.npy", "stencil.png"]
)
def test_whatever_a_file_is_nothing_else_is_read(folder, name, tmp_path):
    expected = pictures(Forks.load(folder))
    data = (folder / name).read_bytes()
    random = np.random.default_rng(1)
    (tmp_path / "outside").write_bytes(data)
    for kind in range(60):
        broken = bytearray(data)
        at = int(random.integers(len(data)))
        broken[at:] = {0: b"", 1: bytes([broken[at] ^ 255]) + data[at + 1 :], 2: data}[kind % 3]
        (folder / name).write_bytes(broken)
        with contextlib.suppress(MaskGridError):
            forks = Forks.load(folder)
            assert [picture.shape for picture in pictures(forks)] == [picture.shape for picture in expected]
    for make in files_that_are_none(tmp_path / "outside"):
        (folder / name).unlink()
        make(folder / name)
        with pytest.raises(MaskGridError):
            Forks.load(folder)
        (folder / name).rmdir() if (folder / name).is_dir() else None
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(data)


def files_that_are_none(outside: Path) -> list[Callable[[Path], Any]]:
    is_manifest = outside.read_bytes().startswith(b"{")
    deep = "[" * 100_000
    ways: list[Callable[[Path], Any]] = [
        lambda path: None,
        lambda path: path.mkdir(),
        lambda path: path.write_text(deep),
        lambda path: path.write_text('{"maskgrid_manifest": 2, "version": ' + "9" * 5000 + "}"),
        lambda path: path.write_bytes(b"\xff\xfe\0"),
        lambda path: Image.new("RGB", (9, 9)).save(path, "PNG"),
        lambda path: path.write_bytes(npy("<f4", (2**40, 2**20))),
        lambda path: path.write_bytes(npy("|O", (1,))),
    ]
    if os.name != "nt":
        ways.append(os.mkfifo)
    # A manifest may be a link; the files of a folder lie in it.
    return ways if is_manifest else [*ways, lambda path: path.symlink_to(outside)]


def npy(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The head of an array that would be large, or would run code."""
    head = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + (len(head) + 1).to_bytes(2, "little") + head.encode() + b"\n"


def test_a_folder_that_is_a_link_and_links_inside_it_are_read(folder, tmp_path):
    expected = pictures(Forks.load(folder))
    (folder / "original.png").rename(folder / "sheet.png")
    (folder / "original.png").symlink_to("sheet.png")
    (tmp_path / "link").symlink_to(folder)
    for one, other in zip(pictures(Forks.load(tmp_path / "link")), expected, strict=True):
        assert np.array_equal(one, other)


def test_what_a_tampered_manifest_lists_beside_itself_is_not_deleted(folder, tmp_path):
    (tmp_path / "precious.png").write_text("mine")
    fields = json.loads((folder / "manifest.json").read_text())
    for name in (
        "../precious.png",
        str(tmp_path / "precious.png"),
        "..",
        ".",
        ".hidden",
        "a/b",
        "a\\b",
        "c:x",
    ):
        fields["merged"] = name
        (folder / "manifest.json").write_text(json.dumps(fields))
        with pytest.raises(MaskGridError, match="plain name"):
            read_manifest(folder)
        with pytest.raises(MaskGridError, match="not replaced"):
            names_of_ours(folder)
    assert (tmp_path / "precious.png").read_text() == "mine"


def test_settings_name_no_files_of_their_own(folder):
    """A manifest is repeated with its folder's sheet and stencil, not with whatever it points at."""
    fields = json.loads((folder / "manifest.json").read_text())
    for name in ("image", "mask", "callback"):
        wrong = tampered(fields, ("runs", 0, "settings", name), "/etc/passwd")
        (folder / "manifest.json").write_text(json.dumps(wrong))
        with pytest.raises(MaskGridError, match=name):
            recorded_runs(folder)
