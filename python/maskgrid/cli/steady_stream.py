"""A stream that is written to for as long as somebody reads it, whatever its encoding."""

from __future__ import annotations

import contextlib
import os
from typing import Any, TextIO

__all__ = ["SteadyStream"]


class SteadyStream:
    r"""Text out, without an error where nobody reads it any more (`| head -1`) or letters are unknown to it.

    What a command has written to disk is not undone by a terminal that went away, so what can't be said is
    left unsaid. Letters that the encoding has not come out as \\uXXXX.

    Args:
        stream: sys.stdout or sys.stderr; None where the process was started without it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write, if there is somebody to read it."""
        if self._stream is None:
            return len(text)
        known = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._stream.write(known)
        # A pipe that was closed, a full disk, a stream that was closed.
        except (OSError, ValueError):
            self._leave()
        return len(text)

    def flush(self) -> None:
        """Pass on what was written to the stream, if somebody reads it."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._leave()

    def _leave(self) -> None:
        """Write no more; Python, which flushes its streams at the end, must not fail there either."""
        stream, self._stream = self._stream, None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            assert stream is not None
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether the steady stream writes to a terminal."""
        return self._stream is not None and self._stream.isatty()
