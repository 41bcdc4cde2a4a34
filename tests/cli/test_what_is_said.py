"""What a command says, and what it does when nobody listens: JSON, silence, signals, other encodings."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import sample
from PIL import Image

from maskgrid import Forks
from maskgrid.cli import main

MASKGRID = [sys.executable, "-m", "maskgrid"]


def test_json_is_one_object_with_all_forks(files, model_folder, capsys):
    assert main([*sample(files, model_folder, "--out", "out"), "--seed", "7", "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["folder"], told["exit_code"], len(told["forks"])) == ("out", 0, 6)
    last = {name: told["forks"][5][name] for name in ("row", "column", "seed", "file")}
    assert last == {"row": 1, "column": 2, "seed": 7, "file": "fork_005_r1_c2.png"}
    assert printed.err == ""


def test_json_tells_errors_too(files, capsys):
    assert main(["plan", *files, "--rows", "5", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["exit_code"]) == ("InvalidValueError", 1)


def test_json_tells_wrong_usage_too(capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--coverage", "some", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["exit_code"], told["error"].startswith("argument --coverage: invalid choice")) == (2, True)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["sample", "--out", "taken"], 1, "taken exists; allowed: a new folder, or --force to replace it"),
        (["sample", "--out", "/proc/forks"], 1, "/proc/forks can't be written: nothing can be made in /proc"),
        (["plan", "--out", "plan.xyz"], 2, "--out is 'plan.xyz' with the suffix '.xyz'"),
        (["plan", "--mask", "empty.png"], 1, "the stencil is empty"),
        (
            ["sample", "--reference-image", "sheet.png"],
            1,
            "--reference-image; allowed: a model that takes it",
        ),
    ],
)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_errors_have_the_words_of_the_command_line(files, model_folder, argv, code, said, capsys):
    Path("taken").mkdir()
    Image.new("L", (16, 16)).save("empty.png")
    model = ["--model", str(model_folder)]
    words = ["--prompt", "a", "--steps", "1", "--device", "cpu"] if argv[0] == "sample" else []
    assert main([argv[0], *files, *model, *words, *argv[1:]]) == code
    printed = capsys.readouterr().err
    assert said in printed, printed


def test_numbers_that_no_fork_has_are_said_without_python(forks, capsys):
    forks.save("a")
    assert main(["merge", "a", "--pick", "17", "--out", "m.png"]) == 1
    assert capsys.readouterr().err.startswith("maskgrid: error: fork 17 does not exist")


HIDE = """
import sys
for name in ("torch", "diffusers", "shtab"):
    sys.modules[name] = None
from maskgrid.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["mask", "stencil.png", "--grow", "1", "--out", "m.png"], 0, ""),
        (["plan", "FILES", "--stride", "4", "--out", "p.png"], 0, ""),
        (["sample", "FILES", "--prompt", "a"], 1, 'pip install "maskgrid[diffusers]"'),
        (["sample", "FILES", "--prompt", "a", "--sampler", "x"], 1, 'pip install "maskgrid[diffusers]"'),
        (["--print-completion", "bash"], 2, 'pip install "maskgrid[completion]"'),
    ],
)
def test_without_torch_pictures_work_and_the_rest_says_what_to_install(files, argv, code, said):
    at = argv.index("FILES") if "FILES" in argv else 0
    argv = [*argv[:at], *files, *argv[at + 1 :]] if "FILES" in argv else argv
    done = subprocess.run([sys.executable, "-c", HIDE, *argv], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") <= 1


def test_quiet_says_nothing_and_verbose_says_how_long(files, model_folder, capsys):
    assert main([*sample(files, model_folder, "--out", "out"), "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*sample(files, model_folder, "--out", "two"), "-v"]) == 0
    said = capsys.readouterr().err
    assert all(word in said for word in ("sampled", "decoded", " s")), said


@pytest.mark.parametrize("command", [["mask", "stencil.png", "--out", "m.png", "--invert"], ["info"]])
def test_json_of_other_commands(files, command, capsys):
    assert main([*command, "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_info_names_versions_threads_and_families(capsys):
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert all(
        word in said for word in ("maskgrid ", "torch ", "threads", "devices: cpu", "nodes for ComfyUI: ")
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_shells_complete_commands_and_options(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "sample" in said
    assert "fork-at" in said


def run(*argv: str, **environment: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*MASKGRID, *argv], env=os.environ | environment, **pipes)


def test_letters_that_a_terminal_lacks_are_no_error(files):
    Path("stencil.png").rename("悲.png")
    done = run("mask", "悲.png", "--out", "é.png", PYTHONIOENCODING="ascii")
    out, err = done.communicate()
    assert (done.returncode, err) == (0, "")
    assert "\\u60b2.png" in out
    told = run("mask", "悲.png", "--out", "ö.png", "--json", PYTHONIOENCODING="ascii").communicate()[0]
    assert json.loads(told)["file"] == "ö.png"
    assert Path("é.png").is_file()


def test_what_was_written_is_a_success_though_nobody_reads_of_it(files):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*MASKGRID, "mask", "stencil.png", "--out", "m.png"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path("m.png").is_file()


def test_a_process_without_any_output_works(files):
    script = 'exec "$0" -m maskgrid mask stencil.png --out m.png >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, sys.executable]).returncode == 0
    assert Path("m.png").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_keeps_the_finished_forks(files, model_folder, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("ignored in these tests, as nohup has it, and so in what they start")
    argv = [
        *sample(files, model_folder, "--out", "out"),
        "--micro-batch",
        "1",
        "--mode",
        "fork",
        "--steps",
        "400",
    ]
    running = run(*argv)
    assert running.stderr is not None
    # Past the first fork.
    line = ""
    while "fork 3" not in line:
        line = running.stderr.readline()
        assert line or running.poll() is None, "it ended too early"
    running.send_signal(number)
    _, err = running.communicate()
    assert running.returncode == 128 + number, err
    assert "interrupted; 2 forks in out" in err
    assert len(Forks.load("out")) == 2


def test_a_place_that_was_taken_meanwhile_is_told(files, model_folder, monkeypatch, capsys):
    from maskgrid.cli import sample as command

    load = command.load

    def load_late(*arguments):
        Path("out").mkdir()
        return load(*arguments)

    monkeypatch.setattr(command, "load", load_late)
    assert main(sample(files, model_folder, "--out", "out")) == 0
    said = capsys.readouterr().out
    assert "6 forks in out-2" in said
    assert "not where it was to be: out exists; allowed: a new folder, or --force to replace it" in said
