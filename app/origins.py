"""Which web pages may use the service: those that it serves itself, and those of the configured origins.

A WebSocket is outside the browser's own rules for other origins, so the handshake is held to the same list.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar import WebSocket
from litestar.config.cors import CORSConfig

from app.settings.schema import Server
from domain.errors import OriginNotAllowed


def cors_config(server: Server) -> CORSConfig | None:
    """Headers that let pages of the configured origins read answers; ``None`` where there are none."""
    if not server.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(server.cors_origins),
        allow_methods=["GET", "POST", "HEAD", "OPTIONS"],
        allow_headers=["Authorization", "X-API-Key", "Content-Type", "X-Request-ID"],
        expose_headers=["Retry-After", "X-Request-ID"],
    )


def check_origin(socket: WebSocket[Any, Any, Any], server: Server) -> None:
    """Let programs pass, which send no ``Origin``, and pages that may.

    Raises:
        OriginNotAllowed: a page of another origin.
    """
    origin = socket.headers.get("origin")
    if origin is None or "*" in server.cors_origins or origin in server.cors_origins:
        return
    ours = {_place(f"//{socket.headers.get('host', '')}"), _place(server.public_url)}
    # The scheme is left out of it: behind a proxy that ends TLS, the service does not know its own.
    if _place(origin) not in ours - {""}:
        raise OriginNotAllowed("pages of this origin may not open streams; add it to server.cors_origins")


def _place(url: str) -> str:
    """Host and port, without a port that goes without saying."""
    place = urlsplit(url).netloc.lower()
    return place.removesuffix(":443").removesuffix(":80")
