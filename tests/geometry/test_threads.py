"""Threads: the same bits for any number of them, forks, and who holds the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import maskgrid
from maskgrid import Grid, masks
from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.geometry import latent_coverage as coverage


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    before = maskgrid.num_threads()
    yield
    maskgrid.set_num_threads(before)


def large(side: int = 1200) -> np.ndarray:
    return np.random.default_rng(1).random((side, side + 7), np.float32)


def test_the_number_can_be_set() -> None:
    for count in (1, 3, np.int64(2)):
        maskgrid.set_num_threads(count)
        assert maskgrid.num_threads() == count


@pytest.mark.parametrize("count", [0, -1, 1025, 2**70])
def test_other_numbers_are_refused(count: int) -> None:
    with pytest.raises(InvalidValueError, match=f"threads is {count}; allowed: 1 to 1024"):
        maskgrid.set_num_threads(count)


@pytest.mark.parametrize("count", [2.0, True, "2", None])
def test_what_is_no_number_is_refused(count: Any) -> None:
    with pytest.raises(InvalidTypeError, match="threads is a"):
        maskgrid.set_num_threads(count)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    mask, grid = large(), Grid(16, 16, cell=(75, 75), stride=8)
    stencils = mask[:, :1200].reshape(16, 75, 16, 75).swapaxes(1, 2).reshape(256, 75, 75)
    results = []
    for count in (1, 2, 3):
        maskgrid.set_num_threads(count)
        results.append(
            [
                masks.grow(mask, 5.5, level=0.99),
                masks.feather(mask, 9, where="centred", level=0.99),
                masks.fill_holes(mask),
                masks.invert(mask),
                coverage.cover_cells(stencils, grid)[0],
                coverage.cover_sheet(stencils, grid, coverage="area"),
            ]
        )
    for others in results[1:]:
        for first, other in zip(results[0], others, strict=True):
            assert first.tobytes() == other.tobytes()


def test_many_python_threads_at_once() -> None:
    mask = large(700)
    expected = masks.grow(mask, 3, level=0.99)
    small = masks.grow(mask[:8, :8], 3, level=0.99)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(6):
            maskgrid.set_num_threads(1 + number % 3)
            if not (masks.grow(mask, 3, level=0.99) == expected).all():
                wrong.append(number)
            if not (masks.grow(mask[:8, :8], 3, level=0.99) == small).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_interpreter_is_free_meanwhile() -> None:
    mask = large(4000) > 0.999
    interval = sys.getswitchinterval()
    # Nobody is made to let go: what else runs does so because it was let.
    sys.setswitchinterval(1000.0)
    try:
        assert any(runs_beside(mask) for _ in range(20))
    finally:
        sys.setswitchinterval(interval)


def runs_beside(mask: np.ndarray) -> bool:
    """Whether this thread went on while another one was at work."""
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        masks.feather(mask, 40, where="centred")
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    beside = not done.is_set()
    thread.join()
    return beside


def run(code: str, **environment: str) -> str:
    """What a fresh Python prints; warnings are errors, but for the one that forking with threads gets."""
    flags = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHOW = "import maskgrid; print(maskgrid.num_threads())"


def test_the_environment_sets_the_number() -> None:
    assert run(SHOW, MASKGRID_NUM_THREADS="3") == "3"
    environment = {name: value for name, value in os.environ.items() if name != "MASKGRID_NUM_THREADS"}
    plain = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True)
    assert int(plain.stdout) >= 1


@pytest.mark.parametrize("text", ["0", "many", "-1", "1.5", ""])
def test_an_odd_environment_is_refused_when_it_matters(text: str) -> None:
    code = (
        "import maskgrid\n"
        "try:\n    maskgrid.num_threads()\n"
        "except maskgrid.MaskGridError as error:\n    print(error)\n"
        "maskgrid.set_num_threads(2)\nprint(maskgrid.num_threads())"
    )
    assert run(code, MASKGRID_NUM_THREADS=text).splitlines() == [
        f'MASKGRID_NUM_THREADS is "{text}"; allowed: 1 to 1024',
        "2",
    ]


linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads and forks as Linux does")


@linux
def test_small_work_starts_no_threads() -> None:
    code = (
        "import os, numpy as np, maskgrid\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        "maskgrid.set_num_threads(3)\n"
        "before = threads()\n"
        "maskgrid.masks.feather(maskgrid.masks.grow(np.eye(32), 3), 4)\n"
        "grid = maskgrid.Grid(4, 4, cell=32)\n"
        "maskgrid.masks.to_latent(np.eye(32), grid)\n"
        "print(threads() - before)\n"
        "maskgrid.masks.feather(np.eye(2000), 4)\n"
        "print(threads() - before)\n"
    )
    assert run(code).split() == ["0", "3"]


@linux
def test_no_size_starts_more_threads_than_were_asked_for() -> None:
    # A pool that the core made for itself would have one for each processor, and would not survive a fork.
    code = (
        "import os, numpy as np, maskgrid\n"
        "from maskgrid import masks\n"
        "from maskgrid.geometry import latent_coverage as coverage\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        "maskgrid.set_num_threads(1)\n"
        "before = threads()\n"
        "for dtype in ('bool', 'uint8', 'float64'):\n"
        "    for side in range(32, 900, 61):\n"
        "        mask = np.eye(side).astype(dtype) * (255 if dtype == 'uint8' else 1)\n"
        "        for radius in (0, 2, 40):\n"
        "            masks.grow(mask, radius)\n"
        "            masks.feather(mask, radius, where='centred')\n"
        "        for call in (masks.threshold, masks.invert, masks.fill_holes, masks.bounding_box):\n"
        "            call(mask)\n"
        "        for stride in (1, 5, 8):\n"
        "            grid = maskgrid.Grid(3, 3, cell=side, gap=1, stride=stride)\n"
        "            found, distinct, _ = coverage.cover_cells(mask, grid)\n"
        "            coverage.cover_sheet(mask, grid)\n"
        "            coverage.lay_noise_masks(found, distinct, grid, range(9))\n"
        "print(threads() - before)\n"
    )
    assert run(code) == "1"


@linux
def test_work_goes_on_in_forked_processes() -> None:
    code = (
        "import os, numpy as np, maskgrid\n"
        "maskgrid.set_num_threads(2)\n"
        "mask = np.eye(1500) > 0\n"
        "grown = lambda: maskgrid.masks.grow(mask, 9).sum()\n"
        "expected = grown()\n"
        "children = []\n"
        "for _ in range(3):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        grandchild = os.fork()\n"
        "        fine = grown() == expected and maskgrid.num_threads() == 2\n"
        "        maskgrid.set_num_threads(3)\n"
        "        fine = fine and grown() == expected\n"
        "        if grandchild:\n"
        "            fine = fine and os.waitpid(grandchild, 0)[1] == 0\n"
        "        os._exit(0 if fine else 1)\n"
        "    children.append(child)\n"
        "print(*[os.waitpid(child, 0)[1] for child in children], grown() == expected)\n"
    )
    assert run(code) == "0 0 0 True"


# What a process did before it was forked, and what its children then do: all operations on shapes of all
# kinds, narrow ones too, of which the work is small and the rows are many.
SHAPES = """
import os, signal, sys, time
import numpy as np
import maskgrid
from maskgrid import Grid, masks
from maskgrid.geometry import canvas
from maskgrid.geometry import latent_coverage as coverage

maskgrid.set_num_threads(2)
rng = np.random.default_rng(int(sys.argv[1]))

def shapes(count):
    yield from [(20000, 1), (1, 20000), (60000, 1), (4000, 8), (3, 30000, 5), (5000, 1, 2, 5), (700, 1, 9, 9)]
    for _ in range(count):
        area = int(rng.integers(1, 400_000))
        width = int(np.exp(rng.uniform(0, np.log(min(area, 60_000)))))
        height = max(min(area // width, 60_000), 1)
        yield (height, width) if rng.random() < 0.6 else (int(rng.integers(1, 5)), 1, height, width)

def work(shape):
    dtype = (np.bool_, np.uint8, np.float32, np.int64)[sum(shape) % 4]
    mask = (np.indices(shape).sum(0) % 7 == 0).astype(dtype) * dtype(255 if dtype is np.uint8 else 1)
    for call in (masks.threshold, masks.invert, masks.fill_holes, masks.bounding_box):
        call(mask)
    for radius in (1, 10, 700):
        masks.grow(mask, radius)
        masks.feather(mask, radius, where="centred")
    stencil = mask.reshape(-1, *shape[-2:])[:1]
    rows = 1 if shape[-1] < 30_000 else 2
    grid = Grid(rows, 3 - rows, cell=shape[-2:], stride=3)
    found, distinct, _ = coverage.cover_cells(stencil[:, None], grid)
    coverage.cover_sheet(stencil[:, None], grid)
    coverage.lay_noise_masks(found, distinct, grid, [0, 1])
    sheet = canvas.tile(stencil[0], grid)
    cells = canvas.split(sheet, grid, copy=True)
    canvas.join(cells, grid)
    if dtype in (np.uint8, np.float32):
        canvas.paste(sheet, cells, grid, stencil[:, None])

threads = lambda: len(os.listdir("/proc/self/task"))
"""
FORKED = (
    SHAPES
    + """
before = threads()
for shape in shapes(int(sys.argv[2])):
    work(shape)
    assert threads() <= before + 2, shape
    child = os.fork()
    if child == 0:
        work(shape)
        os._exit(0)
    deadline = time.monotonic() + 60
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            sys.exit(f"a child hangs: {shape}")
        time.sleep(0.001)
    assert done[1] == 0, (shape, done)
"""
)


@linux
def test_forked_children_finish_whatever_the_shape() -> None:
    flags = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *flags, "-c", FORKED, "0", "60"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


LOADED = (
    SHAPES
    + """
import torch

class Masks(torch.utils.data.Dataset):
    def __init__(self, shapes):
        self.shapes = shapes
    def __len__(self):
        return len(self.shapes)
    def __getitem__(self, index):
        work(self.shapes[index])
        return index

found = list(shapes(int(sys.argv[2])))
for shape in found[:4]:
    work(shape)
loader = torch.utils.data.DataLoader(Masks(found), num_workers=2, batch_size=None, timeout=120)
assert [int(index) for index in loader] == list(range(len(found)))
"""
)


@linux
def test_a_data_loaders_workers_finish_whatever_the_shape() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, "1", "30"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
