"""A stand-in for the Hugging Face hub: serves the files of a directory as a repository, over HTTP, as the hub does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A hub that runs."""

    repositories: dict[str, Path]
    """The directories that it serves, by the ids of their repositories."""
    endpoint: str = ""
    """Its address, for ``HF_ENDPOINT``."""
    requests: list[str] = field(default_factory=list)
    """What it was asked, in order."""
    break_off: str | None = None
    """A file whose download it breaks off half way."""

    @property
    def downloads(self) -> list[str]:
        """The names of the files that were fetched from it."""
        return sorted(
            line.rsplit("/", 1)[1] for line in self.requests if line.startswith("GET") and "/resolve/" in line
        )


@contextmanager
def serving(repositories: dict[str, Path]) -> Iterator[Hub]:
    """A hub on a port of its own, until the end of the context."""
    hub = Hub(repositories)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def cached(models_dir: Path, repository: str, model: Path) -> Path:
    """Lay a model into ``models_dir`` as the hub's library leaves it after a download; its snapshot."""
    folder = models_dir / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file in model.iterdir():
        (snapshot / file.name).symlink_to(file)
    return snapshot


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *args: object) -> None:
        self._hub = hub
        super().__init__(*args)

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self._hub.requests.append(f"{self.command} {path}")
        for repository, directory in self._hub.repositories.items():
            if path.startswith(f"/api/models/{repository}/tree/"):
                return self._send_json([_entry(file) for file in sorted(directory.iterdir())])
            if path.startswith(f"/api/models/{repository}"):
                files = [{"rfilename": file.name} for file in sorted(directory.iterdir())]
                return self._send_json(
                    {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": files, "tags": []}
                )
            if path.startswith(f"/{repository}/resolve/") and (file := directory / Path(path).name).is_file():
                return self._send_file(file)
        return self._send_json({"error": "Repository not found"}, status=404, code="RepoNotFound")

    def _send_json(self, body: object, status: int = 200, code: str = "") -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(encoded)

    def _send_file(self, file: Path) -> None:
        content = file.read_bytes()
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{_digest(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command != "GET":
            return
        if file.name == self._hub.break_off:
            self.wfile.write(content[begin : len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content[begin:])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _entry(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    entry: dict[str, object] = {"type": "file", "path": file.name, "size": len(content)}
    if len(content) > 2**20:  # as the hub keeps large files
        entry |= {"oid": "0" * 40, "lfs": {"oid": _digest(content), "size": len(content), "pointerSize": 134}}
    else:
        entry |= {"oid": _digest(content)[:40]}
    return entry
