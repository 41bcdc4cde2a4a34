"""`--zoom` of `sample` and `plan`: windows that are read, and how large the model sees them."""

import json
from pathlib import Path

import pytest
from commands import pixels, sample

from maskgrid.cli import main


def test_plan_says_and_draws_the_windows_that_are_read(files, capsys):
    told = ["plan", *files, "--stride", "8", "--zoom", "2", "--context", "4"]
    assert main([*told, "--out", "plan.png"]) == 0
    out = capsys.readouterr().out
    assert "windows of 24 x 24 px as 48 x 48 px (zoom 2)" in out
    assert "8..32, 24..48" in out
    assert main([*told, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["zoom"], facts["window_size"], facts["latent_size"]) == (2, [48, 48], [6, 6])
    assert facts["forks"][5]["window"] == [8, 24, 32, 48]
    assert main(["plan", *files, "--stride", "8", "--out", "plain.png"]) == 0
    assert (pixels("plan.png")[:200, :200] != pixels("plain.png")[:200, :200]).any()


def test_a_zoomed_sheet_is_the_same_outside_the_stencil(files, model_folder, stencil):
    assert main(sample(files, model_folder, "--zoom", "1.5", "--context", "0.25", "--out", "out")) == 0
    changed = (pixels("out/fork_004_r1_c1.png") != pixels("sheet.png")).any(2)
    assert changed[16:, 16:32].any()
    changed[16:, 16:32] &= stencil == 0
    assert not changed.any()
    settings = json.loads(Path("out/manifest.json").read_text("utf-8"))["runs"][0]["settings"]
    assert (settings["zoom"], settings["context"]) == (1.5, 0.25)


def test_auto_needs_a_model(files, capsys):
    with pytest.raises(SystemExit):
        main(["plan", *files, "--stride", "8", "--zoom", "auto"])
    assert "give --model" in capsys.readouterr().err
    assert main(["plan", *files, "--zoom", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["window_size"] == [64, 64]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--zoom", "2", "--halo", "1"], "--halo and --align are of other windows"),
        (["--zoom", "2", "--align", "2"], "--halo and --align are of other windows"),
        (["--context", "4"], "say how large with --zoom"),
    ],
)
def test_what_a_zoom_has_no_use_for_is_refused(files, capsys, options, said):
    with pytest.raises(SystemExit):
        main(["plan", *files, "--stride", "8", *options])
    assert said in capsys.readouterr().err
