"""Put the node pack into a ComfyUI's custom_nodes, and say what was found there. Needs no ComfyUI to run."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from maskgrid.errors import InvalidValueError, MaskGridError, OutputExistsError

__all__ = ["Installation", "install_pack", "pack_folder"]

_OLDEST = (0, 14, 0)
_NAME = "maskgrid"
_OLD_NODE = '"MaskGrid N KSamplers Advanced"'


@dataclass(frozen=True, slots=True)
class Installation:
    """What installing the node pack did, and what it found.

    Attributes:
        folder: Where the pack lies now.
        replaced: Whether an earlier one was there.
        version: ComfyUI's version.
        original: The folder of the original node's pack, None where it is not installed.
        python: The Python that seems to be ComfyUI's own; None where none lies beside it.
        missing: Packages that this Python, or the one beside ComfyUI, lacks.
    """

    folder: Path
    replaced: bool
    version: str
    original: Path | None
    python: Path | None
    missing: tuple[str, ...]

    def lines(self) -> list[str]:
        """What to tell people, ending with what to do next."""
        told = [f"{'replaced' if self.replaced else 'installed'} {self.folder} (ComfyUI {self.version})"]
        if self.original is not None:
            told.append(
                f"{self.original.name} is installed too: its nodes keep their names, and old workflows run "
                f"with them"
            )
        else:
            told.append("old workflows with MaskGrid N KSamplers Advanced run as they are")
        python = self.python or Path(sys.executable)
        if self.missing:
            told.append(f"next: {python} -m pip install {' '.join(self.missing)}")
        if self.python is None:
            told.append(
                f"start ComfyUI with this Python ({python}), or install maskgrid into the one it uses"
            )
        told.append(
            "next: start ComfyUI again; the nodes are under MaskGrid, examples under Browse Templates"
        )
        return told


def pack_folder() -> Path:
    """The folder with the node pack that comes with this package."""
    return Path(__file__).parent / "node_pack"


def install_pack(path: Path | str) -> Installation:
    """Copy the node pack into a ComfyUI; an earlier copy of it is replaced.

    Args:
        path: The folder of ComfyUI, or one that has it as `ComfyUI`.

    Raises:
        InvalidValueError: There is no ComfyUI, or it is older than 0.14.0.
        OutputExistsError: Something else lies at the pack's place.
        MaskGridError: The folder can't be written.
    """
    root = _find_root(Path(path).expanduser())
    version = _version_of(root)
    target = root / "custom_nodes" / _NAME
    replaced = target.exists() or target.is_symlink()
    if replaced and not _is_ours(target):
        raise OutputExistsError(f"{target} is there and is not maskgrid's; allowed: to move it away first")
    try:
        _copy(target)
    except OSError as error:
        raise MaskGridError(f"{target} can't be written: {error}") from error
    python = _python_of(root)
    return Installation(target, replaced, version, _original_in(root), python, _missing_from(python))


def _find_root(path: Path) -> Path:
    for root in (path, path / "ComfyUI"):
        if (root / "comfyui_version.py").is_file() and (root / "custom_nodes").is_dir():
            return root.resolve()
    raise InvalidValueError(
        f"{path} is no ComfyUI; allowed: a folder with comfyui_version.py and custom_nodes in it, or in its "
        f"ComfyUI"
    )


def _version_of(root: Path) -> str:
    text = (root / "comfyui_version.py").read_text(encoding="utf-8", errors="replace")
    match = re.search(r"__version__\s*=\s*[\"'](\d+)\.(\d+)\.(\d+)([^\"']*)", text)
    if match is None:
        raise InvalidValueError(
            f'{root / "comfyui_version.py"} has no version; allowed: __version__ = "0.14.0"'
        )
    version = tuple(int(part) for part in match.groups()[:3])
    name = ".".join(str(part) for part in version) + match[4]
    if version < _OLDEST:
        needed = ".".join(str(part) for part in _OLDEST)
        raise InvalidValueError(f"{root} is ComfyUI {name}; allowed: {needed} and newer")
    return name


def _is_ours(target: Path) -> bool:
    try:
        found = tomllib.loads((target / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found.get("project", {}).get("name") == _NAME)


def _copy(target: Path) -> None:
    """Copy beside the target first, so that a copy that fails leaves what was there."""
    with tempfile.TemporaryDirectory(prefix=f".{_NAME}-", dir=target.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        shutil.copytree(pack_folder(), new, ignore=shutil.ignore_patterns("__pycache__"))
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            target.rename(old)
        new.rename(target)


def _original_in(root: Path) -> Path | None:
    """The folder that has the original node, under whatever name it was installed."""
    for file in sorted((root / "custom_nodes").glob("*/simple_utilities.py")):
        if _OLD_NODE in file.read_text(encoding="utf-8", errors="replace"):
            return file.parent
    return None


def _python_of(root: Path) -> Path | None:
    """A Python that lies where ComfyUI's installers put one."""
    places = ("venv/bin/python", ".venv/bin/python", "venv/Scripts/python.exe", ".venv/Scripts/python.exe")
    found = [root / place for place in places] + [root.parent / "python_embeded" / "python.exe"]
    return next((python for python in found if python.exists()), None)


def _missing_from(python: Path | None) -> tuple[str, ...]:
    """Which of maskgrid and torch that Python lacks, looked up in its folders; None for this Python."""
    names = (_NAME, "torch")
    if python is None:
        return tuple(name for name in names if find_spec(name) is None)
    home = python.parent.parent if python.parent.name in ("bin", "Scripts") else python.parent
    if Path(sys.prefix).resolve() == home.resolve():
        return tuple(name for name in names if find_spec(name) is None)
    folders = [*home.glob("lib/python3*/site-packages"), home / "Lib" / "site-packages"]
    return tuple(name for name in names if not any((folder / name).is_dir() for folder in folders))
