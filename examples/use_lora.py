"""Redraw a sheet with a LoRA at two strengths, and once without.

    python examples/use_lora.py --lora style.safetensors [--model owner/name] [--out out/lora]

Needs `pip install "maskgrid[diffusers]" peft`.
"""

import argparse
from pathlib import Path

from maskgrid import MaskGrid
from maskgrid.bundled_model import read_demo


def main() -> None:
    """Makes three folders: plain, half, full."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lora", type=Path, required=True, help="a .safetensors file made for the model")
    parser.add_argument("--model", default="bundled", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/lora"), help="(default: %(default)s)")
    options = parser.parse_args()

    demo = read_demo()
    grid = MaskGrid.load(options.model)
    sheet = {"image": demo.image, "mask": demo.mask, "rows": demo.rows, "columns": demo.columns}
    pipe = grid.host.pipe
    pipe.load_lora_weights(options.lora.parent, weight_name=options.lora.name, adapter_name="style")
    for name, strength in (("half", 0.5), ("full", 1.0)):
        pipe.set_adapters("style", strength)
        forks = grid(**sheet, prompt=demo.prompts[0], cfg=demo.cfg, steps=options.steps)
        print(forks.save(options.out / name))
    pipe.unload_lora_weights()
    forks = grid(**sheet, prompt=demo.prompts[0], cfg=demo.cfg, steps=options.steps)
    print(forks.save(options.out / "plain"))


if __name__ == "__main__":
    main()
