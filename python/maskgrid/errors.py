"""The errors of maskgrid, its warning, and how an error carries what was finished before it.

    MaskGridError
    +-- InvalidValueError   (ValueError)    a number, shape or name that is not allowed
    |   +-- BadRowsError                    rows of a table of jobs that can't be run, all of them
    +-- GridError           (ValueError)    a picture in which no grid can be found
    +-- InvalidTypeError    (TypeError)     an object or dtype that is not allowed
    +-- InvalidBufferError  (BufferError)   memory that can't be read or written
    +-- MissingExtraError   (ImportError)   a package that is not installed; the message says what to install
    +-- DenoiserError       (RuntimeError)  the network returned something unusable, or did not fit
    +-- AutoencoderError    (RuntimeError)  the VAE did: of the sheet, or of a finished fork
    +-- CallbackError       (RuntimeError)  a callback raised StopIteration, which would end somebody's loop
    +-- PipelineBusyError   (RuntimeError)  a pipeline that already runs was asked for another run
    +-- CancelledError      (RuntimeError)  a callback asked to stop
    +-- OutputExistsError   (FileExistsError) the output is there and was not to be replaced

    RunInterrupted (KeyboardInterrupt)      Ctrl-C during a run; no MaskGridError, so that it ends a program
    MaskGridWarning (UserWarning)           something to know of a run that goes on

Every message says what was wrong, the value, and what is allowed.

**Nothing finished is lost.** Every exception that comes out of a run, ours or not (a callback's, a network's,
out of memory, `SystemExit`), has two attributes and else stays what it is: `result`, the forks that were
finished before it, None when there are none; and `latents`, which `MaskGrid` sets where forks were sampled
(`maskgrid.sampling.ForkLatents`), so that those are not lost whose pictures could not be made. Ctrl-C comes
out as `RunInterrupted`, so that `except KeyboardInterrupt` still catches it.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AutoencoderError",
    "BadRowsError",
    "CallbackError",
    "CancelledError",
    "DenoiserError",
    "GridError",
    "InvalidBufferError",
    "InvalidTypeError",
    "InvalidValueError",
    "MaskGridError",
    "MaskGridWarning",
    "MissingExtraError",
    "OutputExistsError",
    "PipelineBusyError",
    "RunInterrupted",
    "attach_finished",
    "in_one_line",
    "is_out_of_memory",
]


class MaskGridError(Exception):
    """Base of every error that maskgrid raises on purpose.

    Attributes:
        result: The forks that were finished before it, None when there are none: a `maskgrid.Forks` from
            `MaskGrid`, a `maskgrid.sampling.ForkLatents` from `sample_forks`.
        latents: The sampled forks of a `MaskGrid`, decoded or not, as `maskgrid.sampling.ForkLatents`; None
            when there are none.
    """

    result: Any = None
    latents: Any = None


class MaskGridWarning(UserWarning):
    """Something to know of a run that goes on, such as a stencil that is lost in some cells."""


class InvalidValueError(MaskGridError, ValueError):
    """A number, shape or name that is not allowed."""


class GridError(MaskGridError, ValueError):
    """A picture in which no grid can be found, or none that can be relied on."""


class BadRowsError(InvalidValueError):
    """Rows of a table of jobs that can't be run, so that none was.

    Attributes:
        table: The table.
        rows: A line for each: its file and line, and what is wrong.
    """

    def __init__(self, table: str, rows: Sequence[str]) -> None:
        count = f"{len(rows)} row{'s' * (len(rows) != 1)}"
        super().__init__(f"{table} has {count} that can't be run, so nothing was run; first: {rows[0]}")
        self.table = table
        self.rows = tuple(rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.table, self.rows)


class InvalidTypeError(MaskGridError, TypeError):
    """An object or a dtype that is not allowed."""


class InvalidBufferError(MaskGridError, BufferError):
    """Memory that can't be read or written: a broken capsule, a read-only or overlapping output."""


class MissingExtraError(MaskGridError, ImportError):
    """A package that is not installed; the message says how to install it."""


class DenoiserError(MaskGridError, RuntimeError):
    """The network returned something unusable, at a step and sigma that the message names, or did not fit."""


class AutoencoderError(MaskGridError, RuntimeError):
    """The VAE could not encode the sheet or decode a fork: it did not fit, or returned something unusable."""


class CallbackError(MaskGridError, RuntimeError):
    """A callback raised StopIteration, which would have ended the engine's loop as if all were done."""


class PipelineBusyError(MaskGridError, RuntimeError):
    """A pipeline that already runs was asked for another run, and was not to wait or could not."""


class CancelledError(MaskGridError, RuntimeError):
    """A callback asked to stop."""


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run. `except KeyboardInterrupt` catches it, `except Exception` does not.

    Attributes:
        result: As of `MaskGridError`.
        latents: As of `MaskGridError`.
    """

    result: Any = None
    latents: Any = None


class OutputExistsError(MaskGridError, FileExistsError):
    """The output is already there and was not to be replaced."""


def in_one_line(error: object) -> str:
    """What somebody else's error says, in one line that is not too long."""
    return textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__


def attach_finished(error: BaseException, result: Any, latents: Any = None) -> None:
    """Have an error carry what was finished before it, as `result` and `latents`, whoever's error it is."""
    for name, value in (("result", result), ("latents", latents)):
        try:
            setattr(error, name, value)
        except AttributeError:
            error.add_note(f"maskgrid could not attach {name} to {type(error).__name__}, which has its own")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: an accelerator's, the CPU's (a plain RuntimeError of torch's), or Python's."""
    if isinstance(error, MaskGridError):
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "ALLOC_FAILED")
