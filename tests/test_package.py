"""The package as a whole: what it exports, what importing it brings along, its version."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_the_version_is_one_everywhere():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert maskgrid.__version__ == workspace["workspace"]["package"]["version"]
    assert maskgrid.__version__ == importlib.metadata.version("maskgrid")


def test_the_package_says_that_it_is_typed():
    assert (Path(maskgrid.__file__).parent / "py.typed").is_file()


def test_numpy_is_the_only_dependency_without_extras():
    required = importlib.metadata.requires("maskgrid") or []
    assert [line for line in required if "extra ==" not in line] == ["numpy>=1.26"]
