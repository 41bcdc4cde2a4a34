"""Measures forks that share a pass of the network beside forks sampled each on its whole canvas.

Both kinds of network redraw the demonstration's sheet: the bundled UNet, and `benches/transformer`, a small
transformer with joint attention (tools/faces/train_transformer.py). What a way costs is given in samplings
of the sheet, by torch's counter of floating point operations, and in time; how near its forks are, in dB
of peak signal to noise inside the stencil, decoded, against those of whole canvases. Prints tables; a whole
run puts them into docs/speed.md. `--quick` takes the 3 x 3 sheet alone and writes nothing.
"""

import argparse
import math
import statistics
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
)
from PIL import Image
from torch.nn.functional import adaptive_max_pool2d
from torch.utils.flop_counter import FlopCounterMode

from harness import Report, duration, machine, times
from maskgrid.bundled_model import bundled_folder, read_demo
from maskgrid.cli.run_and_save import quieten_libraries
from maskgrid.hosts.diffusers import DiffusersHost
from maskgrid.hosts.sharing.shared_decoder import SharedDecoder
from maskgrid.hosts.sharing.shared_network import Sharing
from maskgrid.sampling import Controls, ForkLatents, prepare_forks

DOCS = Path(__file__).parent.parent / "docs" / "speed.md"
MARKER = "figures of bench_forks.py"
TRANSFORMER = Path(__file__).parent / "transformer"
CELL, STRIDE = 16, 4
CFG = 2.5
SAMPLED = 9
"""Forks of whole canvases that are sampled for comparison; what more of them would take is counted up."""


@dataclass(frozen=True)
class Job:
    """A sheet of side x side cells, each to be redrawn on its own.

    Attributes:
        name: Of the kind of network.
        host: Its pipeline.
        texts: Embeddings (9, ...) of the demonstration's prompts and (1, ...) of the empty one, by argument.
        side: Rows, and columns.
        steps: Of a sampling.
    """

    name: str
    host: DiffusersHost
    texts: dict[str, torch.Tensor]
    side: int
    steps: int

    @property
    def count(self) -> int:
        """Number of forks."""
        return self.side**2

    @cached_property
    def sheet(self) -> torch.Tensor:
        """(1, 4, h, w): the demonstration's cells over and over."""
        pixels = np.asarray(Image.open(read_demo().image).convert("RGB"))
        whole = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        times_over = -(-self.side // 3)
        size = self.side * CELL
        return self.host.encode(whole).repeat(1, 1, times_over, times_over)[..., :size, :size]

    @cached_property
    def stencil(self) -> torch.Tensor:
        """(64, 64) bool."""
        return torch.from_numpy(np.asarray(Image.open(read_demo().mask).convert("L")) > 127)

    @property
    def cells(self) -> list[tuple[int, int, int, int]]:
        """Top, left, bottom and right of each cell, in latents."""
        corners = ((CELL * (n // self.side), CELL * (n % self.side)) for n in range(self.count))
        return [(top, left, top + CELL, left + CELL) for top, left in corners]

    @cached_property
    def masks(self) -> torch.Tensor:
        """(N, 1, h, w): the stencil in one cell each."""
        small = adaptive_max_pool2d(self.stencil[None, None].float(), (CELL, CELL))[0, 0]
        masks = torch.zeros(self.count, 1, *self.sheet.shape[-2:])
        for mask, (top, left, bottom, right) in zip(masks, self.cells, strict=True):
            mask[0, top:bottom, left:right] = small
        return masks

    def told(self, forks: range, *, own: bool) -> dict[str, Any]:
        """The pipeline's arguments: the first prompt for all, or one for each of the forks."""
        chosen = [fork % 9 for fork in forks] if own else [0]
        texts = {
            name: value if name.startswith("negative") else value[chosen]
            for name, value in self.texts.items()
        }
        return {**texts, "guidance_scale": CFG}

    def sample(
        self, *, own: bool, sharing: Sharing | None, forks: int | None = None, steps: int | None = None
    ) -> ForkLatents:
        """Forks, shared or each on its whole canvas and one by one."""
        steps, count = steps or self.steps, forks or self.count
        sampling = prepare_forks(
            self.sheet,
            self.masks,
            Controls(steps=steps, seed=3, mode="Fork then Sample"),
            table=self.host.table(tuple(self.sheet.shape[-2:]), steps),
            rows=self.side,
            columns=self.side,
            micro_batch=1 if sharing is None else None,
        )
        if count < self.count:
            sampling.forks = sampling.forks[:count]
        return self.host.run(sampling, steps, self.told(range(self.count), own=own), sharing=sharing)

    def operations(self, *, own: bool, sharing: Sharing | None, forks: int | None = None) -> int:
        """Floating point operations of one step."""
        counter = FlopCounterMode(display=False)
        with counter:
            self.sample(own=own, sharing=sharing, forks=forks, steps=1)
        return int(counter.get_total_flops())

    def decode(self, forks: ForkLatents, *, halo: int | None) -> list[torch.Tensor]:
        """(1, 3, 64, 64) of each fork's cell, by way of whole canvases (halo None) or of windows."""
        cells = self.cells[: len(forks)]
        if halo is not None:
            decoder = SharedDecoder(self.host.pipe.vae, self.host.decode)
            return list(decoder.decode(self.sheet, lambda n: forks[n], cells, halo=halo))
        cut = []
        for latent, cell in zip(forks, cells, strict=True):
            top, left, bottom, right = (STRIDE * side for side in cell)
            cut.append(self.host.decode(latent)[..., top:bottom, left:right])
        return cut

    def nearness(self, made: ForkLatents, exact: ForkLatents) -> float:
        """Peak signal to noise ratio in dB inside the stencil."""
        found = self.decode(made[: len(exact)], halo=None)
        errors = [
            ((a - b) / 2)[..., self.stencil]
            for a, b in zip(found, self.decode(exact, halo=None), strict=True)
        ]
        return -10 * math.log10(float(torch.stack(errors).square().mean()))


def unet_job(side: int, steps: int) -> Job:
    """The bundled model."""
    pipe = StableDiffusionPipeline.from_pretrained(bundled_folder())
    positive, negative, _ = _encode(pipe)
    return Job(
        "UNet",
        DiffusersHost(pipe),
        {"prompt_embeds": positive, "negative_prompt_embeds": negative},
        side,
        steps,
    )


def transformer_job(side: int, steps: int) -> Job:
    """The transformer of this folder, with the bundled autoencoder and text model."""
    faces = StableDiffusionPipeline.from_pretrained(bundled_folder())
    network = SD3Transformer2DModel.from_pretrained(TRANSFORMER, torch_dtype=torch.float32).eval()
    none = dict.fromkeys(
        ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
    )
    pipe = StableDiffusion3Pipeline(
        transformer=network, scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0), vae=faces.vae, **none
    )
    positive, negative, pooled = _encode(faces)
    texts = {
        "prompt_embeds": positive,
        "negative_prompt_embeds": negative,
        "pooled_prompt_embeds": pooled[:-1],
        "negative_pooled_prompt_embeds": pooled[-1:],
    }
    return Job("transformer", DiffusersHost(pipe), texts, side, steps)


@torch.no_grad()
def _encode(pipe: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings of the demonstration's prompts, those of the empty one, and the pooled ones of both."""
    pipe.set_progress_bar_config(disable=True)
    given = pipe.tokenizer(
        [*read_demo().prompts, ""], padding="max_length", truncation=True, max_length=20, return_tensors="pt"
    )
    encoded = pipe.text_encoder(given.input_ids)
    return encoded[0][:-1], encoded[0][-1:], encoded[1]


def timed(run: Any, rounds: int) -> tuple[Any, float]:
    """What a call gives, and the median of its seconds."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - begun)
    return result, statistics.median(seconds)


def sampling_rows(job: Job, *, own: bool, rounds: int) -> list[list[str]]:
    """A row for each way to sample the forks."""
    some = min(SAMPLED, job.count)
    exact, seconds = timed(lambda: job.sample(own=own, sharing=None, forks=some), rounds)
    whole = seconds * job.count / some
    one = job.operations(own=own, sharing=None, forks=1)
    prompts = "one each" if own else "one for all"
    rows = [[job.name, prompts, "each fork's canvas", f"{job.count}", duration(whole), "1", ""]]
    for base in ("own", "shared") if own else ("own",):
        if base == "own" and own and job.count > SAMPLED:
            continue
        for halo in (0.0, 0.25, 0.5):
            sharing = Sharing(halo=halo, base_prompt=base)
            made, took = timed(lambda sharing=sharing: job.sample(own=own, sharing=sharing), rounds)
            cost = job.operations(own=own, sharing=sharing) / one
            bases = f", {'a base for each prompt' if base == 'own' else 'one base'}" if own else ""
            rows.append(
                [
                    *(job.name, prompts, f"halo {halo:g}{bases}", f"{cost:.2f}", duration(took)),
                    *(times(whole / took), f"{job.nearness(made, exact):.1f}"),
                ]
            )
    return rows


def decoding_rows(job: Job, rounds: int) -> list[list[str]]:
    """A row for each way to decode the forks' cells."""
    forks = job.sample(own=False, sharing=Sharing(halo=0))
    some = forks[: min(SAMPLED, job.count)]
    exact, seconds = timed(lambda: job.decode(some, halo=None), rounds)
    whole = seconds * job.count / len(some)
    rows = [[f"{job.side} x {job.side}", "each fork's canvas", duration(whole), "1", "", ""]]
    for halo in (0, 2, 4, 8):
        made, took = timed(lambda halo=halo: job.decode(forks, halo=halo), rounds)
        errors = torch.stack(
            [(a - b).abs()[..., job.stencil] * 127.5 for a, b in zip(made, exact, strict=False)]
        )
        error = f"{float(errors.mean()):.2f}", f"{float(errors.max()):.1f}"
        rows.append([f"{job.side} x {job.side}", f"halo {halo}", duration(took), times(whole / took), *error])
    return rows


def draw(path: Path) -> None:
    """Both networks' forks, merged: of whole canvases, with bases of their own, with one base for all."""
    strips = []
    for make in (unet_job, transformer_job):
        job = make(3, 12)
        ways = (None, Sharing(), Sharing(base_prompt="shared"))
        sheets = []
        for sharing in ways:
            cells = job.decode(job.sample(own=True, sharing=sharing), halo=None if sharing is None else 2)
            rows = [torch.cat(cells[begin : begin + 3], 3) for begin in range(0, 9, 3)]
            sheets.append(torch.cat(rows, 2)[0])
        strips.append(torch.cat(sheets, 2))
    pixels = ((torch.cat(strips, 1) + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, optimize=True)


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 x 3 cells, few steps, writes nothing")
    arguments = parser.parse_args()
    quieten_libraries()
    report = Report()
    for line in machine(("torch", "diffusers")):
        report.say(line)
    report.say(f"Threads: {torch.get_num_threads()}")
    report.heading("Sampling")
    columns = ("network", "prompts", "way", "samplings", "time", "times as fast", "dB")
    rows, rounds = [], 1 if arguments.quick else 3
    for make in (unet_job, transformer_job):
        job = make(3, 4 if arguments.quick else 12)
        rows += [*sampling_rows(job, own=False, rounds=rounds), *sampling_rows(job, own=True, rounds=rounds)]
    report.say("3 x 3 cells:\n")
    report.table(columns, rows)
    for side in () if arguments.quick else (4, 8):
        job = unet_job(side, 4)
        report.say(f"\n{side} x {side} cells, 4 steps:\n")
        report.table(columns, sampling_rows(job, own=False, rounds=1))
    report.heading("Decoding")
    columns = ("cells", "way", "time", "times as fast", "mean error (255ths)", "largest")
    rows = []
    for side, steps in ((3, 12),) if arguments.quick else ((3, 12), (8, 4)):
        rows += decoding_rows(unet_job(side, steps), rounds)
    report.table(columns, rows)
    if not arguments.quick:
        report.write(DOCS, MARKER)
        draw(DOCS.parent / "images" / "shared_forks.png")


if __name__ == "__main__":
    main()
