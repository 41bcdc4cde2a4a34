"""The command line, as people call it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import names, pixels, sample
from PIL import Image

from maskgrid import Forks
from maskgrid import bundled_model as models
from maskgrid.cli import main
from maskgrid.cli.progress_line import Meter, Reporter
from maskgrid.sampling import Progress

COMMANDS = ("demo", "sample", "batch", "plan", "mask", "merge", "check", "info", "bench", "comfyui")


def test_help_and_version_bring_nothing_heavy():
    code = (
        "import sys; from maskgrid.cli.parser import make_parser; make_parser().format_help()\n"
        "print(*[m for m in ('torch', 'diffusers', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--debug" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["sample", "--steps", "many"],
        ["sample", "--gap", "1,2,3"],
        ["mask", "a.png"],
        ["sample", "--mode", "fork", "--fork-at", "3"],
        ["sample"],
    ],
)
def test_wrong_usage_is_one_line_and_2(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (
            ["sample", "--image", "no.png", "--mask", "no.png", "--prompt", "a", "--model", "no/such/folder"],
            "no file no.png",
        ),
        (["sample", "--from", "nowhere.json"], "nowhere.json"),
        (["plan", "--image", "no.png", "--mask", "no.png"], "no file no.png"),
        (["merge", "nowhere", "--out", "x.png"], "manifest"),
        (["check", "--model", "nothing"], "no model 'nothing'"),
        (["demo", "--model", "no/such/folder"], "no model 'no/such/folder'"),
    ],
)
def test_an_error_is_one_line_and_1(argv, text, capsys):
    assert main(argv) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("maskgrid: error: ")
    assert text in message
    assert main([*argv, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_sample_writes_the_folder_and_reports(files, model_folder, sheet, capsys):
    assert main(sample(files, model_folder, "--preview", "--out", "out/one")) == 0
    printed = capsys.readouterr()
    assert "6 forks in out/one" in printed.out
    assert "100%  forks 1 to 6 of 6, step 2 of 2" in printed.err
    forks = Forks.load("out/one")
    assert np.array_equal(np.asarray(forks.original), sheet)
    assert not np.array_equal(pixels("out/one/merged.png"), sheet)
    assert pixels("out/preview.png").shape == sheet.shape
    assert names("out") == ["one", "preview.png"]
    assert main(sample(files, model_folder, "--out", "out/one")) == 1
    assert "--force" in capsys.readouterr().err


def test_a_manifest_makes_the_same_pictures_again(files, model_folder):
    controls = ["--fork-at", "1", "--sampler", "dpmpp_2m", "--scheduler", "karras", "--seed", "5"]
    more = ["--fork-seeds", "increment", "--cfg", "3", "--negative-prompt", "no", "--feather", "1"]
    assert main(sample(files, model_folder, *controls, *more, "--out", "one")) == 0
    for name in ("sheet.png", "stencil.png"):
        Path(name).unlink()
    assert main(["sample", "--from", "one/manifest.json", "--out", "two"]) == 0
    for path in Path("one").glob("*.png"):
        assert np.array_equal(pixels(path), pixels(Path("two") / path.name))
    assert Path("one/manifest.json").read_text() == Path("two/manifest.json").read_text()
    assert main(["sample", "--from", "one", "--seed", "6", "--out", "three"]) == 0
    assert not np.array_equal(pixels("one/merged.png"), pixels("three/merged.png"))


def test_a_picture_to_go_by_is_refused_by_a_model_without_a_use_for_it(files, model_folder, capsys):
    for option in ("--control-image", "--reference-image"):
        assert main(sample(files, model_folder, option, "sheet.png", "--out", "out")) == 1
        assert f"does not take {option}" in capsys.readouterr().err


def code_of(argv: list[str]) -> int:
    """The exit code, also where argparse ends the program."""
    try:
        return main(argv)
    except SystemExit as ended:
        return int(ended.code)


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        (["--image", "none.png"], 1, "there is no file none.png"),
        (["--mask", "none.png"], 1, "there is no file none.png"),
        (["--rows", "5"], 1, "mask is 16 x 16 px"),
        (["--gap", "99"], 1, "gap"),
        (["--gap", "a"], 2, "argument --gap: invalid value: 'a'"),
        (
            ["--sampler", "eulr"],
            2,
            "argument --sampler: invalid choice: 'eulr' (choose from euler, euler_cfg_pp,",
        ),
        (["--sampler", "DPM++ 2M Karras"], 2, "(here it is called: --sampler dpmpp_2m --scheduler karras)"),
        (
            ["--scheduler", "karas"],
            2,
            "argument --scheduler: invalid choice: 'karas' (choose from normal, karras,",
        ),
        (["--mode", "both"], 2, "argument --mode: invalid choice: 'both' (choose from"),
        (["--coverage", "some"], 2, "argument --coverage: invalid choice: 'some' (choose from"),
        (["--steps", "0"], 2, "argument --steps: invalid value: '0'"),
        (["--rows", "0"], 2, "argument --rows: invalid value: '0'"),
        (["--feather", "-1"], 2, "argument --feather: invalid value: '-1'"),
        (["--micro-batch", "0"], 2, "argument --micro-batch: invalid value: '0'"),
        (["--denoise", "2"], 2, "--denoise is 2"),
        (["--seed", "-1"], 2, "--seed is -1"),
        (["--fork-at", "1"], 2, "argument --fork-at: not allowed with argument --mode"),
        (["--fork-seeds", "1,2"], 2, "--fork-seeds has 2 items"),
        (["--prompt", "a", "--prompt", "b"], 2, "--prompt has"),
        (["--start", "3", "--end", "2"], 2, "--start is 3 and --end 2"),
    ],
)
def test_what_no_model_could_do_is_said_before_one_is_loaded(files, model_folder, capsys, wrong, code, said):
    assert code_of([*sample(files, model_folder, "--out", "out"), *wrong]) == code
    printed = capsys.readouterr().err
    assert said in printed
    assert "loading" not in printed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["--fork-at", "99"], "--fork-at is 99"), (["--start", "3", "--end", "2"], "--start is 3 and --end 2")],
)
def test_so_it_is_when_a_manifest_is_made_again(files, model_folder, capsys, wrong, said):
    assert main(sample(files, model_folder, "--out", "out")) == 0
    capsys.readouterr()
    assert code_of(["sample", "--from", "out", "--out", "again", *wrong]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert "loading" not in printed


def test_prompts_for_each_cell(files, model_folder):
    texts = [item for text in "abcdef" for item in ("--prompt", text)]
    command = sample(files, model_folder, "--out", "out")
    start = command.index("--prompt")
    assert main([*command[:start], *command[start + 2 :], *texts]) == 0
    assert Forks.load("out").settings["prompt"] == list("abcdef")


@pytest.fixture
def _listens_to_ctrl_c():
    """A process in the background of a shell ignores SIGINT, and so would those that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.usefixtures("_listens_to_ctrl_c")
def test_what_is_finished_at_ctrl_c_is_kept_and_said(files, model_folder):
    command = sample(files, model_folder, "--micro-batch", "1", "--steps", "100", "--out", "out")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "maskgrid", *command]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "fork 2 of 6" in line or "fork 3 of 6" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    kept = Forks.load("out")
    assert 1 <= len(kept) < 6
    assert f"interrupted; {len(kept)} fork" in rest
    assert names(".") == ["out", "sheet.png", "stencil.png"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool])
def test_mask_writes_eight_bits_of_any_array(dtype, stencil, capsys):
    np.save("mask.npy", (stencil / (255 if dtype != np.uint8 else 1)).astype(dtype))
    assert main(["mask", "mask.npy", "--out", "mask.png"]) == 0
    assert np.array_equal(pixels("mask.png"), stencil)
    assert f"{(stencil > 0).mean():.1%} may change" in capsys.readouterr().out
    np.save("cells.npy", np.stack([stencil] * 2))
    assert main(["mask", "cells.npy", "--out", "cells.png"]) == 1
    assert "shape (2, 16, 16); allowed: one picture" in capsys.readouterr().err


def test_plan_prints_a_table_and_draws_it(files, capsys):
    assert main(["plan", *files, "--stride", "2", "--halo", "1", "--out", "plan.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "6 forks" in lines[1]
    assert lines[-2].split()[:4] == ["5", "5", "1", "2"]
    assert pixels("plan.png").shape[2] == 3
    assert main(["plan", *files, "--stride", "2", "--out", "plan.png"]) == 1


def test_plan_says_what_the_coverage_loses(files, capsys):
    line = np.zeros((16, 16), np.uint8)
    line[:, 0] = 255
    Image.fromarray(line).save("stencil.png")
    assert main(["plan", *files, "--stride", "8"]) == 0
    printed = capsys.readouterr()
    assert "cells (row, column) (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)" in printed.err
    assert "allowed: --coverage 'max'" in printed.err
    assert "window" not in printed.out
    assert main(["plan", *files, "--stride", "8", "--coverage", "max"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_plan_has_the_stride_of_the_model_that_sample_has(files, model_folder, capsys):
    for model, stride in (([], 4), (["--model", str(model_folder)], 2), (["--stride", "16"], 16)):
        assert main(["plan", *files, *model, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["stride"] == stride
    assert main(["plan", *files, "--model", "somebody/else"]) == 1
    assert "allowed: a folder, or --stride" in capsys.readouterr().err


def test_mask_cuts_a_cell_and_prepares_it(stencil, capsys):
    whole = np.zeros((32, 48), np.uint8)
    whole[16:, 32:] = stencil // 2
    Image.fromarray(whole).save("whole.png")
    place = ["--rows", "2", "--columns", "3", "--cell", "1,2"]
    assert main(["mask", "whole.png", *place, "--threshold", "0.3", "--out", "cell.png"]) == 0
    assert np.array_equal(pixels("cell.png"), stencil)
    assert "16 x 16 px" in capsys.readouterr().out
    assert main(["mask", "cell.png", "--invert", "--grow", "1", "--out", "cell.png", "--force"]) == 0
    assert pixels("cell.png").sum() > (255 - stencil).sum()
    assert main(["mask", "cell.png", "--rows", "2", "--out", "other.png"]) == 2


def test_merge_puts_picked_cells_of_folders_into_one_sheet(forks, sheet):
    forks.save("a")
    forks[2:4].save("b")
    assert main(["merge", "a", "b", "--pick", "0,1=1", "0,2=6", "--out", "picked.png"]) == 0
    assert np.array_equal(pixels("picked.png"), np.asarray(forks.pick([1, 2])))
    assert main(["merge", "a", "--out", "all.png"]) == 0
    assert np.array_equal(pixels("all.png"), np.asarray(forks.merged()))
    assert main(["merge", "a", "--pick", "4", "--out", "one.png"]) == 0
    assert np.array_equal(pixels("one.png"), forks.array(4))
    for wrong, code in (
        (["0,1=2"], 1),
        (["1", "0,1=1"], 2),
        (["0,1=1", "0,1=1"], 2),
        (["17"], 1),
        (["0", "0"], 1),
    ):
        assert main(["merge", "a", "--pick", *wrong, "--out", "wrong.png"]) == code
    assert not Path("wrong.png").exists()


def test_check_says_whether_a_model_can_be_trusted(model_folder, capsys):
    assert main(["check", "--model", str(model_folder), "--device", "cpu"]) == 0
    assert "StableDiffusionPipeline can be trusted" in capsys.readouterr().out


def test_bench_compares_both_ways(capsys):
    assert main(["bench", "--cell", "16", "--rows", "2", "--columns", "2"]) == 0
    assert capsys.readouterr().out.count("times faster") == 2


def test_demo_redraws_every_cell_with_a_prompt_of_its_own(model_folder, monkeypatch, capsys):
    shutil.copytree(model_folder, "faces")
    for file in (Path(models.__file__).parent / "models" / "faces").glob("demo*"):
        shutil.copy(file, "faces")
    monkeypatch.setattr(models, "_FACES", Path("faces").resolve())
    assert main(["demo", "--steps", "1", "--device", "cpu", "--out", "out"]) == 0
    forks = Forks.load("out")
    assert len(forks) == 9
    assert len(set(forks.settings["prompt"])) == 5
    assert forks.settings["pipeline"]["model"] == models.BUNDLED
    assert "9 forks in out" in capsys.readouterr().out


@pytest.mark.parametrize(("size", "times"), [(4, 1), (16, 1), (35, 1), (37, 2), ((10, 60), 2), ((61, 8), 3)])
def test_demo_enlarges_its_sheet_to_what_another_model_was_made_for(
    files, model_folder, monkeypatch, size, times
):
    shutil.copytree(model_folder, "other")
    config = Path("other/unet/config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "sample_size": size}))
    shown = models.Demo(Path("sheet.png"), Path("stencil.png"), 2, 3, ("a face",) * 6, cfg=2.5)
    monkeypatch.setattr("maskgrid.cli.demo.read_demo", lambda: shown)
    assert main(["demo", "--model", "other", "--steps", "1", "--device", "cpu", "--out", "out"]) == 0
    forks = Forks.load("out")
    assert forks.original.size == (48 * times, 32 * times)
    assert np.array_equal(pixels("out/stencil.png"), pixels("stencil.png").repeat(times, 0).repeat(times, 1))
    assert forks.settings["pipeline"]["model"] == str(Path("other").resolve())
    assert forks.settings.get("cfg") is None


def test_without_the_bundled_model_demo_says_so(monkeypatch, capsys):
    monkeypatch.setattr(models, "_FACES", Path("nowhere"))
    for command in (["demo"], ["check"], ["check", "--model", "bundled"]):
        assert main(command) == 1
        assert "the bundled model is not in this installation" in capsys.readouterr().err


def progress(step: int, forks: tuple[int, ...], *, together: bool, steps: int = 4) -> Progress:
    return Progress(step, steps, torch.tensor(1.0), forks, 6, together, lambda: torch.zeros(1))


@pytest.mark.parametrize("prompt", ["one", list("abcdef")])
@pytest.mark.parametrize("part_at", [0, 1, 4])
@pytest.mark.parametrize("batch", [1, 2, 6])
def test_the_share_of_the_work_rises_to_one(prompt, part_at, batch):
    meter = Meter({"fork_at": part_at, "prompt": prompt})
    shares = [meter.share(progress(step, tuple(range(6)), together=True)) for step in range(part_at)]
    for first in range(0, 6, batch):
        forks = tuple(range(first, first + batch))
        shares += [meter.share(progress(s, forks, together=False)) for s in range(part_at, 4)]
    assert shares == sorted(set(shares))
    assert shares[0] > 0
    assert shares[-1] == 1


def test_tries_and_zoomed_cells_have_their_share():
    zoomed = Meter({"zoom": 2})
    assert [zoomed.share(progress(step, (0, 1, 2), together=False)) for step in (1, 3)] == [0.25, 0.5]
    tries = Meter({"variants": 2})
    assert [tries.share(progress(3, forks, together=True)) for forks in ((0, 1, 2), (3, 4, 5))] == [0.5, 1]


def test_the_report_names_steps_forks_and_times(capsys):
    report = Reporter({"mode": "fork"})
    time.sleep(0.01)
    for step in range(4):
        report(progress(step, (0,), together=False))
    for step in range(4):
        report(progress(step, (1, 2, 3, 4, 5), together=False))
    report.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "100%  forks 2 to 6 of 6, step 4 of 4  0:00 so far, 0:00 left"


def test_pictures_are_counted_while_they_are_decoded(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("maskgrid.cli.progress_line.time.monotonic", lambda: now[0])
    report = Reporter({"mode": "sample"}, stream=stream)
    now[0] = 10
    report(progress(3, tuple(range(6)), together=True))
    for picture in range(6):
        now[0] += 4
        report.decoded(picture + 1, 6)
    report.close()
    assert stream.getvalue().splitlines() == [
        "100%  all 6 forks together, step 4 of 4  0:10 so far, 0:00 left",
        "decoded fork 2 of 6  0:18 so far, 0:16 left",
        "decoded fork 4 of 6  0:26 so far, 0:08 left",
        "decoded fork 6 of 6  0:34 so far, 0:00 left",
    ]


def test_background_and_alpha_are_recorded_and_no_colour_is_wrong_usage(files, model_folder, capsys):
    options = ("--background", "#f0f", "--alpha", "keep")
    assert main(sample(files, model_folder, "--out", "see_through", *options)) == 0
    settings = json.loads(Path("see_through/manifest.json").read_text())["runs"][0]["settings"]
    assert settings["background"] == "#f0f"
    with pytest.raises(SystemExit, match="2"):
        main(sample(files, model_folder, "--background", "green"))
    assert "invalid value: 'green' (allowed: auto, or a colour" in capsys.readouterr().err
