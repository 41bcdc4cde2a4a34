"""The code blocks of the documentation, and how those for a shell are run."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """Code between two fences.

    Attributes:
        page: The file's path in the project.
        line: The number of its first line.
        language: "python", "sh", "toml", or "" where none is named, which is a shell's.
        code: As written.
    """

    page: str
    line: int
    language: str
    code: str


def read_blocks() -> list[Block]:
    blocks = []
    for path in PAGES:
        text = path.read_text("utf-8")
        for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 2
            blocks.append(Block(str(path.relative_to(ROOT)), line, found[1], found[2]))
    return blocks


def check_without_running(command: str) -> bool:
    """Whether a line is one that changes the machine, whose names are looked up in place of running it.

    Raises:
        AssertionError: It names an extra, a package or a target that there is not.
    """
    words = command.split("#")[0].split() or ["#"]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), command
        return True
    if words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        name, _, extras = words[2].strip("'\"").rstrip("]").partition("[")
        assert name == project["name"], command
        assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"]), command
        return True
    return False


def run_in_shell(code: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a block with bash as it is written, `/path/to/` being the folder that it runs in."""
    code = code.replace("\\\n", " ").replace("/path/to/", f"{folder}/")
    lines = [line for line in code.splitlines() if line.strip() and not check_without_running(line)]
    # The program of the environment that the tests run in.
    script = "\n".join(["set -e", 'maskgrid() { "$TEST_PYTHON" -m maskgrid "$@"; }', *lines])
    known = os.environ | environment | {"TEST_PYTHON": sys.executable}
    return subprocess.run(["bash", "-c", script], cwd=folder, env=known, capture_output=True, text=True)
