"""Fit arguments that name a fraction of a run's steps to a pipeline call that is only a stretch of it.

A pipeline reckons such a fraction from the calls that it makes. Where one call of it is only a stretch of the
run (the forks part, or it begins late or is carried on), the fraction is another one for the stretch.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["fit_fractions"]

_NEVER = (0.0, 1e-9)
"""A beginning and an end between which no call lies, which pipelines take for a range all the same."""


def fit_fractions(
    pipe: Any, conditioning: Mapping[str, Any], steps: Sequence[int], total: int
) -> dict[str, Any]:
    """The arguments of a pipeline with those fractions that are about a stretch changed to fit it.

    Args:
        pipe: The pipeline.
        conditioning: Arguments of the pipeline for the whole run.
        steps: The step of the whole schedule that each call of the network in the stretch belongs to.
        total: Steps of the whole schedule, as the pipeline is told.

    Returns:
        The arguments; fractions that are out of range stay as they are, for the pipeline to refuse.
    """
    chosen = dict(conditioning)
    if list(steps) == list(range(total)):
        return chosen
    parameters = inspect.signature(pipe.__call__).parameters
    for names, range_of in _RANGES.items():
        if names[0] not in parameters:
            continue
        start, stop = (
            parameters[name].default if chosen.get(name) is None else chosen[name] for name in names
        )
        if (start, stop) != (0.0, 1.0):
            within = partial(range_of, steps=steps, total=total)
            chosen.update(zip(names, _each(start, stop, within), strict=True))
    ratio = chosen.get(_GUIDED)
    if isinstance(ratio, (int, float)) and 0 <= ratio <= 1:
        chosen[_GUIDED] = sum((step + 1) / total <= ratio for step in steps) / len(steps)
    return chosen


def _each(start: Any, stop: Any, within: Callable[[float, float], tuple[float, float]]) -> tuple[Any, Any]:
    """A range changed; its ends may be lists, with one for each ControlNet."""
    count = max((len(end) for end in (start, stop) if isinstance(end, (list, tuple))), default=None)
    if count is None:
        return within(start, stop)
    starts, stops = (end if isinstance(end, (list, tuple)) else [end] * count for end in (start, stop))
    if len(starts) != len(stops):
        return start, stop
    changed = [within(*ends) for ends in zip(starts, stops, strict=True)]
    return [first for first, _ in changed], [last for _, last in changed]


def _control(start: float, stop: float, *, steps: Sequence[int], total: int) -> tuple[float, float]:
    """ControlNets are off in call i of n where i / n < start or (i + 1) / n > stop."""
    if not 0 <= start < stop <= 1:
        return start, stop
    first = sum(step / total < start for step in steps)
    last = sum((step + 1) / total <= stop for step in steps)
    return (first / len(steps), last / len(steps)) if first < last else _NEVER


def _skipped(start: float, stop: float, *, steps: Sequence[int], total: int) -> tuple[float, float]:
    """Layers are skipped in call i where total * start < i < total * stop, whatever the number of calls."""
    first = sum(step <= total * start for step in steps)
    last = sum(step < total * stop for step in steps)
    # Half a call away from either call, so that rounding can't matter.
    return (first - 0.5) / total, (last - 0.5) / total


_RANGES = {
    ("control_guidance_start", "control_guidance_end"): _control,
    ("skip_layer_guidance_start", "skip_layer_guidance_stop"): _skipped,
}
# Lumina 2 guides in call i of n where (i + 1) / n is at most this.
_GUIDED = "cfg_trunc_ratio"
