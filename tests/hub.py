"""A model hub on this machine: as much of its protocol as downloads use."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = ("main", "v1", COMMIT)


class Hub(ThreadingHTTPServer):
    """Serves the folders in `root`, owner/name each, to this machine while the context lasts.

    A folder with a file `gated` in it is one that its owner must give access to. What each has is at its
    branch main, its one commit and the tag v1.

    Attributes:
        root: Where the repositories are.
        asked: The files that were downloaded.
        revisions: Where each of them was looked for.
        address: Its URL.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.root = root
        self.asked: list[str] = []
        self.revisions: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/models").split("/")
        repository = self.server.root / path[1] / path[2]
        if not repository.is_dir():
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
        elif (repository / "gated").exists():
            reason = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Ask the owner for access."}
            self._send(403, {}, reason)
        elif "resolve" in path and path[4] not in REVISIONS:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
        elif "resolve" in path:
            self.server.revisions.append(path[4])
            self._send_file(repository, "/".join(path[5:]))
        elif "tree" in path:
            sizes = {name: (repository / name).stat().st_size for name in _names(repository)}
            self._send(200, [{"type": "file", "path": n, "size": s, "oid": n} for n, s in sizes.items()])
        else:
            siblings = [{"rfilename": name} for name in _names(repository)]
            self._send(200, {"id": "/".join(path[1:3]), "sha": COMMIT, "siblings": siblings})

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing of requests."""

    def _send_file(self, repository: Path, name: str) -> None:
        headers = {"ETag": f'"{name.replace("/", "-")}"', "X-Repo-Commit": COMMIT}
        if not (repository / name).is_file():
            self._send(404, {}, {"X-Error-Code": "EntryNotFound", **headers})
            return
        self.server.asked.append(name)
        self._send(200, (repository / name).read_bytes(), headers)

    def _send(self, code: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _names(repository: Path) -> list[str]:
    return [file.relative_to(repository).as_posix() for file in repository.rglob("*") if file.is_file()]
