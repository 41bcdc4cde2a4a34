"""The errors of maskgrid.

    MaskGridError
    +-- InvalidValueError   (ValueError)    a number, shape or name that is not allowed
    +-- InvalidTypeError    (TypeError)     an object or dtype that is not allowed
    +-- InvalidBufferError  (BufferError)   memory that can't be read or written
    +-- DenoiserError       (RuntimeError)  the network returned something unusable
    +-- CancelledError      (RuntimeError)  a callback asked to stop

Every message says what was wrong, the value, and what is allowed.
"""

__all__ = [
    "CancelledError",
    "DenoiserError",
    "InvalidBufferError",
    "InvalidTypeError",
    "InvalidValueError",
    "MaskGridError",
]


class MaskGridError(Exception):
    """Base of every error that maskgrid raises on purpose."""


class InvalidValueError(MaskGridError, ValueError):
    """A number, shape or name that is not allowed."""


class InvalidTypeError(MaskGridError, TypeError):
    """An object or a dtype that is not allowed."""


class InvalidBufferError(MaskGridError, BufferError):
    """Memory that can't be read or written: a broken capsule, a read-only or overlapping output."""


class DenoiserError(MaskGridError, RuntimeError):
    """The network returned something unusable; the message says at which step and sigma."""


class CancelledError(MaskGridError, RuntimeError):
    """A callback asked to stop; what was finished is in the error's `result`."""
