"""Runs the service on Granian: one supervising process, one process with the engines and the HTTP server."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar.types import ASGIApp, Receive, Scope, Send

from app.application import OPEN_STREAMS, create_app
from app.graceful_stop import finish_before_stop
from app.hand_over import HandOver, Place
from app.settings import Settings
from app.supervisor import Supervisor
from app.telemetry.logging import configure_logging
from domain.errors import StartError

_STREAMS_SHARE: Final = 0.5
"""Part of ``server.stop_timeout`` in which live streams finish; what else runs ends in the rest, or beside them."""

_log = structlog.stdlib.get_logger("app.server")


def serve(load: Callable[[], Settings]) -> None:
    """Serve until a signal stops it; running requests get ``server.stop_timeout`` seconds to end.

    Args:
        load: Loads the settings: once here, and in each worker, so that a reload brings what they are by then.
    """
    settings = load()
    server = settings.server
    granian = Supervisor(
        "parlante",
        hand_over=Path(server.hand_over) if server.hand_over else None,
        ready_file=Path(server.ready_file) if server.ready_file else None,
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
    granian.find_socket()
    granian.serve(target_loader=partial(_load, load), wrap_loader=False)


def _load(load: Callable[[], Settings], place: Place) -> ASGIApp:
    try:
        settings = load()
    except StartError as err:  # the configuration was changed; the logs are as the supervisor has set them up
        _log.error("configuration_invalid", reason=err.message)
        sys.exit(1)
    configure_logging(settings.logs)
    app = create_app(settings, takes_over=place.takes_over, secret=place.secret)
    hand_over = HandOver(place)
    finish = partial(app.state[OPEN_STREAMS].finish, _STREAMS_SHARE * settings.server.stop_timeout)
    finish_before_stop(finish, hand_over.leave)
    return announce_start_errors(hand_over.follow(app), afterwards=_end_process)


def _end_process() -> None:
    """End the worker now; its usual end waits for its threads, and a download may run in one for hours."""
    logging.shutdown()
    os._exit(1)


def announce_start_errors(app: ASGIApp, afterwards: Callable[[], None] = lambda: None) -> ASGIApp:
    """Wrap an application: a ``StartError`` stops the start with its one sentence instead of a traceback.

    Args:
        app: The application.
        afterwards: Called once that has been said.
    """

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
        except BaseException as err:
            if (reason := _start_error(err)) is None:
                for message in held:
                    await send(message)
                raise
            failure: Any = {"type": "lifespan.startup.failed", "message": f"parlante cannot start: {reason.message}"}
            await send(failure)
            afterwards()

    return service


def _start_error(err: BaseException) -> StartError | None:
    """The first ``StartError`` in an error; Litestar's lifespan raises groups."""
    if isinstance(err, BaseExceptionGroup):
        return next(filter(None, map(_start_error, err.exceptions)), None)
    return err if isinstance(err, StartError) else None
