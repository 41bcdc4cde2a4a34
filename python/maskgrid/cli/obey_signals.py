"""SIGTERM and SIGHUP obeyed as Ctrl-C is: a run stops, and what was finished is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Terminated", "exit_code", "obey_signals"]

_SIGNALS = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """A signal that ends a program, raised where Ctrl-C would be.

    Attributes:
        signal: Its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


def exit_code(stop: BaseException | None) -> int:
    """128 and the number of the signal that a `KeyboardInterrupt` stands for or comes from."""
    while stop is not None and not isinstance(stop, Terminated):
        stop = stop.__cause__
    return 128 + (signal.SIGINT if stop is None else stop.signal)


@contextlib.contextmanager
def obey_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `Terminated`; what is ignored (`nohup`) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise Terminated(number)

    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
