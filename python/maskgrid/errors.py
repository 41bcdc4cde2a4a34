"""The errors of maskgrid.

    MaskGridError
    +-- InvalidValueError   (ValueError)    a number, shape or name that is not allowed
    +-- InvalidTypeError    (TypeError)     an object or dtype that is not allowed
    +-- InvalidBufferError  (BufferError)   memory that can't be read or written
    +-- DenoiserError       (RuntimeError)  the network returned something unusable, or did not fit
    +-- CancelledError      (RuntimeError)  a callback asked to stop
    +-- OutputExistsError   (FileExistsError) the output is there and was not to be replaced

    RunInterrupted (KeyboardInterrupt)      Ctrl-C while sampling; no MaskGridError, so that it ends a program

Every message says what was wrong, the value, and what is allowed. DenoiserError,
CancelledError and RunInterrupted carry `result`: the forks that
were finished before, None when there are none.
"""

import textwrap
from typing import Any, TypeVar

__all__ = [
    "CancelledError",
    "DenoiserError",
    "InvalidBufferError",
    "InvalidTypeError",
    "InvalidValueError",
    "MaskGridError",
    "OutputExistsError",
    "RunInterrupted",
    "in_one_line",
    "keep_result",
]


_E = TypeVar("_E", bound=BaseException)


class MaskGridError(Exception):
    """Base of every error that maskgrid raises on purpose."""


class InvalidValueError(MaskGridError, ValueError):
    """A number, shape or name that is not allowed."""


class InvalidTypeError(MaskGridError, TypeError):
    """An object or a dtype that is not allowed."""


class InvalidBufferError(MaskGridError, BufferError):
    """Memory that can't be read or written: a broken capsule, a read-only or overlapping output."""


class DenoiserError(MaskGridError, RuntimeError):
    """The network returned something unusable, the message says at which step and sigma; or it did not fit.

    Attributes:
        result: The finished forks (`maskgrid.sampling.ForkLatents`), None when there are none.
    """

    result: Any = None


class CancelledError(MaskGridError, RuntimeError):
    """A callback asked to stop.

    Attributes:
        result: The finished forks (`maskgrid.sampling.ForkLatents`), None when there are none.
    """

    result: Any = None


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C while sampling. `except KeyboardInterrupt` catches it, `except Exception` does not.

    Attributes:
        result: The finished forks (`maskgrid.sampling.ForkLatents`), None when there are none.
    """

    result: Any = None


class OutputExistsError(MaskGridError, FileExistsError):
    """The output is already there and was not to be replaced."""


def in_one_line(error: object) -> str:
    """What somebody else's error says, in one line that is not too long."""
    return textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__


def keep_result(error: _E, result: Any) -> _E:
    """An error that carries the forks that were finished before it as `result`, whoever's error it is."""
    if not hasattr(error, "__dict__"):
        error.add_note("the finished forks could not be kept with this error, which takes no attributes")
    else:
        error.result = result  # type: ignore[attr-defined]
    return error
