"""Who may call what: an API key on everything that does not say that it is public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.key_ring import KeyRing
from app.live.tickets import Tickets
from app.settings import Settings
from domain.errors import Unauthorized

PUBLIC = "public"
"""Option of a route handler that anybody may call."""
TICKETS = "tickets"
"""Option of a route handler that also takes a ticket, as ``?ticket=…``."""


class ApiKeyGuard:
    """Asks for a known key in ``X-API-Key`` or ``Authorization: Bearer``."""

    def __init__(self, settings: Settings, tickets: Tickets) -> None:
        self._open = settings.auth == "none"
        self._keys = KeyRing(settings.keys, Path(settings.keys_file) if settings.keys_file else None)
        self._tickets = tickets

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Let the request pass, or raise ``Unauthorized``; the key's name is kept for the logs."""
        if handler.opt.get(PUBLIC) or self._open:
            return
        if handler.opt.get(TICKETS) and (ticket := connection.query_params.get("ticket")):
            connection.scope["auth"] = await self._tickets.redeem(ticket)
            return
        key = _given_key(connection)
        if key is None:
            raise Unauthorized("an API key is needed: send it as X-API-Key or Authorization: Bearer")
        name = await self._keys.name_of(key)
        if name is None:
            raise Unauthorized("the API key is not known")
        connection.scope["auth"] = name


def _given_key(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    if key := connection.headers.get("x-api-key"):
        return key
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
