"""A model's stride and multiples, read from its folder, against those of the loaded pipeline."""

import json

import pytest

from maskgrid.errors import MaskGridError
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.load_pipeline.model_stride import read_scale


def test_a_folder_tells_what_its_loaded_pipeline_has(model_folder):
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(model_folder)
    host = DiffusersHost(pipe)
    assert read_scale(str(model_folder)) == (host.stride, host.family.align, host.side)


@pytest.mark.parametrize(
    ("pipeline", "vae", "patch", "scale"),
    [
        (
            "StableDiffusion3Pipeline",
            {"_class_name": "AutoencoderKL", "block_out_channels": [1] * 4},
            2,
            (8, 2),
        ),
        ("FluxPipeline", {"_class_name": "AutoencoderKL", "block_out_channels": [1] * 4}, 1, (8, 2)),
        ("Flux2Pipeline", {"_class_name": "AutoencoderKLFlux2", "block_out_channels": [1] * 4}, 1, (16, 1)),
        ("SanaPipeline", {"_class_name": "AutoencoderDC", "encoder_block_out_channels": [1] * 6}, 1, (32, 1)),
    ],
)
def test_published_layouts(tmp_path, pipeline, vae, patch, scale):
    for name, config in (
        ("model_index.json", {"_class_name": pipeline}),
        ("vae/config.json", vae),
        ("transformer/config.json", {"patch_size": patch}),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(config))
    assert read_scale(str(tmp_path))[:2] == scale


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(MaskGridError, match="allowed: a folder, or --stride"):
        read_scale(str(tmp_path))
