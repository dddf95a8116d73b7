"""Requests whose bodies come in pieces, as a script says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from litestar import Request

BOUNDARY = "frontier"
CONTENT_TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'


def part(name: str, content: bytes | str, *, filename: str | None = None, kind: str | None = None) -> bytes:
    """One field of a form, without the boundary before it."""
    head = f'Content-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename is not None else ""
    head += f"\r\nContent-Type: {kind}" if kind else ""
    return f"{head}\r\n\r\n".encode() + (content.encode() if isinstance(content, str) else content)


def body(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


class Upload:
    """What a client sends, and how much of it was asked for."""

    def __init__(
        self,
        content: Iterable[bytes],
        *,
        content_type: str | None = CONTENT_TYPE,
        content_length: int | str | None = None,
        then: str = "end",
        delay: float = 0.0,
    ) -> None:
        """``then``, after the content: ``end`` of the body, ``gone`` client, or ``silence``."""
        self._content: Iterator[bytes] = iter(content)
        self._then = then
        self._delay = delay
        self.consumed = 0
        headers = [(b"host", b"test")]
        if content_type is not None:
            headers.append((b"content-type", content_type.encode()))
        if content_length is not None:
            headers.append((b"content-length", str(content_length).encode()))
        scope: Any = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "raw_path": b"/",
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("client", 1),
            "headers": headers,
            "state": {},
            "extensions": {},
        }
        self.request: Request[Any, Any, Any] = Request(scope, self._receive)  # type: ignore[arg-type]

    async def _receive(self) -> Any:
        await asyncio.sleep(self._delay)
        piece = next(self._content, None)
        if piece is not None:
            self.consumed += len(piece)
            return {"type": "http.request", "body": piece, "more_body": True}
        if self._then == "gone":
            return {"type": "http.disconnect"}
        if self._then == "silence":
            await asyncio.Event().wait()
        return {"type": "http.request", "more_body": False}
