"""`maskgrid comfyui install` into a folder that looks like ComfyUI."""

from pathlib import Path

import pytest

from maskgrid.cli import main
from maskgrid.errors import InvalidValueError, OutputExistsError
from maskgrid.hosts.comfyui.install_pack import install_pack, pack_folder


@pytest.fixture
def comfyui(tmp_path) -> Path:
    root = tmp_path / "ComfyUI"
    (root / "custom_nodes").mkdir(parents=True)
    (root / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    return root


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path)


def test_the_pack_is_copied(comfyui):
    done = install_pack(comfyui)
    assert (done.folder, files(done.folder)) == (
        comfyui / "custom_nodes" / "maskgrid",
        files(pack_folder()),
    )


def test_nothing_else_is_left(comfyui):
    install_pack(comfyui)
    assert [path.name for path in (comfyui / "custom_nodes").iterdir()] == ["maskgrid"]


def test_an_earlier_pack_is_replaced(comfyui):
    old = install_pack(comfyui).folder / "old.py"
    old.write_text("")
    done = install_pack(comfyui)
    assert (done.replaced, old.exists()) == (True, False)


def test_a_link_to_a_pack_is_replaced_and_not_followed(comfyui, tmp_path):
    mine = tmp_path / "checkout"
    mine.mkdir()
    (mine / "pyproject.toml").write_text('[project]\nname = "maskgrid"\n')
    (comfyui / "custom_nodes" / "maskgrid").symlink_to(mine)
    done = install_pack(comfyui)
    assert (done.folder.is_symlink(), files(mine)) == (False, ["pyproject.toml"])


def test_what_is_not_ours_stays(comfyui):
    other = comfyui / "custom_nodes" / "maskgrid"
    other.mkdir()
    (other / "pyproject.toml").write_text('[project]\nname = "other"\n')
    with pytest.raises(OutputExistsError, match="not maskgrid's"):
        install_pack(comfyui)


def test_the_folder_above_is_fine_too(comfyui):
    assert install_pack(comfyui.parent).folder.parent.parent == comfyui


@pytest.mark.parametrize("version", ["0.13.9", "0.3.64"])
def test_an_old_comfyui_is_refused(comfyui, version):
    (comfyui / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    with pytest.raises(InvalidValueError, match=r"allowed: 0\.14\.0"):
        install_pack(comfyui)


def test_a_version_that_can_not_be_read(comfyui):
    (comfyui / "comfyui_version.py").write_text("")
    with pytest.raises(InvalidValueError, match="has no version"):
        install_pack(comfyui)


def test_a_folder_without_comfyui(tmp_path):
    with pytest.raises(InvalidValueError, match="is no ComfyUI"):
        install_pack(tmp_path)


def test_the_original_pack_is_seen(comfyui):
    pack = comfyui / "custom_nodes" / "bmad"
    pack.mkdir()
    (pack / "simple_utilities.py").write_text('{"MaskGrid N KSamplers Advanced": 1}')
    done = install_pack(comfyui)
    assert (done.original, "bmad is installed too" in done.lines()[1]) == (pack, True)


def test_what_comfyuis_own_python_lacks(comfyui):
    packages = comfyui / "venv" / "lib" / "python3.12" / "site-packages"
    (packages / "torch").mkdir(parents=True)
    (comfyui / "venv" / "bin").mkdir()
    (comfyui / "venv" / "bin" / "python").touch()
    done = install_pack(comfyui)
    python = comfyui / "venv" / "bin" / "python"
    assert (done.missing, done.lines()[2]) == (("maskgrid",), f"next: {python} -m pip install maskgrid")


def test_the_command(comfyui, capsys):
    code = main(["comfyui", "install", str(comfyui)])
    assert (code, capsys.readouterr().out.splitlines()[0]) == (
        0,
        f"installed {comfyui / 'custom_nodes' / 'maskgrid'} (ComfyUI 0.33.0)",
    )


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    code = main(["comfyui", "install", str(tmp_path)])
    assert (code, "is no ComfyUI" in capsys.readouterr().err) == (1, True)
