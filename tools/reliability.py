"""Attack maskgrid many times, with the attacks of the tests, and print the table of docs/reliability.md.

    python tools/reliability.py            # all, about ten minutes on two cores
    python tools/reliability.py killed

Linux. Exits with 1 where anything was found.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("result", "geometry", "")]

import test_foreign_folders as foreign  # noqa: E402
import test_killed_saves as saves  # noqa: E402
import test_threads as threads  # noqa: E402

from maskgrid import Forks  # noqa: E402
from maskgrid.errors import MaskGridError  # noqa: E402
from maskgrid.result.output_place import check_output  # noqa: E402
from maskgrid.result.repeat_runs import recorded_model, recorded_runs  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


def killed(count: int = 150) -> str:
    """Kill -9 at a random moment of saving over a folder."""
    moments, left = random.Random(0), 0
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        for _ in range(count):
            with saves.start(out) as process:
                time.sleep(moments.uniform(0, 0.08))
                process.kill()
            saves.assert_whole(out)
            left += len(list(Path(place).iterdir())) - 1
        saves.forks_of(2).save(out, force=True)
        assert [path.name for path in Path(place).iterdir()] == ["out"], "leftovers stay"
    return f"{count} times the old or the new folder, whole; {left} drafts left, cleared by the next save"


def interrupted(count: int = 100) -> str:
    """Ctrl-C and SIGTERM, one to three of them, at a random moment of saving."""
    moments = random.Random(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        for turn in range(count):
            with saves.start(out) as process:
                time.sleep(moments.uniform(0, 0.04))
                for _ in range(moments.randint(1, 3)):
                    process.send_signal(signal.SIGTERM if turn % 3 == 2 else signal.SIGINT)
                said = process.stdout.read().split() if process.stdout else []
            assert set(said) <= {"saving", "interrupted"}, said
            saves.assert_whole(out)
            assert [path.name for path in Path(place).iterdir()] == ["out"], "a draft was left"
    return f"{count} times a whole folder and nothing beside it"


def forked(count: int = 2500) -> str:
    """A fork after masks of a random shape were prepared, the child preparing them again."""
    found = _run(threads.FORKED, "0", count)
    return f"{count} shapes, {found}"


def loaded(count: int = 2500) -> str:
    """Masks of random shapes prepared in the two workers of a DataLoader."""
    found = _run(threads.LOADED, "1", count)
    return f"{count} shapes, {found}"


def _run(code: str, seed: str, count: int) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code, seed, str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return "none hangs, none fails"


def tampered(count: int = 2500) -> str:
    """Output folders with values in the manifest exchanged, and bytes of any file changed or cut off."""
    draw, outcomes = random.Random(2), Counter[str]()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as place:
        folder = saves.forks_of(3).save(Path(place) / "out")
        good = {path.name: path.read_bytes() for path in folder.iterdir()}
        fields = json.loads(good["manifest.json"])
        for _ in range(count):
            for name, data in good.items():
                (folder / name).write_bytes(data)
            _tamper(folder, fields, list(good), draw)
            for read in (_look, recorded_model, recorded_runs, lambda path: check_output(path, force=True)):
                outcomes[_outcome(read, folder)] += 1
    raw = {kind: number for kind, number in outcomes.items() if kind not in ("read", "refused")}
    assert not raw, raw
    return f"{count} folders: {outcomes['read']} readings fine, {outcomes['refused']} refused in a line"


def _tamper(folder: Path, fields: dict[str, Any], names: list[str], draw: random.Random) -> None:
    changed = copy.deepcopy(fields)
    for _ in range(draw.randint(0, 3)):
        way, value = draw.choice(list(foreign.places(changed))), draw.choice(foreign.VALUES)
        try:
            changed = foreign.tampered(changed, way, value)
        except (KeyError, IndexError, TypeError):
            continue
    (folder / "manifest.json").write_text(json.dumps(changed))
    if draw.random() < 0.7:
        path = folder / draw.choice(names)
        data = bytearray(path.read_bytes())
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.3 else data)


def _look(folder: Path) -> None:
    forks = Forks.load(folder)
    forks.merged()
    forks.contact_sheet()
    list(forks)


def _outcome(read: Callable[[Path], Any], folder: Path) -> str:
    try:
        read(folder)
    except MaskGridError as error:
        return "refused" if "\n" not in str(error) else f"more than a line: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "read"


ATTACKS = {attack.__name__: attack for attack in (killed, interrupted, forked, loaded, tampered)}


def main() -> int:
    """Run what was asked for; 1 where anything was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("attack", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)}; default all")
    chosen = parser.parse_args().attack or list(ATTACKS)
    if unknown := [name for name in chosen if name not in ATTACKS]:
        parser.error(f"there is no attack {unknown[0]!r}; allowed: {', '.join(ATTACKS)}")
    print("| attack | what came of it | seconds |\n|---|---|---|")
    failed = 0
    for name in chosen:
        start = time.monotonic()
        try:
            outcome = ATTACKS[name]()
        except AssertionError as error:
            outcome, failed = f"FOUND: {error}", 1
        words = (ATTACKS[name].__doc__ or "").rstrip(".")
        print(f"| `{name}`: {words} | {outcome} | {time.monotonic() - start:.0f} |", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
