"""Runs the service on Granian: one supervising process, one process with the engines and the HTTP server."""

from __future__ import annotations

from functools import partial
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar.types import ASGIApp, Receive, Scope, Send

from app.application import create_app
from app.settings import Settings
from app.telemetry.logging import configure_logging
from domain.errors import StartError


def serve(settings: Settings) -> None:
    """Serve until a signal stops it; running requests get ``server.stop_timeout`` seconds to end."""
    server = settings.server
    granian = Granian(
        "parlante",
        address=server.host,
        port=server.port,
        interface=Interfaces.ASGI,
        backlog=server.backlog,
        workers=1,  # one process an accelerator: the models are in it
        workers_kill_timeout=server.stop_timeout,
        log_level=LogLevels(settings.logs.level),
        process_name=None,
    )
    configure_logging(settings.logs)
    granian.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: Settings) -> ASGIApp:
    configure_logging(settings.logs)
    return announce_start_errors(create_app(settings))


def announce_start_errors(app: ASGIApp) -> ASGIApp:
    """Wrap an application: a ``StartError`` stops the start with its one sentence instead of a traceback."""

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":  # type: ignore[comparison-overlap]
            await app(scope, receive, send)
            return
        held: list[Any] = []

        async def hold_failure(message: Any) -> None:
            if message["type"].endswith(".failed"):
                held.append(message)
            else:
                await send(message)

        try:
            await app(scope, receive, hold_failure)
        except StartError as err:
            failure: Any = {"type": "lifespan.startup.failed", "message": f"parlante cannot start: {err.message}"}
            await send(failure)
        except BaseException:
            for message in held:
                await send(message)
            raise

    return service
