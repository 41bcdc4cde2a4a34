"""Do the rows of a table on a Ray, each exactly once; run it again and it does what is missing.

pip install "maskgrid[ray]"
python examples/run_on_ray.py [--address auto] [--workers 2] [--out out/batch]
"""

import argparse
import json
from pathlib import Path

from maskgrid.bundled_model import read_demo
from maskgrid.jobs import RayOptions, run_batch


def write_table(path: Path, seeds: int, steps: int) -> None:
    """A row for each seed, of the bundled model's sheet."""
    demo = read_demo()
    row = {"image": str(demo.image), "mask": str(demo.mask), "rows": demo.rows, "columns": demo.columns}
    row |= {"prompt": list(demo.prompts), "cfg": demo.cfg, "steps": steps}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({**row, "seed": seed}) + "\n" for seed in range(seeds)))


def main() -> None:
    """Writes the table, runs it and says how it ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", help="of a Ray that runs, such as auto (default: one is started here)")
    parser.add_argument("--workers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=4, help="rows of the table (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/batch"), help="(default: %(default)s)")
    options = parser.parse_args()

    table = options.out.with_suffix(".jsonl")
    write_table(table, options.seeds, options.steps)
    result = run_batch(table, options.out, ray=RayOptions(address=options.address, workers=options.workers))
    print(f"{result.progress.done} of {result.progress.jobs} done, {result.progress.failed} failed")


if __name__ == "__main__":
    main()
