"""Make forks on a GPU of 8 GB: half precision, parts moved in when they are needed, one fork a call.

    python examples/fit_small_gpu.py --model stabilityai/stable-diffusion-xl-base-1.0 [--out out/small]

Without a GPU it does the same on the CPU, in float32.
"""

import argparse
from pathlib import Path

import torch

from maskgrid import MaskGrid
from maskgrid.bundled_model import read_demo
from maskgrid.load_pipeline import load_pipeline


def load_small(model: str) -> MaskGrid:
    """A model whose parts wait in host memory and whose pictures are decoded in tiles."""
    gpu = torch.cuda.is_available()
    pipe = load_pipeline(model, device="cpu", dtype="float16" if gpu else "float32")
    if gpu:
        pipe.enable_model_cpu_offload()
    pipe.vae.enable_tiling()
    pipe.vae.enable_slicing()
    return MaskGrid(pipe)


def main() -> None:
    """Makes the forks, and prints the most GPU memory that it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/small"), help="(default: %(default)s)")
    options = parser.parse_args()

    demo = read_demo()
    grid = load_small(options.model)
    forks = grid(
        image=demo.image,
        mask=demo.mask,
        rows=demo.rows,
        columns=demo.columns,
        prompt=list(demo.prompts),
        cfg=demo.cfg,
        steps=options.steps,
        mode="fork",
        micro_batch=1,
    )
    print(forks.save(options.out))
    if torch.cuda.is_available():
        print(f"at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory")


if __name__ == "__main__":
    main()
