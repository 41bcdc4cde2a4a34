"""Ctrl-C and SIGTERM held back while something is written, and obeyed when it is done."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HeldInterrupts", "hold_interrupts"]

_PATIENCE = 10.0
"""Seconds after which another Ctrl-C is obeyed at once: what is written to may hang."""


@dataclass
class HeldInterrupts:
    """The interrupts that came while they were held back.

    Attributes:
        signals: Their numbers, in order.
    """

    signals: list[int] = field(default_factory=list)

    def take(self) -> int | None:
        """The first signal that came, which is then not obeyed when the holding ends; None if none came."""
        first = self.signals[0] if self.signals else None
        self.signals.clear()
        return first


@contextlib.contextmanager
def hold_interrupts(*, patience: float = _PATIENCE) -> Iterator[HeldInterrupts]:
    """Let SIGINT and SIGTERM wait until the block has ended; then the first one is obeyed.

    Only the main thread is ever interrupted, so in another one this does nothing. Signals that are ignored
    stay ignored, and in blocks inside each other the outermost one holds.

    Args:
        patience: Seconds after which another signal is obeyed at once.

    Yields:
        What came meanwhile.
    """
    held = HeldInterrupts()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    began: list[float] = []
    before: dict[int, Any] = {}

    def hold(number: int, frame: Any) -> None:
        # A signal may come before all handlers are put back; this one then is what it stands for.
        if not hold.is_holding:  # type: ignore[attr-defined]
            _obey(number, before[number], frame)
            return
        began.append(time.monotonic())
        held.signals.append(number)
        if began[-1] - began[0] > patience:
            held.signals.clear()
            _obey(number, before[number], frame)

    hold.is_holding = True  # type: ignore[attr-defined]
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN) and not getattr(handler, "is_holding", False):
                # In this order, so that a signal that comes between the two finds its handler.
                before[number] = handler
                signal.signal(number, hold)
        yield held
    finally:
        hold.is_holding = False  # type: ignore[attr-defined]
        for held_number, handler in before.items():
            signal.signal(held_number, handler)
        first = held.take()
        if first is not None:
            _obey(first, before[first], None)


def _obey(number: int, handler: Any, frame: Any) -> None:
    if callable(handler):
        handler(number, frame)
    else:
        signal.signal(number, handler)
        signal.raise_signal(number)
