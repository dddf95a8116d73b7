"""``WS /api/v1/streaming`` and ``POST /api/v1/streaming/tickets``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, WebSocket, post, websocket
from litestar.exceptions import ValidationException
from litestar.params import Dependency
from msgspec import Meta, Struct

from app.errors import problem_responses
from app.guards import TICKETS
from app.live.connection import Connection, live_options
from app.live.messages import StreamQuery
from app.live.tickets import Tickets
from app.settings import Settings
from domain.ports.transcriber import Transcriber
from domain.use_cases.listen import Listen


class Ticket(Struct, frozen=True, kw_only=True):
    """A one-use ticket for the live endpoint."""

    ticket: Annotated[str, Meta(description="For the query: `/api/v1/streaming?ticket=…`.")]
    expires_at: Annotated[datetime, Meta(description="When it stops working.")]


class StreamingController(Controller):
    """Live transcription."""

    path = "/streaming"
    tags = ("Speech to text",)

    @post(
        "/tickets",
        operation_id="issueStreamingTicket",
        summary="Get a ticket for the live endpoint",
        responses=problem_responses(401),
    )
    async def issue_ticket(
        self, request: Request[Any, Any, Any], tickets: Annotated[Tickets, Dependency(skip_validation=True)]
    ) -> Ticket:
        """Hand out a ticket that opens one live stream: for browsers, which cannot send a key with a WebSocket."""
        ticket, expires_at = await tickets.issue(request.scope.get("auth") or "")
        return Ticket(ticket=ticket, expires_at=expires_at)

    @websocket("/", opt={TICKETS: True})
    async def stream(
        self,
        socket: WebSocket[Any, Any, Any],
        listen: Annotated[Listen, Dependency(skip_validation=True)],
        transcriber: Annotated[Transcriber, Dependency(skip_validation=True)],
        settings: Annotated[Settings, Dependency(skip_validation=True)],
    ) -> None:
        """Transcribe audio as it comes; ``docs/live.md`` has the protocol."""
        query = _read_query(socket)
        listen.check(live_options(query, settings.live))
        async with listen.place():
            await socket.accept()
            await Connection(socket, query, listen, settings.live, transcriber.capabilities).run()


def _read_query(socket: WebSocket[Any, Any, Any]) -> StreamQuery:
    try:
        return msgspec.convert(dict(socket.query_params), StreamQuery, strict=False)
    except msgspec.ValidationError as err:
        message, _, where = str(err).partition(" - at `$.")
        raise ValidationException(
            "the query does not fit", extra=[{"key": where.rstrip("`") or "query", "message": message}]
        ) from err
