"""A ComfyUI of its own for checks: started headless on the CPU, asked over HTTP, stopped at the end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["RefusedError", "Server"]

_START_S, _PROMPT_S = 240.0, 600.0


class RefusedError(Exception):
    """ComfyUI did not take a prompt, or it failed; the message is what it said."""


class Server:
    """A running ComfyUI; a context manager.

    Args:
        comfyui: The checkout.
        python: The Python to run it with.
        base: Its base directory, with custom_nodes.
        source: The folder to import maskgrid from.
        options: More options of main.py.
    """

    def __init__(
        self, comfyui: Path, python: str, base: Path, source: Path, options: Sequence[str] = ()
    ) -> None:
        self.base, self._log_file = base, base / "comfyui.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (base / "output").mkdir(parents=True, exist_ok=True)
        command = [python, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--base-directory", str(base), "--database-url", "sqlite:///:memory:"]
        command += ["--disable-api-nodes", "--dont-print-server", "--deterministic", *options]
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(source)}
        self._log = self._log_file.open("w")
        self._process = subprocess.Popen(
            command, cwd=comfyui, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                self.get("/system_stats")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
            else:
                return self
        self.__exit__()
        raise SystemExit(f"ComfyUI did not start; the end of its log:\n{self.log()[-3000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def log(self) -> str:
        """What it has printed."""
        return self._log_file.read_text(errors="replace")

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post JSON; the JSON that comes back.

        Raises:
            RefusedError: It answered with an error.
        """
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(f"HTTP {error.code}: {error.read().decode(errors='replace')}") from error
        return json.loads(text) if text else None

    def queue(self, prompt: Mapping[str, Any], client: str = "maskgrid") -> str:
        """Queue a prompt; its id. Its events go to that client.

        Raises:
            RefusedError: ComfyUI did not take it.
        """
        number: str = self.post("/prompt", {"prompt": prompt, "client_id": client})["prompt_id"]
        return number

    def wait(self, number: str) -> dict[str, Any]:
        """The history of a prompt, once it is done.

        Raises:
            RefusedError: It failed, or took too long.
        """
        deadline = time.monotonic() + _PROMPT_S
        while time.monotonic() < deadline:
            history = self.get(f"/history/{number}").get(number)
            if history is not None and history.get("status", {}).get("status_str") is not None:
                return _checked(history)
            if self._process.poll() is not None:
                raise RefusedError(f"ComfyUI died; the end of its log:\n{self.log()[-3000:]}")
            time.sleep(0.02)
        raise RefusedError(f"the prompt took longer than {_PROMPT_S:g} s")

    def run(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """Queue a prompt and wait for it.

        Raises:
            RefusedError: ComfyUI did not take it, or it failed.
        """
        return self.wait(self.queue(prompt))

    def saved(self, name: str) -> dict[str, Any]:
        """What a MaskGridTestSave node wrote: tensor, rows, keys, state."""
        with np.load(self.base / "output" / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}


def _checked(history: dict[str, Any]) -> dict[str, Any]:
    status = history["status"]
    if status["status_str"] == "success":
        return history
    for kind, message in status.get("messages", ()):
        if kind == "execution_error":
            raise RefusedError(f"{message['exception_type']}: {message['exception_message'].strip()}")
        if kind == "execution_interrupted":
            raise RefusedError("interrupted")
    raise RefusedError(str(status))
