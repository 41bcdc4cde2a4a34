"""Modules that do something else when they are called, while a context lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

__all__ = ["Change", "exchange_forwards"]

Change = tuple["nn.Module", "Callable[[Any, Callable[..., Any]], Callable[..., Any]]"]
"""A module, and what makes its new `forward` of itself and the old one."""


@contextmanager
def exchange_forwards(changes: Sequence[Change]) -> Iterator[None]:
    """Exchange the `forward` of modules, also where hooks gave them another, and put back what was there."""
    before = [(module, module.__dict__.get("forward")) for module, _ in changes]
    try:
        for module, change in changes:
            module.forward = change(module, module.forward)
        yield
    finally:
        for module, forward in before:
            if forward is None:
                module.__dict__.pop("forward", None)
            else:
                module.forward = forward
