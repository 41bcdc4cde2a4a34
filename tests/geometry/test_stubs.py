"""The type stubs of the native module say what it has, no less and no more."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_stubs_and_module_agree() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "maskgrid._native"]
    done = subprocess.run(
        [*command, "--mypy-config-file", str(ROOT / "pyproject.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
