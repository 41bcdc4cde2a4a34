"""Clone a pipeline over the same weights, so that both may run side by side."""

from __future__ import annotations

import copy
from typing import Any

from maskgrid.errors import InvalidTypeError

__all__ = ["clone_pipeline"]


def clone_pipeline(pipe: Any) -> Any:
    """A pipeline with a scheduler and tokenizers of its own that shares its networks with another.

    What a pipeline keeps during a call (its scheduler, its guidance scale) is the clone's own. Networks are
    shared and only read, which is not so where hooks move or cast their weights for each call: those can't be
    cloned.

    Args:
        pipe: The pipeline; not to be running.

    Raises:
        InvalidTypeError: Its networks have hooks, such as those of offloading, layerwise casting and caches.
    """
    hooked = [name for name, part in pipe.components.items() if _has_hooks(part)]
    if hooked:
        raise InvalidTypeError(
            f"{type(pipe).__name__} has hooks in its {', '.join(hooked)} (offloading, layerwise casting or a "
            "cache), with which clones would pull weights away from each other; allowed: networks without "
            "hooks, or one run after another"
        )
    clone = copy.copy(pipe)
    # Past the pipeline's `__setattr__`, which would write its config anew. Fast tokenizers serve one thread.
    for name, part in pipe.components.items():
        if part is not None and (name == "scheduler" or name.startswith("tokenizer")):
            object.__setattr__(clone, name, copy.deepcopy(part))
    return clone


def _has_hooks(part: Any) -> bool:
    """Whether accelerate or diffusers do something around each call of a part or of a module in it."""
    modules = part.modules() if hasattr(part, "modules") else ()
    return any(
        hasattr(module, "_hf_hook") or bool(getattr(getattr(module, "_diffusers_hook", None), "hooks", None))
        for module in modules
    )
