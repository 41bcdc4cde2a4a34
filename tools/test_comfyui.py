"""Test the nodes inside a real ComfyUI on the CPU, and print how far every sampler is from serial runs.

python tools/test_comfyui.py --comfyui PATH [--original PATH] [--python PYTHON] [--quick] [--only WORD]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from comfyui.parity import CASES, LIMIT, Case, compare, sampler_names
from comfyui.scenarios import OLD_SCENARIOS, SCENARIOS
from comfyui.server import RefusedError, Server

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "python"
PACK = SOURCE / "maskgrid" / "hosts" / "comfyui" / "node_pack"
HOW = """\
No ComfyUI was named. To get one:
  git clone https://github.com/comfyanonymous/ComfyUI            (0.14.0 or newer; measured with 0.33.0)
  python -m venv ComfyUI/venv && ComfyUI/venv/bin/pip install -r ComfyUI/requirements.txt
  ComfyUI/venv/bin/pip install numpy                              (what maskgrid needs besides)
If torchaudio says that it was made for another CUDA, delete torchaudio/lib/_torchaudio.abi3.so in the venv.
To compare with the original node as well:
  git clone https://github.com/bmad4ever/comfyui_bmad_nodes
Then: make test-comfyui COMFYUI=ComfyUI [ORIGINAL=comfyui_bmad_nodes]"""


def main() -> int:
    """Run all checks; 0 when all are fine."""
    options = _options()
    if options.comfyui is None:
        print(HOW, file=sys.stderr)
        return 2
    python = options.python or _python_of(options.comfyui)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="maskgrid-comfyui-") as folder:
        base = make_base(options.comfyui, Path(folder) / "ours", original=None)
        previews = ("--preview-method", "latent2rgb")
        with Server(options.comfyui, python, base, SOURCE, previews) as server:
            scenarios = [one for one in (*OLD_SCENARIOS, *SCENARIOS) if options.only in one.__name__]
            failed += _run_scenarios(server, scenarios)
            if options.only:
                return 1 if failed else 0
            cases = [case for case in CASES if not (case.original and options.original)]
            failed += _table(server, cases, quick=options.quick, original=False)
        if options.original is not None:
            base = make_base(options.comfyui, Path(folder) / "theirs", original=options.original)
            with Server(options.comfyui, python, base, SOURCE) as server:
                cases = [case for case in CASES if case.original]
                failed += _table(server, cases, quick=options.quick, original=True)
    failed += _validate(python)
    print(f"{failed} failed" if failed else "all fine")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comfyui", type=_folder, help="a checkout of ComfyUI")
    parser.add_argument("--original", type=_folder, help="a checkout of comfyui_bmad_nodes")
    parser.add_argument(
        "--python", help="the Python that ComfyUI runs with (default: its venv's, or this one)"
    )
    parser.add_argument("--quick", action="store_true", help="four samplers in place of all")
    parser.add_argument("--only", default="", metavar="WORD", help="only scenarios with this in their name")
    return parser.parse_args()


def _folder(text: str) -> Path | None:
    """A folder; None for an empty text, which an unset variable of make is."""
    if not text:
        return None
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def _python_of(comfyui: Path) -> str:
    for place in ("venv/bin/python", ".venv/bin/python"):
        if (comfyui / place).exists():
            return str(comfyui / place)
    return sys.executable


def make_base(comfyui: Path, base: Path, *, original: Path | None) -> Path:
    """A base directory with the pack as the command line installs it, and the nodes for tests."""
    (base / "custom_nodes").mkdir(parents=True)
    shutil.copy(comfyui / "comfyui_version.py", base)
    if original is not None:
        shutil.copytree(
            original, base / "custom_nodes" / original.name, ignore=shutil.ignore_patterns(".git")
        )
    install = [sys.executable, "-m", "maskgrid", "comfyui", "install", str(base)]
    subprocess.run(install, check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    shutil.copytree(ROOT / "tools" / "comfyui" / "test_nodes", base / "custom_nodes" / "maskgrid_test_nodes")
    return base


def _run_scenarios(server: Server, scenarios: list[Callable[[Server], None]]) -> int:
    failed = 0
    for scenario in scenarios:
        begun = time.monotonic()
        try:
            scenario(server)
        except (AssertionError, RefusedError) as error:
            failed += 1
            result = f"FAILED: {error}"
        else:
            result = "ok"
        print(
            f"{scenario.__name__.replace('_', ' '):58} {time.monotonic() - begun:6.1f} s  {result}",
            flush=True,
        )
    return failed


def _table(server: Server, cases: list[Case], *, quick: bool, original: bool) -> int:
    """Print a row for each sampler: the largest difference of both modes in each case."""
    names = sampler_names(server)
    if quick:
        names = [name for name in names if name in ("euler", "dpmpp_2m_sde", "ddim", "uni_pc")]
    against = "the original node" if original else "ComfyUI's nodes run serially"
    print(f"\n{len(names)} samplers against {against}; largest difference as a share, limit {LIMIT:g}")
    print("| sampler | " + " | ".join(case.name for case in cases) + " |")
    print("|---|" + "---|" * len(cases))
    failed, worst = 0, [0.0] * len(cases)
    for name in names:
        cells = []
        for number, case in enumerate(cases):
            try:
                found = list(compare(server, case, name, original=original))
            except RefusedError as error:
                failed += 1
                cells.append(f"REFUSED {error}"[:200])
                continue
            share = max(one.share for one in found)
            worst[number] = max(worst[number], share)
            cell = f"{share:.1e}"
            if share >= LIMIT:
                # A network rounds otherwise in a batch, and some samplers make more of that than others.
                found = list(compare(server, case, name, original=original, micro_batch=1))
                cell += f" (one at a time {max(one.share for one in found):.1e})"
            bad = sum(not one.fine for one in found)
            failed += bad
            outside = sum(one.outside for one in found)
            cells.append(cell + (f" FAILED ({outside} outside)" if bad else ""))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("| worst | " + " | ".join(f"{share:.1e}" for share in worst) + " |\n", flush=True)
    return failed


def _validate(python: str) -> int:
    """Let comfy-cli look at the pack, where it is installed."""
    tool = shutil.which("comfy", path=f"{Path(python).parent}") or shutil.which("comfy")
    if tool is None:
        print("comfy-cli is not installed; `pip install comfy-cli` to have the pack validated too")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "maskgrid"
        shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
        # It packs what git knows.
        subprocess.run(["git", "init", "--quiet"], cwd=pack, check=True)
        subprocess.run(["git", "add", "--all"], cwd=pack, check=True)
        for action in ("validate", "pack"):
            command = [tool, "--skip-prompt", "--no-enable-telemetry", "node", action]
            done = subprocess.run(command, cwd=pack, capture_output=True, text=True, check=False)
            failed += done.returncode != 0
            print(f"comfy node {action}: {'ok' if done.returncode == 0 else done.stdout + done.stderr}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
