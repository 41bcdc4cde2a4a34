"""Options from a file: by which names, beside what is typed, and what is refused."""

import json
from pathlib import Path

import pytest

from maskgrid.cli import main
from maskgrid.cli.config_file import parse_options


def options_of(text: str, *typed: str, folder: str = "."):
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / "run.toml").write_text(text)
    return parse_options(["sample", "--config", f"{folder}/run.toml", *typed])


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("steps = 7", ["--steps", "7"]),
        ('scheduler = "karras"', ["--scheduler", "karras"]),
        ('schedule = "karras"', ["--scheduler", "karras"]),
        ("start = 2", ["--start", "2"]),
        ("start_at_step = 2", ["--start", "2"]),
        ("micro-batch = 3", ["--micro-batch", "3"]),
        ("micro_batch = 3", ["--micro-batch", "3"]),
        ("vae-tiling = true", ["--vae-tiling"]),
        ("vae_tiling = false", []),
        ("gap = [2, 4]", ["--gap", "2,4"]),
        ("fork_seeds = [3, 1]", ["--fork-seeds", "3,1"]),
        ("denoise = 0.5", ["--denoise", "0.5"]),
        ('prompt = "-- a face"', ["--prompt=-- a face"]),
        ('prompt = ["a", "b"]', ["--prompt", "a", "--prompt", "b"]),
        ('prompt = [["a"], [""]]', ["--prompt=a", "--prompt="]),
        ('offload = "group"\nrevision = "v1"', ["--offload", "group", "--revision", "v1"]),
        ("force = true\nout = '/x'", ["--force", "--out", "/x"]),
    ],
)
def test_a_file_is_what_would_be_typed(text, typed):
    found, expected = vars(options_of(text)), vars(parse_options(["sample", *typed]))
    assert {name: found[name] for name in found if name not in ("config", "parser", "run")} == {
        name: expected[name] for name in expected if name not in ("config", "parser", "run")
    }


def test_what_is_typed_goes_before_the_file():
    text = 'steps = 7\nmode = "fork"\nprompt = ["a", "b"]\nseed = 3\nlora = "a.safetensors"'
    found = options_of(text, "--steps", "2", "--fork-at", "1", "--prompt", "c", "--lora", "b.safetensors:2")
    assert (found.steps, found.mode, found.fork_at, found.seed) == (2, None, 1, 3)
    assert (found.prompt, found.loras) == (["c"], [("b.safetensors", 2.0)])


def test_a_prompts_file_that_is_typed_takes_the_place_of_prompts():
    found = options_of('prompt = "a"', "--prompts", "words.txt")
    assert (found.prompt, found.prompts) == (None, "words.txt")


def test_paths_are_relative_to_the_file(model_folder):
    text = (
        'image = "sheet.png"\nmask = "/stencil.png"\nmodel = "model"\nreference-image = ["a.png", "b.png"]\n'
        'from = "old"\nlora = [["x.safetensors", 0.5], "y.safetensors:2", {path = "z.safetensors"}]'
    )
    Path("runs/model").mkdir(parents=True)
    found, here = options_of(text, folder="runs"), Path.cwd() / "runs"
    assert (found.image, found.mask, found.manifest) == (f"{here}/sheet.png", "/stencil.png", f"{here}/old")
    assert found.reference_image == [f"{here}/a.png", f"{here}/b.png"]
    assert found.model == f"{here}/model"
    weights = (("x", 0.5), ("y", 2.0), ("z", 1.0))
    assert found.loras == [(f"{here}/{name}.safetensors", weight) for name, weight in weights]


def test_a_model_that_is_not_beside_the_file_is_one_by_name():
    assert options_of('model = "owner/name"').model == "owner/name"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stpes = 3", "'stpes' is no option of maskgrid sample; did you mean steps?"),
        ("help = true", "'help' is no option of maskgrid sample, or it can't stand in a file"),
        ("schedule = 'karras'\nscheduler = 'simple'", "'scheduler' is there under another name as well"),
        ("steps = 'many'", "argument --steps: invalid value: 'many'"),
        ("steps = true", "--steps is True; allowed: a text, a number"),
        ("force = 'yes'", "--force is 'yes'; allowed: true or false"),
        ("mode = 'fork'\nfork_at = 2", "not allowed with argument"),
        ("lora = [['a.safetensors', 'much']]", "--lora is ['a.safetensors', 'much']; allowed: a path"),
        ("[sampling]\nsteps = 3", "'sampling' is no option of maskgrid sample"),
        ("steps =", "can't be read as TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(text, said, capsys):
    with pytest.raises(SystemExit) as stop:
        options_of(text)
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert "error: run.toml: " in told
    assert said in told
    assert told.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys):
    with pytest.raises(SystemExit):
        parse_options(["sample", "--config", "none.toml", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["error"].startswith("none.toml: can't be read as TOML")


def test_what_is_wrong_in_it_is_told_as_json_too(capsys):
    with pytest.raises(SystemExit):
        options_of("steps = 0", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["error"].startswith("run.toml: argument --steps")


def test_a_run_from_a_file_is_that_of_the_options(files, model_folder):
    settings = f'model = "{model_folder}"\ndevice = "cpu"\nmode = "fork"\nsteps = 2\nprompt = "a face"\n'
    Path("run.toml").write_text(
        f'{settings}image = "sheet.png"\nmask = "stencil.png"\nrows = 2\ncolumns = 3\nout = "first"'
    )
    assert main(["sample", "--config", "run.toml"]) == 0
    typed = ["--model", str(model_folder), "--device", "cpu", "--mode", "fork", "--steps", "2"]
    assert main(["sample", *files, *typed, "--prompt", "a face", "--out", "second"]) == 0
    for name in ("merged.png", "manifest.json"):
        assert Path("first", name).read_bytes() == Path("second", name).read_bytes()
