"""The application: settings and backends in, an ASGI callable out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from secrets import token_bytes
from typing import Any

import structlog
from dependency_injector import providers
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.stores.memory import MemoryStore

from app.container import Container
from app.controllers.catalog import CatalogController
from app.controllers.files import FileController
from app.controllers.operation import OperationController
from app.controllers.speech import SpeechController
from app.controllers.streaming import StreamingController
from app.controllers.transcription import TranscriptionController
from app.errors import EXCEPTION_HANDLERS
from app.guards import ApiKeyGuard
from app.live.handshake import answer_refusals, remember_refusal
from app.live.open_streams import OpenStreams
from app.live.tickets import Tickets
from app.openapi import docs_assets, openapi_config, openapi_document
from app.origins import cors_config
from app.settings import Settings
from app.telemetry.middleware import trace_requests
from app.unread_body import read_to_end
from domain.errors import StartError
from domain.use_cases.readiness import Readiness

_MAX_JSON_BODY = 2**20
"""Most bytes of a request body that is not an upload."""

_FAILED_START_PATIENCE = 2.0
"""Seconds for the parts to close where one did not open; another may be in the middle of a download of hours."""

_TAKE_OVER_PATIENCE = 30.0
"""Seconds in which every part must be ready where another worker does the work meanwhile."""

OPEN_STREAMS = "open_streams"
"""Name of the open live streams in the application's state."""

_log = structlog.stdlib.get_logger("app.application")

_API = [TranscriptionController, SpeechController, CatalogController, StreamingController]

_PROVIDED = (
    "transcribe",
    "synthesize",
    "readiness",
    "uploads",
    "transcriber",
    "synthesizer",
    "object_store",
    "telemetry",
    "listen",
)


def create_app(settings: Settings, *, takes_over: bool = False, secret: bytes | None = None) -> Litestar:
    """Build the application; its backends open when it starts and close when it stops.

    Args:
        settings: All settings.
        takes_over: Another worker serves, and goes on unless this one is ready; so it does not start where a part,
            say the object store, is not. Without another one it starts, and says at ``/health/ready`` what is missing.
        secret: What the workers that come and go share, to take each other's tickets; ``None`` makes one.
    """
    container = Container(settings=settings)
    metrics, traces = container.telemetry(), container.traces()
    tickets = Tickets(secret or token_bytes(32), MemoryStore(), settings.live.ticket_lifetime)
    open_streams = OpenStreams()

    @asynccontextmanager
    async def opened_backends(_: Litestar) -> AsyncGenerator[None, None]:
        patience: float | None = _FAILED_START_PATIENCE
        try:
            await _wait(container.init_resources())
            patience = None
            metrics.watch("transcribe", await _wait(container.transcription_admission()))
            await _wait(container.listen())
            metrics.watch("synthesize", await _wait(container.speech_admission()))
            if takes_over:
                await _until_ready(await _wait(container.readiness()))
            _log.info("service_ready", environment=settings.environment)
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await _wait(container.shutdown_resources())
            if traces is not None:
                await asyncio.to_thread(traces.close)

    app = Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=_API),
            OperationController,
            FileController,
            openapi_document,
            docs_assets(),
        ],
        guards=[ApiKeyGuard(settings, tickets)],
        dependencies={
            "settings": Provide(lambda: settings, sync_to_thread=False),
            "tickets": Provide(lambda: tickets, sync_to_thread=False),
            "open_streams": Provide(lambda: open_streams, sync_to_thread=False),
            **{name: Provide(_provider(container.providers[name])) for name in _PROVIDED},
        },
        lifespan=[opened_backends],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config(),
        request_max_body_size=_MAX_JSON_BODY,
        after_exception=[remember_refusal],
        cors_config=cors_config(settings.server),
        state=State({OPEN_STREAMS: open_streams}),
        logging_config=None,
    )
    # Outside the router, so that unknown paths are traced too.
    handler = answer_refusals(app.asgi_handler)
    app.asgi_handler = read_to_end(trace_requests(handler if traces is None else traces.follow(handler), metrics))
    return app


async def _until_ready(readiness: Readiness) -> None:
    until = time.monotonic() + _TAKE_OVER_PATIENCE
    while missing := {name: part.detail for name, part in (await readiness()).items() if not part.ready}:
        if time.monotonic() > until:
            reasons = "; ".join(f"{name}: {detail}" for name, detail in missing.items())
            raise StartError(f"it does not take over, because it is not ready: {reasons}")
        await asyncio.sleep(1)


def _provider(provider: providers.Provider[Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def provide() -> Any:
        return await _wait(provider())

    return provide


async def _wait(value: Any) -> Any:
    """Containers with async resources answer some things at once and some as awaitables."""
    return await value if hasattr(value, "__await__") else value
