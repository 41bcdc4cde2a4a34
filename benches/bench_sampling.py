"""Measures maskgrid's own time per step, beside the network: its answer is a tensor at hand.

N forks of a sheet of 4 x 128 x 128 latents, one disc in each cell of a square grid, Fork then Sample. Beside
a step stand plain copies of the batch, made in the same run, and the same step written out on whole sheets.
Prints tables; a whole run puts them into docs/sampling.md and draws the picture beside it: take one on a
quiet machine. `--quick` writes nothing.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor

from harness import Report, Timing, Way, duration, machine
from maskgrid.sampling import Controls, ForkMasks, NoiseTable, Stretch, denoise, prepare_forks
from maskgrid.sampling.samplers import SAMPLERS

DOCS = Path(__file__).parent.parent / "docs"
MARKER = "figures of bench_sampling.py"
SIZE, CHANNELS = 128, 4
GRIDS = (1, 2, 3, 4, 6, 8, 11, 16)
TABLE = NoiseTable.stable_diffusion()
LONG = torch.linspace(14.0, 0.02, 4001)
LIMIT = 6
"""Copies that a step of euler at N = 9 may cost."""


class Steps:
    """A run that goes on as long as it is asked; each call is one call of the network."""

    def __init__(self, masks: ForkMasks, sampler: str = "euler") -> None:
        latents = torch.randn(1, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        controls = Controls(mode="fork", schedule=LONG, sampler=sampler)
        run = prepare_forks(latents, masks, controls, table=TABLE).run
        self._stretch = Stretch(
            run=run,
            region=run.fork_region(run.forks),
            state=None,
            stop=run.step_count,
            micro_batch=len(masks),
        )
        self._begin()
        self.answer = torch.randn(len(masks), CHANNELS, SIZE, SIZE)

    def _begin(self) -> None:
        self._requests = denoise(self._stretch)
        next(self._requests)

    def __call__(self) -> None:
        """One step's work: the answer is blended, the solver steps, the next batch is made."""
        try:
            self._requests.send(self.answer)
        except StopIteration:
            self._begin()


class Plain:
    """The same step on whole sheets, one line after the other."""

    def __init__(self, masks: ForkMasks) -> None:
        self.mask = masks.batch()
        self.image = torch.randn(1, CHANNELS, SIZE, SIZE)
        self.noise = torch.randn(1, CHANNELS, SIZE, SIZE)
        self.x = torch.randn(len(masks), CHANNELS, SIZE, SIZE)
        self.answer = torch.randn_like(self.x)
        self.sigma, self.following = torch.tensor(3.0), torch.tensor(2.9)

    def __call__(self) -> Tensor:
        """Blend, ask, blend, step."""
        shown = self.x * self.mask + (self.image + self.noise * self.sigma) * (1 - self.mask)
        assert shown.isfinite().all()
        denoised = self.answer * self.mask + self.image * (1 - self.mask)
        return self.x + (self.x - denoised) / self.sigma * (self.following - self.sigma)


def take_turns(ways: list[Way], *, quick: bool) -> list[Timing]:
    """Median time of a call of each way, all ways being called once in every round.

    Between two steps a network runs, so a step does not find its data where it left them; called over and
    over, a copy would. One thread computes and nothing is waited for, so CPU time is the time, whatever else
    the machine does.
    """
    samples: list[list[float]] = [[] for _ in ways]
    deadline = time.perf_counter() + (1 if quick else 10)
    while len(samples[0]) < 8 or (time.perf_counter() < deadline and len(samples[0]) < 2000):
        for way, taken in zip(ways, samples, strict=True):
            start = time.thread_time()
            way.run()
            taken.append(time.thread_time() - start)
    # The first rounds find memory and fill caches.
    return [Timing(way, statistics.median(taken[3:]), None) for way, taken in zip(ways, samples, strict=True)]


def in_a_row(way: Way, calls: int = 600) -> float:
    """Lower quartile of the seconds of a call, over and over, so that caches hold what they can."""
    taken = []
    for _ in range(calls):
        start = time.thread_time()
        way.run()
        taken.append(time.thread_time() - start)
    return statistics.quantiles(taken)[0]


def discs(side: int) -> ForkMasks:
    """A disc in every cell of side x side cells."""
    even = ForkMasks.from_tensor(torch.ones(side * side, 1, SIZE, SIZE), rows=side, columns=side)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    masks = []
    for top, left, bottom, right in even.writes.tolist():
        middle = ((top + bottom - 1) / 2, (left + right - 1) / 2)
        radius = min(bottom - top, right - left) / 2
        masks.append(((y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= radius**2).float())
    return ForkMasks.from_tensor(torch.stack(masks)[:, None], rows=side, columns=side)


def everywhere(side: int) -> ForkMasks:
    """Masks that are white all over: the most that a fork can cost."""
    return ForkMasks.from_tensor(torch.ones(side * side, 1, SIZE, SIZE), rows=side, columns=side)


def by_forks(report: Report, *, quick: bool) -> dict[int, list[Timing]]:
    """How a step of euler grows with the forks."""
    report.heading("A step of euler, N forks of 4 x 128 x 128 float32 latents")
    found: dict[int, list[Timing]] = {}
    rows = []
    for side in GRIDS[:3] if quick else GRIDS:
        masks = discs(side)
        batch = torch.randn(side * side, CHANNELS, SIZE, SIZE)
        target = torch.empty_like(batch)
        ways = [
            Way("step", Steps(masks)),
            Way("step, masks all white", Steps(everywhere(side))),
            Way("plain", Plain(masks)),
            Way("copy", lambda target=target, batch=batch: target.copy_(batch)),
            Way("clone", batch.clone),
        ]
        step, white, plain, copy, clone = found[side * side] = take_turns(ways, quick=quick)
        rows.append(
            [
                f"{side * side}",
                duration(step.seconds),
                duration(step.seconds / side**2),
                duration(copy.seconds),
                duration(clone.seconds),
                f"{step.seconds / copy.seconds:.1f}",
                f"{white.seconds / copy.seconds:.1f}",
                f"{plain.seconds / copy.seconds:.1f}",
            ]
        )
    columns = ["N", "step", "a fork", "copy", "clone", "copies a step", "with white masks", "written plainly"]
    report.table(columns, rows)
    return found


def by_samplers(report: Report, *, quick: bool) -> None:
    """What other solvers cost."""
    report.heading("A call of the network by sampler, N = 9")
    masks = discs(3)
    names = ("euler", "heun", "dpmpp_2m", "deis", "uni_pc", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde")
    ways = [Way(name, Steps(masks, name)) for name in names if name in SAMPLERS]
    timings = take_turns(ways, quick=quick)
    report.table(["sampler", "a call"], [[timing.name, duration(timing.seconds)] for timing in timings])


def verdict(report: Report, found: dict[int, list[Timing]]) -> None:
    """The two things that were to be reached."""
    step, _, _, copy, _ = found[9]
    copies = step.seconds / copy.seconds
    report.say()
    report.say(
        f"A step of euler at N = 9 costs {copies:.1f} copies of the batch (limit {LIMIT}: "
        f"{'kept' if copies <= LIMIT else 'NOT KEPT'})."
    )
    warm_step, warm_copy = in_a_row(step.way), in_a_row(copy.way)
    report.say(
        f"Called over and over, all in the cache: {duration(warm_step)} a step, "
        f"{duration(warm_copy)} a copy, {warm_step / warm_copy:.1f} copies."
    )
    sizes = [n for n in sorted(found) if n >= 9]
    if len(sizes) > 1:
        low, high = sizes[0], sizes[-1]
        growth = found[high][0].seconds / found[low][0].seconds
        copying = found[high][3].seconds / found[low][3].seconds
        report.say(
            f"From N = {low} to {high}, {high / low:.0f} times as many, a step takes {growth:.0f} times "
            f"as long and a copy {copying:.0f} times."
        )


def draw(path: Path, found: dict[int, list[Timing]]) -> None:
    """Time over forks, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    sizes = sorted(found)
    styles = ("o-", "o--", "s-", "k-", "k:")
    for i, style in enumerate(styles):
        seconds = [found[n][i].seconds * 1e3 for n in sizes]
        axes.plot(sizes, seconds, style, label=found[sizes[0]][i].name, markersize=4)
    copy_at_9 = found[9][3].seconds * 1e3
    axes.plot(
        sizes, [LIMIT * copy_at_9 * n / 9 for n in sizes], color="0.75", label=f"{LIMIT} copies, as at N = 9"
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="forks of 4 x 128 x 128 latents",
        ylabel="ms a step",
    )
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sizes, few rounds; writes nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    report = Report()
    for line in machine(("maskgrid", "torch")):
        report.say(f"- {line}")
    report.say("- torch on 1 thread; CPU time")
    with torch.no_grad():
        found = by_forks(report, quick=arguments.quick)
        by_samplers(report, quick=arguments.quick)
        verdict(report, found)
    if not arguments.quick:
        draw(DOCS / "images" / "bench_sampling.png", found)
        report.write(DOCS / "sampling.md", MARKER)


if __name__ == "__main__":
    main()
