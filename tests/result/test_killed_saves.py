"""Processes that are killed or interrupted while they save: the old folder or the new one, whole."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from saving import FORKS, forks_of

from maskgrid import Forks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has neither of the two signals")


@pytest.fixture
def _listens_to_ctrl_c():
    """A process in the background of a shell ignores SIGINT, and so would those that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(out: Path) -> subprocess.Popen[str]:
    """A process that saves; returns when it is about to for the second time."""
    program = [sys.executable, str(Path(__file__).parent / "saving.py"), str(out)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "saving\n"
    return process


def assert_whole(out: Path) -> None:
    """One of the two folders that were saved, pixel by pixel."""
    found = Forks.load(out)
    expected = forks_of(len(found))
    assert len(found) in FORKS
    assert all(np.array_equal(found.array(i), expected.array(i)) for i in range(len(found)))
    assert sorted(path.name for path in out.iterdir())[:2] == ["alpha.npy", "contact.png"]


def test_a_killed_save_leaves_a_whole_folder_and_the_next_one_clears_up(tmp_path):
    moments = random.Random(0)
    out, left = tmp_path / "out", 0
    for _ in range(30):
        with start(out) as process:
            time.sleep(moments.uniform(0, 0.08))
            process.kill()
        assert_whole(out)
        left += len(list(tmp_path.iterdir())) - 1
    assert left, "no process was killed while it saved, so that nothing was tried"
    forks_of(2).save(out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_whole(out)


@pytest.mark.usefixtures("_listens_to_ctrl_c")
def test_ctrl_c_and_sigterm_wait_until_a_save_is_done(tmp_path):
    moments = random.Random(1)
    out = tmp_path / "out"
    for number in [signal.SIGINT, signal.SIGINT, signal.SIGTERM] * 7:
        with start(out) as process:
            time.sleep(moments.uniform(0, 0.04))
            for _ in range(moments.randint(1, 3)):
                process.send_signal(number)
            assert process.stdout is not None
            said = process.stdout.read().split()
        assert set(said) <= {"saving", "interrupted"}
        assert process.returncode != 0 or number == signal.SIGINT
        assert_whole(out)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
