"""OpenTelemetry traces: a span for each request, below it one for each stage, sent over OTLP/HTTP.

Litestar's own plugin takes the whole URL as an attribute, and a live stream's ticket stands in it; so the spans are
made here. No text, audio, key or address of a person is ever an attribute.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.metrics import Metrics, known_method
from domain.ports.telemetry import Stage

_LEFT_OUT: Final = ("/health/", "/metrics")
"""Paths that machines ask all the time."""
_FAILED = Status(StatusCode.ERROR)


class Traces:
    """Makes spans and sends them to a collector; a collector that does not answer holds nothing up."""

    def __init__(self, endpoint: str, environment: str) -> None:
        """Open.

        Args:
            endpoint: Base URL of the collector; ``/v1/traces`` is put after it.
            environment: Name of the environment, an attribute of all spans.

        The SDK's own variables hold too, for example ``OTEL_EXPORTER_OTLP_HEADERS`` and ``OTEL_TRACES_SAMPLER``.
        """
        name = os.environ.get("OTEL_SERVICE_NAME", "parlante")
        described = Resource.create({"service.name": name, "deployment.environment.name": environment})
        self._provider = TracerProvider(resource=described, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("parlante")
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what is left; blocks for some seconds where the collector does not answer."""
        self._provider.shutdown()

    @contextmanager
    def stage(self, use_case: str, stage: Stage) -> Generator[None, None, None]:
        """A span for the body, below the one that is open."""
        with self._span(f"{use_case} {stage.value}", SpanKind.INTERNAL, None) as span:
            span.set_attributes({"parlante.use_case": use_case, "parlante.stage": stage.value})
            yield

    @contextmanager
    def _span(self, name: str, kind: SpanKind, parent: Any) -> Generator[Span, None, None]:
        # The message of an error may repeat what a client sent, so its class is all that is said of it.
        with self._tracer.start_as_current_span(
            name, parent, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as err:
                span.set_attribute("error.type", type(err).__name__)
                span.set_status(_FAILED)
                raise

    def follow(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application: a span for each request and each live stream, below the client's if it names one."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            http = scope["type"] == ScopeType.HTTP
            if not (http or scope["type"] == ScopeType.WEBSOCKET) or scope["path"].startswith(_LEFT_OUT):
                await app(scope, receive, send)
                return
            state: Any = scope
            method = known_method(state.get("method", "GET"))
            headers = Headers.from_scope(scope)
            given = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
            with self._span(method, SpanKind.SERVER, self._propagator.extract(given)) as span:

                async def send_and_note(message: Message) -> None:
                    _note(span, message)
                    await send(message)

                try:
                    await app(scope, receive, send_and_note)
                finally:
                    route = state.get("path_template") or "unmatched"
                    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
                    span.update_name(f"{method} {route}")
                    span.set_attributes(
                        {"http.request.method": method, "http.route": route, "parlante.request_id": request_id}
                    )

        return traced


def _note(span: Span, message: Any) -> None:
    """Keep what an answer says about how it went."""
    if message["type"] in {"http.response.start", "websocket.http.response.start"}:
        span.set_attribute("http.response.status_code", message["status"])
        if message["status"] >= 500:
            span.set_status(_FAILED)
    elif message["type"] == "websocket.close":
        span.set_attribute("parlante.close_code", message["code"])


class TracedMetrics(Metrics):
    """Metrics whose stages are spans too."""

    def __init__(self, traces: Traces) -> None:
        super().__init__()
        self._traces = traces

    @contextmanager
    def stage(self, use_case: str, stage: Stage) -> Generator[None, None, None]:
        """Time one stage, whether it ends well or not, and make it a span."""
        with self._traces.stage(use_case, stage), super().stage(use_case, stage):
            yield
