"""ASGI spoken by hand, for what no HTTP client does: odd paths, clients that go away, uploads without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from litestar import Litestar

from tests.app.conftest import KEY


@dataclass
class Exchange:
    """A request under way, and its answer."""

    app: Litestar
    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    content: Iterable[bytes] = ()
    key: str | None = KEY
    kind: str = "http"
    stalls: bool = False
    """Whether the client sends no end of its body."""

    consumed: int = 0
    """Bytes of the body that were asked for."""
    consumed_at_answer: int = 0
    """The same, when the answer began."""
    status: int | None = None
    answer: dict[str, str] = field(default_factory=dict)
    """Headers of the answer."""
    body: bytes = b""
    messages: list[str] = field(default_factory=list)
    """Types of the messages that were answered."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it, and the client goes away."""

    async def run(self) -> Exchange:
        path, _, query = self.target.partition("?")
        given = {"host": "parlante.test"} | ({"x-api-key": self.key} if self.key else {}) | self.headers
        scope: Any = {
            "type": self.kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http" if self.kind == "http" else "ws",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": ("203.0.113.7", 4711),
            "server": ("parlante.test", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        if self.kind == "websocket":
            del scope["method"]
        self._pieces = iter(self.content)
        self._connected = False
        await self.app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Any:
        if self.kind == "websocket" and not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await asyncio.sleep(0)
        if not self.gone.is_set():
            piece = next(self._pieces, None)
            if piece is not None:
                self.consumed += len(piece)
                return {"type": "http.request", "body": piece, "more_body": True}
            if not self.stalls and not self._connected:
                self._connected = True
                return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": f"{self.kind}.disconnect", "code": 1001}

    async def _send(self, message: Any) -> None:
        self.messages.append(message["type"])
        if message["type"].endswith("response.start"):
            self.status = message["status"]
            self.consumed_at_answer = self.consumed
            self.answer = {name.decode().lower(): value.decode() for name, value in message.get("headers", [])}
        elif message["type"].endswith("response.body"):
            self.body += message.get("body", b"")
