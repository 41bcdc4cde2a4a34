"""What ComfyUI tells its page while it runs: progress and previews, over a websocket of our own."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

__all__ = ["Events"]

_TEXT, _BINARY, _CLOSE = 1, 2, 8
_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4


class Events:
    """A websocket to a server; a context manager.

    Args:
        port: The server's port.
        client: The client id to queue prompts with, so that their events come here.
    """

    def __init__(self, port: int, client: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        key = "bWFza2dyaWQtdGVzdC0wMQ=="
        lines = (
            f"GET /ws?clientId={client} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._socket.recv(4096)
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.splitlines()[0]:
            raise ConnectionError(head.decode(errors="replace"))

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, kind: str, data: Any) -> None:
        """Tell the server something, as the page does."""
        text = json.dumps({"type": kind, "data": data}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        self._socket.sendall(struct.pack("!BBH", 0x80 | _TEXT, 0x80 | 126, len(text)) + mask + masked)

    def until_done(self) -> tuple[list[tuple[int, int]], list[bytes]]:
        """Progress as (value, of how many), and previews as picture files, until the prompt is done."""
        progress: list[tuple[int, int]] = []
        previews: list[bytes] = []
        while True:
            kind, payload = self._frame()
            if kind == _CLOSE:
                raise ConnectionError("ComfyUI closed the websocket")
            if kind == _BINARY:
                previews += _pictures(payload)
                continue
            message = json.loads(payload) if kind == _TEXT else {}
            data = message.get("data", {})
            if message.get("type") == "progress":
                progress.append((data["value"], data["max"]))
            if message.get("type") in ("execution_success", "execution_error", "execution_interrupted"):
                return progress, previews

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
        return first & 0x0F, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("ComfyUI closed the connection")
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _pictures(payload: bytes) -> list[bytes]:
    """The picture of a preview message, which begins with its kind."""
    kind, number = struct.unpack("!II", payload[:8])
    if kind == _PREVIEW:
        return [payload[8:]]
    return [payload[8 + number :]] if kind == _PREVIEW_WITH_METADATA else []
