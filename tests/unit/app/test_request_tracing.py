from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from app.telemetry.metrics import Metrics
from app.telemetry.middleware import HEARD, trace_requests


class Site:
    """An application behind the tracing, and what came out of it."""

    def __init__(
        self, status: int = 200, *, error: BaseException | None = None, template: str | None = "/a/{b}"
    ) -> None:
        self.metrics = Metrics()
        self.sent: list[Any] = []
        self.bound: dict[str, Any] = {}
        self._status, self._error, self._template = status, error, template
        self._traced = trace_requests(self._app, self.metrics)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.bound = structlog.contextvars.get_contextvars()
        if self._template is not None:
            scope["path_template"] = self._template
        if self._error is not None:
            raise self._error
        scope["auth"] = "alice"
        await send({"type": "http.response.start", "status": self._status, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"hi", "more_body": False})

    async def ask(self, *headers: tuple[bytes, bytes], method: str = "GET", kind: str = "http") -> dict[str, str]:
        """One request; the headers of its answer."""

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope: Any = {"type": kind, "method": method, "path": "/a/1", "headers": list(headers)}
        await self._traced(scope, None, send)  # type: ignore[arg-type]
        return {name.decode().lower(): value.decode() for name, value in self.sent[-2].get("headers", [])}

    def counted(self) -> list[str]:
        """Labels of the requests that were measured."""
        text = self.metrics.render().decode()
        return re.findall(r"parlante_http_request_seconds_count\{(.*?)\} 1\.0", text)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_request_without_an_id_is_given_one(site: Site) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", (await site.ask())["x-request-id"])


async def test_every_request_is_given_another(site: Site) -> None:
    assert (await site.ask())["x-request-id"] != (await site.ask())["x-request-id"]


@pytest.mark.parametrize("given", [b"a", b"order-66_x.y", b"A" * 64])
async def test_an_id_that_a_client_gives_is_kept(site: Site, given: bytes) -> None:
    assert (await site.ask((b"x-request-id", given)))["x-request-id"] == given.decode()


@pytest.mark.parametrize(
    "given", [b"", b"A" * 65, b"a b", b"a\r\nSet-Cookie: x", b"<script>", b"\xff", b'{"a":1}', b"a\n"]
)
async def test_an_id_that_could_do_harm_is_replaced(site: Site, given: bytes) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", (await site.ask((b"x-request-id", given)))["x-request-id"])


async def test_the_answers_own_headers_and_body_stay(site: Site) -> None:
    assert (await site.ask())["x-own"] == "1"
    assert site.sent[-1]["body"] == b"hi"


async def test_the_id_is_bound_to_every_log_line_of_the_request(site: Site) -> None:
    answered = (await site.ask())["x-request-id"]
    assert site.bound == {"request_id": answered}


async def test_what_another_request_bound_is_gone(site: Site) -> None:
    structlog.contextvars.bind_contextvars(left_over="x")
    await site.ask()
    assert "left_over" not in site.bound


async def test_a_request_is_measured_by_the_template_of_its_path(site: Site) -> None:
    await site.ask()
    assert site.counted() == ['method="GET",route="/a/{b}",status="200"']


async def test_an_unknown_path_is_measured_as_such(site: Site) -> None:
    site = Site(404, template=None)
    await site.ask()
    assert site.counted() == ['method="GET",route="unmatched",status="404"']


async def test_methods_that_do_not_exist_are_measured_as_one(site: Site) -> None:
    for method in ("BREW", "STEEP", "get", "POUR"):
        await site.ask(method=method)
    labels = set(re.findall(r'method="(.*?)"', site.metrics.render().decode()))
    assert labels == {"other"}


async def test_a_request_is_one_line_in_the_log(site: Site) -> None:
    with capture_logs() as logs:
        await site.ask(method="POST")
    (line,) = logs
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "route": "/a/{b}",
        "status": 200,
        "key": "alice",
    }


async def test_a_request_that_ends_without_an_answer_is_a_500(site: Site) -> None:
    site = Site(error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await site.ask()
    assert site.counted() == ['method="GET",route="/a/{b}",status="500"']


async def test_a_cancelled_request_is_measured_too() -> None:
    site = Site(error=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await site.ask()
    assert len(site.counted()) == 1


async def test_what_is_no_request_passes_untouched(site: Site) -> None:
    assert "x-request-id" not in await site.ask(kind="lifespan")
    assert site.counted() == []


class Conversation:
    """A stream behind the tracing: the messages that it sends."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.metrics = Metrics()
        self.sent: list[Any] = []
        self._messages = messages

    async def run(self) -> list[Any]:
        """Run it; the lines that it logs."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope |= {"path_template": "/live", "auth": "alice"}
            scope["state"][HEARD] = 2.5
            for message in self._messages:
                await send(message)

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope: Any = {"type": "websocket", "path": "/live", "headers": [(b"x-request-id", b"mine")], "state": {}}
        with capture_logs() as logs:
            await trace_requests(app, self.metrics)(scope, None, send)  # type: ignore[arg-type]
        return logs


async def test_a_stream_is_one_line_in_the_log_and_is_counted_by_its_code() -> None:
    stream = Conversation({"type": "websocket.accept"}, {"type": "websocket.close", "code": 1008, "reason": "why"})
    (line,) = await stream.run()
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "stream", "log_level": "info", "route": "/live", "code": 1008, "reason": "why",
        "heard": 2.5, "key": "alice",
    }  # fmt: skip
    metrics = stream.metrics.render().decode()
    assert 'parlante_stream_seconds_count{code="1008"} 1.0' in metrics
    assert "parlante_streams_open 0.0" in metrics


async def test_a_stream_that_its_client_left_is_counted_as_left() -> None:
    stream = Conversation({"type": "websocket.accept"})
    (line,) = await stream.run()
    assert (line["code"], line["reason"]) == (None, None)
    assert 'parlante_stream_seconds_count{code="left"} 1.0' in stream.metrics.render().decode()


async def test_a_refused_handshake_is_a_request() -> None:
    stream = Conversation({"type": "websocket.http.response.start", "status": 401, "headers": []})
    (line,) = await stream.run()
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 401)
    assert (b"x-request-id", b"mine") in [(name.lower(), value) for name, value in stream.sent[0]["headers"]]
    assert 'method="GET",route="/live",status="401"' in stream.metrics.render().decode()
