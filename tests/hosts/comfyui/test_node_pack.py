"""The node pack as the registry and the page take it; tools/test_comfyui.py runs it in a real ComfyUI."""

import ast
import json
import re
import tomllib

import pytest

import maskgrid
from maskgrid.hosts.comfyui.install_pack import pack_folder

FOLDER = pack_folder()
EXAMPLES = sorted((FOLDER / "example_workflows").glob("*.json"))
OLD_IDS = {
    "MaskGrid N KSamplers Advanced",
    "Repeat Into Grid (latent)",
    "Repeat Into Grid (image)",
    "UnGridify (image)",
    "Merge Latent Batch Gridwise",
    "FlatLatentsIntoSingleGrid",
}
CORE = {
    *("LoadImage", "SaveImage", "CheckpointLoaderSimple", "CLIPTextEncode", "VAEEncode", "VAEDecode"),
    *("RandomNoise", "CFGGuider", "KSamplerSelect", "BasicScheduler"),
}


def strings(name: str) -> list[str]:
    tree = ast.parse((FOLDER / name).read_text())
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((FOLDER / "pyproject.toml").read_text())


def new_ids() -> set[str]:
    names = ("sampler_nodes.py", "cell_nodes.py", "picture_nodes.py")
    return {text for name in names for text in strings(name) if re.fullmatch("MaskGrid[A-Z][A-Za-z]+", text)}


def test_the_version_is_that_of_the_package(project):
    assert project["project"]["version"] == maskgrid.__version__


def test_what_the_registry_asks_for(project):
    comfy = project["tool"]["comfy"]
    given = project["project"]["name"], comfy["requires-comfyui"], comfy["PublisherId"], comfy["DisplayName"]
    assert given == ("maskgrid", ">=0.14.0", "maskgrid", "MaskGrid")


def test_the_registry_takes_the_name(project):
    assert not re.search("comfy", project["project"]["name"], re.IGNORECASE)


def test_the_wheel_is_all_that_is_needed(project):
    needed = (FOLDER / "requirements.txt").read_text().split()
    assert (project["project"]["dependencies"], needed) == (["maskgrid"], ["maskgrid"])


def test_the_icon_is_there(project):
    icon = project["tool"]["comfy"]["Icon"].rsplit("/", 1)[1]
    assert (FOLDER / icon).read_bytes().startswith(b"\x89PNG")


def test_every_old_id_is_known():
    assert set(strings("old_ids.py")) >= OLD_IDS


def test_every_old_id_has_a_new_one():
    offered = {text for text in strings("old_ids.py") if re.fullmatch("MaskGrid[A-Z][A-Za-z]+", text)}
    assert offered <= new_ids()


def test_there_are_examples():
    assert [path.stem for path in EXAMPLES] == ["custom_sampler", "expressions", "two_stages"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_nodes_that_exist(path):
    used = {node["type"] for node in json.loads(path.read_text())["nodes"]}
    assert used <= new_ids() | CORE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_links_of_examples_begin_and_end_where_nodes_say(path):
    workflow = json.loads(path.read_text())
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, output, target, slot, kind in workflow["links"]:
        begin, end = nodes[source]["outputs"][output], nodes[target]["inputs"][slot]
        assert (number in begin["links"], end["link"], begin["type"]) == (True, number, kind)


def test_no_example_names_a_machine():
    texts = [path.read_text() for path in EXAMPLES]
    assert not [text for text in texts if "/tmp" in text or "/home" in text or "127.0.0.1" in text]
