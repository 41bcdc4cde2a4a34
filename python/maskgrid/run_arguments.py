"""The arguments of a run, `MaskGrid`'s and the command line's: their names, types and defaults, split once.

`RunArguments` is the list for type checkers, `RunOptions` the same list with defaults; `Controls` are those
that the sampling takes. Another word goes to the pipeline, or is refused with ours beside it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Required, get_type_hints

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.hosts.diffusers.pipeline_arguments import TEXTS
from maskgrid.hosts.sharing.shared_network import BasePrompt, Sharing
from maskgrid.pictures.resize_picture import ZoomFilter  # noqa: TC001 - the signature's types are read
from maskgrid.sampling import CONTROL_NAMES, ControlOptions, Controls
from maskgrid.sampling.controls import MODES
from maskgrid.sampling.forking.progress import Callback  # noqa: TC001 - the signature's types are read
from maskgrid.zoom_windows import Zoom

__all__ = [
    "ARGUMENT_NAMES",
    "TEXTS",
    "AlphaName",
    "ChannelName",
    "CoverageName",
    "DecodeCallback",
    "RunArguments",
    "RunOptions",
    "SharingName",
    "call_signature",
    "nearest_argument",
    "pipeline_words_apart",
    "split_options",
]

AlphaName = Literal["keep", "new"]
ChannelName = Literal["alpha", "luminance", "red"]
CoverageName = Literal["center", "nearest", "area", "max", "min"]
SharingName = Literal["base"]
DecodeCallback = Callable[[int, int], object]
"""Told how many pictures are decoded, and of how many."""
Pixels = int | tuple[int, int]
Cells = Sequence[int] | Sequence[tuple[int, int]]
"""Numbers of cells, row by row from 0, or rows and columns."""
Texts = str | Sequence[str] | Sequence[Sequence[str]]
"""One for all cells, one for each, or a table of rows."""


class RunArguments(ControlOptions, total=False):
    """What `MaskGrid.__call__` takes, see there; for type checkers."""

    image: Required[Any]
    mask: Required[Any]
    mask_channel: ChannelName | None
    max_pixels: int | None
    rows: int
    columns: int
    cell: Pixels | None
    gap: Pixels
    margin: Pixels
    cells: Cells | None
    variants: int
    zoom: float | Literal["auto"] | None
    context: float | None
    zoom_filter: ZoomFilter
    prompt: Texts | None
    negative_prompt: Texts | None
    prompt_2: Texts | None
    negative_prompt_2: Texts | None
    prompt_3: Texts | None
    negative_prompt_3: Texts | None
    cfg: float | None
    control_image: Any
    reference_image: Any
    background: str | Sequence[int] | None
    alpha: AlphaName
    coverage: CoverageName
    feather: float | None
    micro_batch: int | None
    sharing: SharingName | None
    halo: float
    base_prompt: BasePrompt
    callback: Callback | None
    decode_callback: DecodeCallback | None
    pipe_kwargs: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunOptions:
    """What was asked of a run besides its sheet and stencil; the fields are arguments of `MaskGrid.__call__`.

    Attributes:
        controls: What the sampling takes.
        chosen: The names of the controls that were given.
        matched: The names in `pipe_kwargs` that were given as arguments of the run's own.
    """

    mask_channel: ChannelName | None = None
    max_pixels: int | None = None
    rows: int = 1
    columns: int = 1
    cell: Pixels | None = None
    gap: Pixels = 0
    margin: Pixels = 0
    cells: Cells | None = None
    variants: int = 1
    zoom: float | Literal["auto"] | None = None
    context: float | None = Zoom.context
    zoom_filter: ZoomFilter = Zoom.resampling
    prompt: Any = None
    negative_prompt: Any = None
    prompt_2: Any = None
    negative_prompt_2: Any = None
    prompt_3: Any = None
    negative_prompt_3: Any = None
    cfg: float | None = None
    control_image: Any = None
    reference_image: Any = None
    background: Any = None
    alpha: AlphaName = "keep"
    coverage: CoverageName = "center"
    feather: float | None = None
    micro_batch: int | None = None
    sharing: SharingName | None = None
    halo: float = Sharing.halo
    base_prompt: BasePrompt = Sharing.base_prompt
    callback: Callback | None = None
    decode_callback: DecodeCallback | None = None
    pipe_kwargs: Mapping[str, Any] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)
    chosen: frozenset[str] = frozenset()
    matched: frozenset[str] = frozenset()

    @property
    def steps(self) -> int:
        """Steps of the schedule; one of sigmas has its own number."""
        schedule = self.controls.schedule
        return self.controls.steps if isinstance(schedule, str) else len(schedule) - 1

    @property
    def is_alone(self) -> bool:
        """Whether the forks of a run part at its beginning, so that each is sampled alone."""
        fork_at = self.controls.fork_at
        return fork_at == 0 if fork_at is not None else not MODES[self.controls.mode]

    def asked_zoom(self) -> Zoom | None:
        """The zoom that was asked for; None where the model sees the sheet as large as it is.

        Raises:
            InvalidTypeError: See `Zoom`, as for the next one.
            InvalidValueError: A context without a zoom or of cells that are sampled together; sharing or a
                control_image where each cell is a canvas of its own.
        """
        asked = Zoom(1 if self.zoom is None else self.zoom, self.context, self.zoom_filter)
        if self.zoom is None:
            if asked != Zoom(1):
                raise InvalidValueError(
                    f"context is {self.context} and zoom_filter {self.zoom_filter!r} without zoom; "
                    "allowed: zoom='auto' or a factor"
                )
            return None
        if self.context is not None and not self.is_alone:
            raise InvalidValueError(
                f"context is {self.context}, but the cells are sampled together in the enlarged sheet; "
                "allowed: mode='fork'"
            )
        for name in ("sharing", "control_image") if self.is_alone else ():
            if getattr(self, name) is not None:
                raise InvalidValueError(
                    f"{name} is of the whole sheet, and with a zoom each fork has a canvas of its own; "
                    "allowed: one or the other, or mode='sample'"
                )
        return asked

    def what_is_shared(self) -> Sharing | None:
        """What the forks share in the network; None for nothing.

        Raises:
            InvalidTypeError: A halo that is no number.
            InvalidValueError: An unknown word, or a negative halo.
        """
        if self.sharing not in (None, "base"):
            raise InvalidValueError(f"sharing is {self.sharing!r}; allowed: None or 'base'")
        sharing = Sharing(halo=self.halo, base_prompt=self.base_prompt)
        if self.sharing is None and sharing != Sharing():
            raise InvalidValueError(
                f"halo is {self.halo} and base_prompt {self.base_prompt!r} without sharing; "
                "allowed: sharing='base'"
            )
        return sharing if self.sharing == "base" else None

    def told(self) -> dict[str, Any]:
        """What a record of the run should have besides its controls' defaults, callbacks left out."""
        always = ("rows", "columns", "gap", "margin", "prompt", "negative_prompt", "cfg", "coverage")
        values = {name: getattr(self, name) for name in (*always, "feather", "micro_batch")}
        values |= {"alpha": self.alpha} if self.alpha != "keep" else {}
        shared = ("sharing", "halo", "base_prompt") if self.sharing is not None else ()
        tries = ("variants",) if self.variants != 1 else ()
        zoomed = () if self.zoom is None else ("zoom", "context", "zoom_filter")
        shared = (*shared, *tries, *zoomed)
        pictures = ("control_image", "reference_image", "background", "max_pixels")
        others = (*TEXTS, *pictures, "cell", "cells", *shared)
        values |= {name: getattr(self, name) for name in others if getattr(self, name) is not None}
        return {**values, **{name: getattr(self.controls, name) for name in self.chosen}, **self.pipe_kwargs}


_OURS = ("controls", "chosen", "matched")
_OWN_NAMES = tuple(each.name for each in fields(RunOptions) if each.name not in _OURS)
ARGUMENT_NAMES = ("image", "mask", *_OWN_NAMES, *CONTROL_NAMES)
"""Every argument of a run, in order."""

_FOREIGN = {
    "scheduler": "schedule",
    "scheduler_name": "schedule",
    "sigmas": "schedule",
    "timesteps": "schedule",
    "sampler_name": "sampler",
    "eta": "sampler",
    "strength": "denoise",
    "denoising_strength": "denoise",
    "num_inference_steps": "steps",
    "num_steps": "steps",
    "guidance_scale": "cfg",
    "cfg_scale": "cfg",
    "scale": "cfg",
    "mask_image": "mask",
    "stencil": "mask",
    "init_image": "image",
    "sheet": "image",
    "generator": "seed",
    "noise_seed": "seed",
    "fork_seed": "fork_seeds",
    "seeds": "fork_seeds",
    "cols": "columns",
    "tries": "variants",
    "num_variants": "variants",
    "latents": "noise",
    "batch_size": "micro_batch",
    "num_images_per_prompt": "micro_batch",
    "denoising_end": "end_at_step",
    "denoising_start": "start_at_step",
    "control_images": "control_image",
    "reference_images": "reference_image",
}
"""What other tools call an argument of ours."""
_OF_THE_RUN = {
    **dict.fromkeys(("width", "height"), "the sheet's size counts, and the model's stride"),
    "output_type": "forks are PIL images, forks.array(i) is numpy",
    "return_dict": "a run returns Forks",
    **dict.fromkeys(("scaling_factor", "shift_factor"), "the pipeline's VAE has its own"),
}


def split_options(arguments: Mapping[str, Any]) -> RunOptions:
    """Arguments of a run, parted by whom they are for: the run, the sampling, the pipeline.

    Args:
        arguments: By name, as `MaskGrid.__call__` has them; image and mask are left alone.

    Returns:
        The options.

    Raises:
        InvalidTypeError: Another tool's word for one of ours, or a pipe_kwargs that is no table of names.
        InvalidValueError: A control that is not allowed.
    """
    given = dict(arguments)
    pipe_kwargs = given.pop("pipe_kwargs", None)
    pipe_kwargs = {} if pipe_kwargs is None else pipe_kwargs
    if not isinstance(pipe_kwargs, Mapping) or not all(isinstance(name, str) for name in pipe_kwargs):
        raise InvalidTypeError(f"pipe_kwargs is {pipe_kwargs!r}; allowed: a dict of the pipeline's arguments")
    matched = {name: value for name, value in given.items() if name not in ARGUMENT_NAMES}
    for name in matched:
        _refuse_foreign(name, arguments)
    for name in pipe_kwargs:
        if name in ARGUMENT_NAMES or name in matched:
            raise InvalidTypeError(f"{name} is among pipe_kwargs; allowed: {name} as an argument of its own")
    controls = {name: value for name, value in given.items() if name in CONTROL_NAMES}
    own = {name: value for name, value in given.items() if name in _OWN_NAMES}
    if own.get("zoom") is not None and not {"mode", "fork_at"} & controls.keys():
        # Where cells are enlarged one by one they can't be together.
        controls["mode"] = "fork"
    return RunOptions(
        **own,
        controls=Controls(**controls),
        pipe_kwargs={**matched, **pipe_kwargs},
        chosen=frozenset(controls) & frozenset(given),
        matched=frozenset(matched),
    )


def pipeline_words_apart(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same arguments, the pipeline's own under pipe_kwargs: records hold them all side by side."""
    apart = {name: value for name, value in arguments.items() if name in ARGUMENT_NAMES}
    words = {name: value for name, value in arguments.items() if name not in ARGUMENT_NAMES}
    return {**apart, "pipe_kwargs": {**words, **(apart.get("pipe_kwargs") or {})}}


def nearest_argument(word: str) -> str | None:
    """The argument of ours that a word is most like, if it is much like one."""
    return next(iter(difflib.get_close_matches(word, ARGUMENT_NAMES, n=1, cutoff=0.75)), None)


def call_signature(owner: type) -> inspect.Signature:
    """The signature of a run as a method of a class: every argument with its type and default."""
    hints = get_type_hints(RunArguments)
    defaults = {each.name: each.default for options in (RunOptions, Controls) for each in fields(options)}
    defaults |= dict.fromkeys(("image", "mask"), inspect.Parameter.empty) | {"pipe_kwargs": None}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)] + [
        inspect.Parameter(name, keyword, default=defaults[name], annotation=hints[name])
        for name in ARGUMENT_NAMES
    ]
    return inspect.Signature(parameters, return_annotation=owner)


def _refuse_foreign(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a word that means one of ours, or nothing, in other tools.

    Raises:
        InvalidTypeError: It does.
    """
    if name in _OF_THE_RUN:
        raise InvalidTypeError(f"{name} is no argument of a run: {_OF_THE_RUN[name]}")
    if name not in _FOREIGN:
        return
    ours = _FOREIGN[name]
    if ours in arguments:
        raise InvalidTypeError(f"{ours} and {name} are both given and mean the same; allowed: {ours}")
    raise InvalidTypeError(
        f"{name} is no argument of a run; did you mean {ours}? "
        f"(to the pipeline as it is: pipe_kwargs={{{name!r}: ...}})"
    )
