"""OpenTelemetry traces, taken by a collector on the loopback address that reads the protobuf."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.app.conftest import KEY, StartService

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Collector:
    """Takes ``POST /v1/traces``."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
                if known:
                    collector.bodies.append(body)
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    def spans(self) -> dict[str, Span]:
        """Spans by their names."""
        return {
            span.name: span
            for request in self.requests()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def attributes(span: Span) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, str(pair.value.WhichOneof("value")))) for pair in span.attributes}


async def test_a_request_is_a_span_and_each_of_its_stages_one_below_it(
    start: StartService, collector: Collector, recording: bytes
) -> None:
    text = "a secret that nobody may read in a trace"
    async with start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as service, service.client() as client:
        await client.get("/health/live")
        heard = await client.post(
            "/api/v1/transcribe",
            files={"audio_file": ("a.flac", recording)},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "mine"},
        )
        spoken = await client.post("/api/v1/synthesize", json={"text": text, "language": "en"})
        wrong = await client.get("/nowhere?ticket=abc")
    assert [heard.status_code, spoken.status_code, wrong.status_code] == [200, 201, 404]
    spans = collector.spans()
    assert set(spans) == {
        "POST /api/v1/transcribe", "transcribe queue", "transcribe decode", "transcribe inference",
        "POST /api/v1/synthesize", "synthesize queue", "synthesize inference", "synthesize store",
        "GET unmatched",
    }  # fmt: skip
    above = spans["POST /api/v1/transcribe"]
    assert (above.trace_id.hex(), above.parent_span_id.hex()) == (TRACE, CALLER)
    for name, span in spans.items():
        if span.kind == Span.SPAN_KIND_INTERNAL:
            request = spans[f"POST /api/v1/{name.split()[0]}"]
            assert span.parent_span_id == request.span_id
            assert request.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= request.end_time_unix_nano
    assert attributes(above) == {
        "http.request.method": "POST", "http.route": "/api/v1/transcribe", "http.response.status_code": "200",
        "parlante.request_id": "mine",
    }  # fmt: skip
    everything = b"".join(collector.bodies)
    for secret in (text, KEY, "ticket", heard.json()["transcription"]):
        assert secret.encode() not in everything


async def test_what_fails_is_marked_with_its_class_only(start: StartService, collector: Collector) -> None:
    async with start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as service, service.client() as client:
        answer = await client.post("/api/v1/transcribe", files={"audio_file": ("a.flac", b"no audio at all")})
    assert answer.is_client_error
    span = collector.spans()["transcribe decode"]
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "AudioInvalid"
    assert not span.events
    assert not span.status.message


async def test_a_collector_that_does_not_answer_holds_no_request_up(start: StartService) -> None:
    async with start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as service, service.client() as client:
        assert (await client.get("/api/v1/voices")).status_code == 200
