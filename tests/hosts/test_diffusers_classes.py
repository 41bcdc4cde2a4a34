"""Which classes of diffusers are taken for text-to-image pipelines: what the docs list, and nothing else."""

import json
import re
from pathlib import Path

import diffusers as d
import pytest
from families import FAMILIES, QUIET, cached

from maskgrid.errors import InvalidTypeError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.diffusers.families import explain_refusal, family_of
from maskgrid.load_pipeline.model_stride import read_scale

pytestmark = [pytest.mark.filterwarnings(warning) for warning in QUIET]

DOCS = Path(__file__).parents[2] / "docs" / "diffusers.md"


def documented_classes() -> set[str]:
    listed = DOCS.read_text("utf-8").split("without the word Pipeline:")[1].split("## ")[0]
    return {f"{name}Pipeline" for name in re.findall(r"`(\w+)`", listed)}


@pytest.mark.filterwarnings("ignore")
def test_the_classes_taken_are_those_in_the_docs():
    names = [name for name in dir(d) if name.endswith("Pipeline") and isinstance(getattr(d, name), type)]
    taken = {name for name in names if explain_refusal(getattr(d, name)) is None}
    listed = documented_classes() & set(names)
    # Some versions have an old name that extends the new one.
    old = {name for name in taken - listed if {each.__name__ for each in getattr(d, name).__mro__} & listed}
    assert taken - old == listed


@pytest.mark.parametrize(
    "name",
    [
        "AnimateDiffPipeline",
        "TextToVideoSDPipeline",
        "QwenImageEditPlusPipeline",
        "LatentConsistencyModelPipeline",
    ],
)
def test_a_pipeline_with_a_mixin_of_a_family_is_not_of_it(name):
    kind = getattr(d, name)
    assert any(each.__name__.startswith(("StableDiffusion", "QwenImage")) for each in kind.__mro__)
    assert "is of no family that is known" in str(explain_refusal(kind))


def test_a_class_that_extends_a_pipeline_is_of_its_family():
    class Own(d.StableDiffusionPipeline):
        """Of somebody else."""

    assert explain_refusal(Own) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_vae_of_another_family_is_named(family):
    pipe, _ = cached(family)
    other, _ = cached("qwen" if family not in ("qwen", "krea2", "krea2_distilled") else "sana")
    vae = pipe.vae
    try:
        pipe.vae = other.vae
        with pytest.raises(
            InvalidTypeError, match=type(other.vae).__name__ + ".*allowed: |channels.*allowed: "
        ):
            family_of(pipe)
    finally:
        pipe.vae = vae
    assert DiffusersHost(pipe).stride > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stride_is_the_same_read_from_a_folder(family, tmp_path):
    pipe, _ = cached(family)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": type(pipe).__name__}))
    for part in ("vae", "transformer", "unet"):
        if getattr(pipe, part, None) is not None:
            getattr(pipe, part).save_config(tmp_path / part)
    host = DiffusersHost(pipe)
    assert read_scale(str(tmp_path))[:2] == (host.stride, host.family.align)
