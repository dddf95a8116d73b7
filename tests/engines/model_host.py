"""Stands in for the two places that Coqui's models come from: GitHub releases (zips) and the Hugging Face hub."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def zipped(directory: Path, *, without: tuple[str, ...] = ()) -> bytes:
    """A release of a model: its files in a folder in a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(directory.iterdir()):
            if file.name not in without:
                archive.write(file, f"{directory.name}/{file.name}")
    return buffer.getvalue()


@dataclass
class ModelHost:
    """A server on 127.0.0.1."""

    url: str
    releases: dict[str, bytes] = field(default_factory=dict)
    """Zips by file name, under ``/releases/``."""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files of Hugging Face repositories, by name."""
    cut_short: bool = False
    """Whether the connection breaks in the middle of every release."""
    requests: list[str] = field(default_factory=list)
    """Paths that were asked for."""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path."""
        self.requests.append(path)
        path = path.partition("?")[0]
        if (release := self.releases.get(path.removeprefix("/releases/"))) is not None:
            return 200, {"Content-Type": "application/zip"}, release
        for name, files in self.repositories.items():
            if path.startswith(f"/api/models/{name}/revision/"):
                siblings = [{"rfilename": file} for file in files]
                body = json.dumps({"id": name, "modelId": name, "sha": COMMIT, "tags": [], "siblings": siblings})
                return 200, {"Content-Type": "application/json"}, body.encode()
            if path.startswith(f"/api/models/{name}/tree/"):
                tree = [
                    {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for file, content in files.items()
                ]
                return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
            if (content := files.get(path.rpartition("/")[2])) is not None and path.startswith(f"/{name}/resolve/"):
                etag = f'"{hashlib.sha1(content).hexdigest()}"'
                return 200, {"ETag": etag, "X-Repo-Commit": COMMIT}, content
        return 404, {"Content-Type": "text/html"}, b"<html>there is nothing here</html>"


@contextmanager
def serving() -> Iterator[ModelHost]:
    """Run a host until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = host.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                cut = host.cut_short and self.path.startswith("/releases/")
                self.wfile.write(body[: len(body) // 2] if cut else body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = ModelHost(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
