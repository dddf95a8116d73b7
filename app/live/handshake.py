"""Refused handshakes: a WebSocket that is not accepted is answered as any other request, with problem details.

ASGI calls it the WebSocket Denial Response. Litestar itself only closes, which clients see as a bare 403.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import PROBLEM_JSON, refusal
from domain import errors

_ERROR: Final = "refused_with"
_log = structlog.stdlib.get_logger("app.live")


async def remember_refusal(err: Exception, scope: Scope) -> None:
    """Hook of Litestar's ``after_exception``: keep the error for the answer."""
    if scope["type"] == "websocket":  # type: ignore[comparison-overlap]
        scope["state"][_ERROR] = err


def answer_refusals(app: ASGIApp) -> ASGIApp:
    """Wrap the application: a close before the accept becomes an HTTP answer."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":  # type: ignore[comparison-overlap]
            await app(scope, receive, send)
            return
        accepted = False

        async def send_answer(message: Message) -> None:
            nonlocal accepted
            accepted = accepted or message["type"] == "websocket.accept"
            if message["type"] == "websocket.close" and not accepted:
                await _deny(scope["state"].get(_ERROR), send)
            else:
                await send(message)

        await app(scope, receive, send_answer)

    return answered


async def _deny(err: Exception | None, send: Send) -> None:
    refused = refusal(err or RuntimeError("closed before it was accepted"))
    if not isinstance(err, errors.ParlanteError | HTTPException):
        _log.error("unexpected_error", exc_info=err)
    elif refused.problem.status >= 500:
        _log.warning("handshake_refused", code=refused.problem.code, status=refused.problem.status)
    body = msgspec.json.encode(refused.problem)
    headers = {"content-type": PROBLEM_JSON, "content-length": str(len(body)), **refused.headers}
    start: Any = {
        "type": "websocket.http.response.start",
        "status": refused.problem.status,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    rest: Any = {"type": "websocket.http.response.body", "body": body, "more_body": False}
    await send(start)
    await send(rest)
