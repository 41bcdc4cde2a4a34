"""What a pipeline is told of a run: texts for all forks or for each, and pictures, as its own arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError
from maskgrid.pictures.pixel_arrays import extend_border, to_pil
from maskgrid.pictures.resize_picture import resize_pixels
from maskgrid.run_arguments import TEXTS, nearest_argument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskgrid.hosts.diffusers import DiffusersHost
    from maskgrid.run_arguments import RunOptions
    from maskgrid.run_inputs import RunInputs
    from maskgrid.run_plan import RunPlan

__all__ = ["conditioning_of", "has_own_texts"]


def conditioning_of(host: DiffusersHost, inputs: RunInputs, plan: RunPlan) -> dict[str, Any]:
    """The pipeline's arguments for the conditioning of a run: texts, pictures, guidance scale.

    Args:
        host: The pipeline's.
        inputs: What was asked for.
        plan: Which cells are forked.

    Returns:
        The arguments; a text is one for all or a list with one for each fork of the plan.

    Raises:
        InvalidTypeError: An argument that neither a run nor this pipeline has.
        InvalidValueError: Guidance that is given twice, or a picture that lacks.
    """
    options = inputs.options
    _check_words(host, options)
    told = dict(options.pipe_kwargs)
    if options.cfg is not None:
        if host.family.cfg in told:
            raise InvalidTypeError(
                f"cfg and {host.family.cfg} are both given and mean the same; allowed: one of them"
            )
        told[host.family.cfg] = options.cfg
    told |= {name: plan.of_forks(text) for name, text in inputs.texts.items()}
    for name, given in inputs.pictures.items():
        of_sheet = plan if name == "control_image" else None
        several = isinstance(given, list)
        pictures = [_picture(each, of_sheet) for each in (given if isinstance(given, list) else [given])]
        told[_own_name(host, name)] = pictures if several else pictures[0]
    if host.control_argument and told.get(host.control_argument) is None:
        raise InvalidValueError(
            f"{type(host.pipe).__name__} goes by a picture; allowed: a control_image as large as the sheet"
        )
    return told


def has_own_texts(told: dict[str, Any]) -> bool:
    """Whether the conditioning has a text for each fork."""
    return any(isinstance(told.get(name), list) for name in TEXTS)


def _check_words(host: DiffusersHost, options: RunOptions) -> None:
    """Refuse a misspelt argument of ours; what is like none of ours the pipeline itself refuses."""
    for word in sorted(options.matched):
        ours = None if host.accepts(word) else nearest_argument(word)
        if ours:
            raise InvalidTypeError(
                f"{word} is no argument of a run nor of {type(host.pipe).__name__}; did you mean {ours}?"
            )
    host.check_arguments(options.pipe_kwargs)


def _picture(image: NDArray[np.uint8], plan: RunPlan | None) -> Any:
    """A picture as a PIL image without alpha; a ControlNet's enlarged and continued like the sheet."""
    if plan is None:
        return to_pil(image)
    return to_pil(extend_border(resize_pixels(image, plan.size, plan.resampling), plan.canvas))


def _own_name(host: DiffusersHost, name: str) -> str:
    """What a pipeline calls a picture: where it calls it `image`, that is the sheet's name here."""
    if name == "control_image":
        return host.control_argument or name
    return "image" if host.accepts("image") and host.control_argument != "image" else name
