"""The package as a whole: what it exports, what importing it brings along, its version."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

import maskgrid

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "diffusers", "transformers", "scipy", "PIL")


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_exported_names_exist_once():
    assert len(set(maskgrid.__all__)) == len(maskgrid.__all__)
    for name in maskgrid.__all__:
        assert getattr(maskgrid, name) is not None


def test_dir_lists_the_exported_names():
    assert set(maskgrid.__all__) <= set(dir(maskgrid))


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; import maskgrid; "


def test_without_torch_a_star_import_gives_what_there_is():
    found = in_a_fresh_process(WITHOUT_TORCH + "from maskgrid import *; print(*dir())").split()
    assert {"ForkPlan", "Forks", "Grid", "canvas", "masks"} <= set(found)
    assert not {"MaskGrid", "check"} & set(found)


def test_without_torch_help_and_dir_show_what_there_is():
    shown = in_a_fresh_process(WITHOUT_TORCH + "print(*dir(maskgrid)); help(maskgrid)")
    assert "class Grid" in shown
    assert "MaskGrid" not in shown.splitlines()[0].split()


@pytest.mark.parametrize("asked", ["maskgrid.MaskGrid", "maskgrid.check", "maskgrid.sampling"])
def test_without_torch_asking_by_name_says_what_to_install(asked):
    code = f"try: {asked}\nexcept ImportError as error: print(error)"
    said = in_a_fresh_process(WITHOUT_TORCH + "\n" + code)
    assert 'pip install "maskgrid[diffusers]"' in said


@pytest.mark.parametrize("name", ["sampling", "mask_grid", "errors", "result", "pictures", "cli"])
def test_submodules_load_when_they_are_asked_for(name):
    found = in_a_fresh_process(f"import maskgrid; print(maskgrid.{name}.__name__)")
    assert found == f"maskgrid.{name}"


def test_a_module_that_has_moved_says_where_it_is():
    with pytest.raises(AttributeError, match=r"it is maskgrid\.mask_grid now"):
        _ = maskgrid.pipeline
    with pytest.raises(AttributeError, match="nothing"):
        _ = maskgrid.nothing


def test_importing_brings_nothing_heavy():
    found = in_a_fresh_process("import sys, maskgrid; print(*sys.modules)")
    assert not set(HEAVY) & set(found.split())


def test_preparing_masks_with_numpy_brings_nothing_heavy():
    found = in_a_fresh_process(
        "import sys, numpy as np, maskgrid\n"
        "grid = maskgrid.Grid(2, 2, cell=16, stride=8)\n"
        "plan = maskgrid.ForkPlan(grid, maskgrid.masks.grow(np.eye(16), 2))\n"
        "assert plan.noise_masks().shape == (4, 1, 4, 4)\n"
        "print(*sys.modules)"
    )
    assert not set(HEAVY) & set(found.split())


def test_no_two_files_import_each_other():
    """Neither directly nor by way of others; the package's own front door leads to all of them, lazily."""
    graph = grimp.build_graph("maskgrid", cache_dir=None)
    for imported in graph.find_modules_directly_imported_by("maskgrid"):
        graph.remove_import(importer="maskgrid", imported=imported)
    circles = [
        (one, other)
        for one in graph.modules
        for other in graph.find_modules_directly_imported_by(one)
        if graph.find_shortest_chain(importer=other, imported=one)
    ]
    assert len(graph.modules) > 80
    assert not circles


def test_the_version_is_one_everywhere():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert maskgrid.__version__ == workspace["workspace"]["package"]["version"]
    assert maskgrid.__version__ == importlib.metadata.version("maskgrid")
    assert f"\nversion: {maskgrid.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_package_says_that_it_is_typed():
    assert (Path(maskgrid.__file__).parent / "py.typed").is_file()


def test_numpy_is_the_only_dependency_without_extras():
    required = importlib.metadata.requires("maskgrid") or []
    assert [line for line in required if "extra ==" not in line] == ["numpy>=1.26"]
