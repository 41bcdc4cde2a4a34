"""The first Ctrl-C lets a batch finish what is in hand; the second one stops it at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SoftStop", "stop_softly"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class SoftStop:
    """Whether a batch is to stop.

    Args:
        tell: Called once, outside of the signal's handler, when it is; None for nobody.

    Attributes:
        signal: The number of the signal that asks for it; None while none does.
    """

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        self.signal: int | None = None
        self._tell = tell

    def is_asked(self, *_: Any) -> bool:
        """Whether the batch is to stop; tells so the first time that it is."""
        if self.signal is not None and self._tell is not None:
            tell, self._tell = self._tell, None
            tell()
        return self.signal is not None


@contextlib.contextmanager
def stop_softly(tell: Callable[[], None] | None = None) -> Iterator[SoftStop]:
    """Hold the first of the signals that end a program; the next one does what it would have done before.

    Only the main thread is ever interrupted, so in another one this does nothing. Signals that are ignored
    (`nohup`) stay ignored.

    Args:
        tell: See `SoftStop`.

    Yields:
        Whether to stop.
    """
    stop = SoftStop(tell)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {}

    def ask(number: int, frame: Any) -> None:
        if stop.signal is None:
            stop.signal = number
            return
        handler = before[number]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, handler)
            signal.raise_signal(number)

    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (None, signal.SIG_IGN):
            before[number] = signal.getsignal(number)
            signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
