"""Let one run at a time use a pipeline: it exchanges the scheduler, so two would break each other.

The lock belongs to the pipeline object, so that all hosts of one pipeline share it.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from maskgrid.errors import PipelineBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["begin_run", "take_turn"]


class _Turns:
    """Whose turn it is. Re-entrant by thread, so that a callback may decode a preview."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_running = False


_TURNS: weakref.WeakKeyDictionary[Any, _Turns] = weakref.WeakKeyDictionary()
_TURNS_LOCK = threading.Lock()


@contextmanager
def take_turn(pipe: Any, *, wait: bool = True) -> Iterator[None]:
    """Have a pipeline, or a part of one, for this thread alone.

    Args:
        pipe: The pipeline or part.
        wait: Whether to wait for another thread to be done with it.

    Raises:
        PipelineBusyError: Another thread has it and `wait` is False.
    """
    turns = _turns_of(pipe)
    if not turns.lock.acquire(blocking=wait):
        raise PipelineBusyError(
            f"this {type(pipe).__name__} is in use by another thread; "
            "allowed: wait=True, a clone() for each thread, or one run after another"
        )
    try:
        yield
    finally:
        turns.lock.release()


@contextmanager
def begin_run(pipe: Any, *, wait: bool = True) -> Iterator[None]:
    """Have a pipeline for one run, in which no other may begin, not even from a callback of the same thread.

    Args:
        pipe: The pipeline.
        wait: Whether to wait for another thread's run to end.

    Raises:
        PipelineBusyError: Another thread has it and `wait` is False; or it runs in this thread already.
    """
    with take_turn(pipe, wait=wait):
        turns = _turns_of(pipe)
        if turns.is_running:
            raise PipelineBusyError(
                f"a callback of a run asked the same {type(pipe).__name__} for another run; "
                "allowed: a clone(), or the next run once this one is over"
            )
        turns.is_running = True
        try:
            yield
        finally:
            turns.is_running = False


def _turns_of(pipe: Any) -> _Turns:
    with _TURNS_LOCK:
        return _TURNS.setdefault(pipe, _Turns())
