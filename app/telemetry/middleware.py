"""One request id, one log line and one measurement for every request and every live stream."""

from __future__ import annotations

import re
import time
import uuid
from contextlib import ExitStack
from typing import Any, Final

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-ID"
HEARD: Final = "seconds_heard"
"""Name of the seconds of sound of a stream in the state of its scope."""

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = structlog.stdlib.get_logger("app.requests")


def trace_requests(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """Wrap the application: bind ``request_id`` for all logs, answer it in a header, log and measure the request."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {ScopeType.HTTP, ScopeType.WEBSOCKET}:
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        trace = _Trace(scope, metrics, request_id, send)
        with trace:
            await app(scope, receive, trace.send)

    return traced


class _Trace:
    """Follows one request, or one live stream from its handshake on, to its end."""

    def __init__(self, scope: Scope, metrics: Metrics, request_id: str, send: Send) -> None:
        self._scope: Any = scope
        self._metrics = metrics
        self._request_id = request_id
        self._send = send
        self._began = time.perf_counter()
        self._status = 500
        self._accepted = False
        self._close_code: int | None = None
        self._close_reason: str | None = None
        self._open = ExitStack()

    async def send(self, message: Message) -> None:
        """Pass a message on and note what it says."""
        kind: str = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            started: Any = message
            self._status = started["status"]
            MutableScopeHeaders(started)[REQUEST_ID_HEADER] = self._request_id
        elif message["type"] == "websocket.accept":
            self._accepted = True
            self._open.enter_context(self._metrics.stream())
        elif message["type"] == "websocket.close":
            self._close_code, self._close_reason = message["code"], message["reason"] or None
        await self._send(message)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Log and measure."""
        self._open.close()
        seconds = time.perf_counter() - self._began
        route, key = self._scope.get("path_template") or "unmatched", self._scope.get("auth") or None
        if self._accepted:
            self._metrics.stream_ended(self._close_code, seconds)
            heard = self._scope.get("state", {}).get(HEARD, 0.0)
            _log.info(
                "stream", route=route, code=self._close_code, reason=self._close_reason,
                seconds=round(seconds, 4), heard=round(heard, 2), key=key,
            )  # fmt: skip
        else:
            method = self._scope.get("method", "GET")  # a handshake is a GET
            self._metrics.request(method, route, self._status, seconds)
            _log.info("request", method=method, route=route, status=self._status, seconds=round(seconds, 4), key=key)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return value.decode()
    return uuid.uuid4().hex
