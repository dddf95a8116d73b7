"""One request id, one log line and one measurement for every request."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-ID"

_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = structlog.stdlib.get_logger("app.requests")


def trace_requests(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """Wrap the application: bind ``request_id`` for all logs, answer it in a header, log and measure the request."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, began = 500, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders(message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - began
            route = scope.get("path_template") or "unmatched"
            metrics.request(scope["method"], route, status, seconds)
            _log.info(
                "request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4),
                key=(scope.get("auth") or None),
            )  # fmt: skip

    return traced


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return value.decode()
    return uuid.uuid4().hex
