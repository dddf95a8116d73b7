"""``WS /api/v1/streaming`` and ``POST /api/v1/streaming/tickets``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, WebSocket, post, websocket
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import SkipValidation
from msgspec import Meta, Struct

from app.errors import problem_responses
from app.guards import TICKETS
from app.live.connection import Connection, live_options
from app.live.messages import StreamQuery
from app.live.open_streams import OpenStreams
from app.live.tickets import Tickets
from app.origins import check_origin
from app.settings import Settings
from app.telemetry.middleware import HEARD
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
        self, request: Request[Any, Any, Any], tickets: NamedDependency[SkipValidation[Tickets]]
    ) -> Ticket:
        """Hand out a ticket that opens one live stream: for browsers, which cannot send a key with a WebSocket."""
        ticket, expires_at = await tickets.issue(request.scope.get("auth") or "")
        return Ticket(ticket=ticket, expires_at=expires_at)

    @websocket("/", opt={TICKETS: True})
    async def stream(
        self,
        socket: WebSocket[Any, Any, Any],
        listen: NamedDependency[SkipValidation[Listen]],
        transcriber: NamedDependency[SkipValidation[Transcriber]],
        settings: NamedDependency[SkipValidation[Settings]],
        open_streams: NamedDependency[SkipValidation[OpenStreams]],
    ) -> None:
        """Transcribe audio as it comes; ``docs/live.md`` has the protocol."""
        check_origin(socket, settings.server)
        query = _read_query(socket)
        listen.check(live_options(query, settings.live))
        async with listen.place():
            with open_streams.one():
                await socket.accept()
                connection = Connection(socket, query, listen, settings.live, transcriber.capabilities, open_streams)
                try:
                    await connection.run()
                finally:
                    socket.scope["state"][HEARD] = connection.heard


def _read_query(socket: WebSocket[Any, Any, Any]) -> StreamQuery:
    try:
        return msgspec.convert(dict(socket.query_params), StreamQuery, strict=False)
    except msgspec.ValidationError as err:
        message, _, where = str(err).partition(" - at `$.")
        raise ValidationException(
            "the query does not fit", extra=[{"key": where.rstrip("`") or "query", "message": message}]
        ) from err
