"""Installs a wheel into a clean environment of every suitable Python on this machine and uses it there.

Prints sizes, and fails when the wheel without its bundled model is larger than the project allows.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1_500_000
"""Bytes of a wheel, compressed, without the bundled model."""

MODEL_LIMIT = 12_000_000
"""Bytes of the bundled model in it."""

MODEL = "maskgrid/models/"
NEEDED = {
    "maskgrid/py.typed",
    f"{MODEL}faces/demo.json",
    f"{MODEL}faces/model_index.json",
    f"{MODEL}faces/unet/diffusion_pytorch_model.safetensors",
}
NEWEST = 20
SMOKE = Path(__file__).with_name("smoke.py")

DESCRIBE = """
import sys, sysconfig
if sys.implementation.name == "cpython" and sys.version_info >= (3, 11):
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    print("%d.%d.%d" % sys.version_info[:3], int(free_threaded), sys.prefix)
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython of this machine."""

    path: str
    version: str
    free_threaded: bool
    prefix: str

    def __str__(self) -> str:
        """The version as Python writes it, and where it is."""
        return f"{self.version}{'t' if self.free_threaded else ''} ({self.path})"

    def takes(self, wheel: Path) -> bool:
        """Whether the wheel's tags mean this interpreter (the platform is taken for granted)."""
        python, abi = wheel.stem.split("-")[2:4]
        minor = int(self.version.split(".")[1])
        if abi == "abi3":
            return not self.free_threaded and minor >= int(python.removeprefix("cp3"))
        return abi == f"cp3{minor}{'t' if self.free_threaded else ''}"


def describe(path: str) -> Interpreter | None:
    """What stands at a path; None when it does not run or is no CPython from 3.11 up."""
    try:
        found = subprocess.run([path, "-I", "-c", DESCRIBE], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    if found.returncode or not found.stdout.strip():
        return None
    version, free_threaded, prefix = found.stdout.strip().split(maxsplit=2)
    return Interpreter(path, version, free_threaded == "1", prefix)


def candidates() -> list[str]:
    """Where a Python may be: on the PATH, in pyenv and in uv."""
    paths = [sys._base_executable]  # type: ignore[attr-defined]  # the one that the environment was made with
    for minor in range(11, NEWEST):
        paths += filter(None, (shutil.which(f"python3.{minor}{suffix}") for suffix in ("", "t")))
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    homes.append(Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python")))
    for home in homes:
        paths += map(str, sorted(home.glob("*/bin/python3")))
    return paths


def interpreters() -> list[Interpreter]:
    """Every CPython from 3.11 up that was found, each installation once."""
    found: dict[tuple[str, str], Interpreter] = {}
    for path in candidates():
        interpreter = describe(path)
        if interpreter is not None:
            found.setdefault((interpreter.version, interpreter.prefix), interpreter)
    return sorted(found.values(), key=lambda one: ([int(part) for part in one.version.split(".")], one.path))


def check_size(wheel: Path) -> None:
    """Prints what the wheel weighs.

    Raises:
        SystemExit: When it is too large.
    """
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    model = sum(entry.compress_size for entry in entries if entry.filename.startswith(MODEL))
    native = sum(entry.file_size for entry in entries if entry.filename.endswith((".so", ".pyd")))
    code = wheel.stat().st_size - model
    print(f"{wheel.name}: {code / 1e6:.2f} MB without the model, {model / 1e6:.2f} MB of model")
    print(f"  native module {native / 1e6:.2f} MB unpacked, {len(entries)} files")
    missing = NEEDED - {entry.filename for entry in entries}
    if missing:
        raise SystemExit(f"missing in the wheel: {', '.join(sorted(missing))}")
    for what, size, limit in (("code", code, LIMIT), ("model", model, MODEL_LIMIT)):
        if size > limit:
            raise SystemExit(f"the wheel has {size} bytes of {what}; at most {limit} are allowed")


def try_out(interpreter: Interpreter, wheel: Path) -> None:
    """Installs the wheel and its dependencies into an empty environment and runs the smoke test there."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter.path, "-m", "venv", "--without-pip", folder], check=True)
        python = Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", str(wheel)]
        subprocess.run(install, check=True)
        if subprocess.run([str(python), "-I", "-W", "error", str(SMOKE)]).returncode:
            raise SystemExit(f"{wheel.name} fails its smoke test in {interpreter}")


def main() -> None:
    """Checks the wheels named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", nargs="+", type=Path)
    arguments = parser.parse_args()
    pythons = interpreters()
    for wheel in arguments.wheels:
        check_size(wheel)
        fitting = [one for one in pythons if one.takes(wheel)]
        if not fitting:
            raise SystemExit(f"no Python here can install {wheel.name}; found {', '.join(map(str, pythons))}")
        for interpreter in fitting:
            print(f"  {interpreter}", flush=True)
            try_out(interpreter, wheel.resolve())


if __name__ == "__main__":
    main()
