"""The arguments that a pipeline is called with: what may be said to it, and what of that each fork gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskgrid.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TEXTS", "check_arguments", "select_arguments"]

TEXTS = ("prompt", "negative_prompt", "prompt_2", "negative_prompt_2", "prompt_3", "negative_prompt_3")
"""Arguments of pipelines that may have a text for each fork."""

# Arguments of pipelines that the host itself speaks for.
_OURS = {
    **dict.fromkeys(("latents", "height", "width"), "the sheet's"),
    **dict.fromkeys(("num_inference_steps", "timesteps", "sigmas", "mu"), "use steps and schedule"),
    "num_images_per_prompt": "the number of forks",
    "output_type": "latents, always",
    "return_dict": "never",
    "denoising_end": "use end_at_step",
    "eta": "use sampler",
}


def check_arguments(pipe: Any, told: Mapping[str, Any], accepted: set[str], *, takes_any: bool) -> None:
    """Whether a pipeline can be told all this.

    Args:
        pipe: The pipeline.
        told: Its arguments.
        accepted: The arguments that its call has.
        takes_any: Whether it has a use for others.

    Raises:
        InvalidTypeError: Arguments that it does not know, or that the host speaks for.
        InvalidValueError: A text for a pipeline that has nothing to read texts with.
    """
    name = type(pipe).__name__
    ours = [argument for argument in told if argument in _OURS]
    if ours:
        said = "; ".join(f"{argument}: {_OURS[argument]}" for argument in ours)
        raise InvalidTypeError(f"{', '.join(ours)} can't be given to {name} here ({said})")
    unknown = sorted(set(told) - accepted)
    if unknown and not takes_any:
        allowed = ", ".join(sorted(accepted - set(_OURS)))
        raise InvalidTypeError(f"{name} does not take {', '.join(unknown)}; allowed: {allowed}")
    texts = [argument for argument in TEXTS if told.get(argument) is not None]
    for kind in ("tokenizer", "text_encoder"):
        readers = [part for part in pipe.components if part.startswith(kind)]
        if texts and readers and all(getattr(pipe, part, None) is None for part in readers):
            raise InvalidValueError(
                f"{name} has no {kind}, so it can't read {texts[0]}; "
                f"allowed: {texts[0]}_embeds, or a pipeline with its {kind}"
            )


def select_arguments(told: Mapping[str, Any], forks: Sequence[int], count: int) -> dict[str, Any]:
    """The pipeline's arguments for a batch of `count` items: the same for all, or those of these forks.

    Pipelines repeat texts themselves, which encodes them once, but only some repeat embeddings; so embeddings
    are repeated here, and texts beside them too.
    """
    chosen = {name: value for name, value in told.items() if value is not None or name in TEXTS}
    listed = [name for name in TEXTS if isinstance(chosen.get(name), (list, tuple))]
    embeddings = [name for name in chosen if _is_embedding(name) and chosen[name] is not None]
    rows = list(forks) if listed else []
    if embeddings:
        rows = [fork for fork in forks for _ in range(count // len(forks))] or [0] * count
    for name in TEXTS if rows or listed else ():
        if chosen.get(name) is not None:
            chosen[name] = _select_texts(chosen[name], name, rows, own=bool(forks))
    for name in embeddings:
        chosen[name] = _select_embeddings(chosen[name], name, rows, own=bool(forks))
    chosen["num_images_per_prompt"] = count // max(len(rows), 1)
    return chosen


def _is_embedding(name: str) -> bool:
    kind = "embeds" in name or "attention_mask" in name
    return kind and "ip_adapter" not in name


def _select_texts(value: Any, name: str, rows: Sequence[int], *, own: bool) -> list[str]:
    """A text for each row: the same, or that of its fork."""
    if isinstance(value, str):
        return [value] * len(rows)
    _check_own(name, len(value), rows, own=own)
    return [value[row] for row in rows]


def _select_embeddings(value: Any, name: str, rows: Sequence[int], *, own: bool) -> Any:
    """Embeddings for each row: the same, or those of its fork."""
    if len(value) == 1:
        return (
            list(value) * len(rows) if isinstance(value, list) else value.expand(len(rows), *value.shape[1:])
        )
    _check_own(name, len(value), rows, own=own)
    return [value[row] for row in rows] if isinstance(value, list) else value[list(rows)]


def _check_own(name: str, count: int, rows: Sequence[int], *, own: bool) -> None:
    """Whether forks can have a conditioning of their own."""
    if not own:
        raise InvalidValueError(
            f"{name} has {count} items, one for each fork, but the forks are sampled together as one sheet; "
            "allowed: one for all, fork_at=0, or sheet_conditioning='cells'"
        )
    if max(rows) >= count:
        raise InvalidValueError(f"{name} has {count} items; allowed: one for all, or one for each fork")
