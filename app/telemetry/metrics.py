"""Prometheus metrics of one service process."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from domain.admission import Admission
from domain.ports.telemetry import Stage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counts and times what the service does; implements ``domain.ports.telemetry.Telemetry``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Histogram(
            "parlante_http_request_seconds",
            "Time from a request's start to its response's end",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "parlante_stage_seconds",
            "Time of each stage of the use cases",
            ("use_case", "stage"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._heard = Counter(
            "parlante_audio_transcribed_seconds", "Seconds of audio transcribed", registry=self.registry
        )
        self._spoken = Counter(
            "parlante_audio_spoken_seconds", "Seconds of speech answered", ("cached",), registry=self.registry
        )
        self._places = Gauge(
            "parlante_places_taken", "Requests at an engine or waiting for it", ("use_case",), registry=self.registry
        )
        self._streams_open = Gauge("parlante_streams_open", "Live streams that are open", registry=self.registry)
        self._streams = Histogram(
            "parlante_stream_seconds",
            "Time from a live stream's start to its end, by the close code; left: the client went by itself",
            ("code",),
            buckets=_SECONDS,
            registry=self.registry,
        )

    @contextmanager
    def stage(self, use_case: str, stage: Stage) -> Generator[None, None, None]:
        """Time one stage, whether it ends well or not."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(use_case, stage.value).observe(time.perf_counter() - began)

    def heard(self, seconds: float) -> None:
        """Count seconds of audio that were transcribed."""
        self._heard.inc(seconds)

    def spoken(self, seconds: float, *, cached: bool) -> None:
        """Count seconds of speech that were answered, from the engine or from the store."""
        self._spoken.labels(str(cached).lower()).inc(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one HTTP request; ``route`` is the path's template, so that its values stay few.

        So do those of ``method``: a client may invent as many as it likes.
        """
        self._requests.labels(known_method(method), route, str(status)).observe(seconds)

    @contextmanager
    def stream(self) -> Generator[None, None, None]:
        """Count an open live stream for the body."""
        with self._streams_open.track_inprogress():
            yield

    def stream_ended(self, code: int | None, seconds: float) -> None:
        """Record a live stream: the code that the service closed it with, ``None`` where the client left."""
        self._streams.labels("left" if code is None else str(code)).observe(seconds)

    def watch(self, use_case: str, admission: Admission) -> None:
        """Show how many places of an admission are taken."""
        self._places.labels(use_case).set_function(lambda: admission.taken)

    def render(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


def known_method(method: str) -> str:
    """The method, or ``other``."""
    return method if method in _METHODS else "other"
