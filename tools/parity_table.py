"""Print the relative error of every run of the original node, repeated by maskgrid.

    python tools/parity_table.py [part of a name]

The errors are ||out - expected|| / ||expected||; the status is 1 if one is 1e-5 or more.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sampling"))

from parity_cases import cases, relative_error, rerun

LIMIT = 1e-5


def main(part: str = "") -> int:
    """Run the cases whose name has this part, and print a line for each."""
    torch.set_num_threads(1)
    chosen = [case for case in cases() if part in case.name]
    print(f"{'name':36} {'sampler':26} {'schedule':16} {'mode':17} error")
    errors = []
    for case in chosen:
        error = relative_error(case, rerun(case))
        errors.append(error)
        node = case.inputs
        print(
            f"{case.name:36} {case.sampler:26} {node['scheduler']:16} {node['mode']:17} {error:.1e}",
            flush=True,
        )
    if not errors:
        print(f"no case has {part!r} in its name", file=sys.stderr)
        return 1
    print(f"{len(errors)} cases, largest error {max(errors):.1e}")
    return int(max(errors) >= LIMIT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
