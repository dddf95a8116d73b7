"""Who may open a live stream: keys in headers, tickets for browsers, pages of which origins; and what the log tells."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.end_to_end.live import Client, address, connected, log_lines, refused, said, soon, transcribed, wav
from tests.end_to_end.service import API_KEY, WHISPER, Service, service

SHORT = "en-04.flac"


def ticket_of(service: Service) -> str:
    answer = service.http.post("/api/v1/streaming/tickets")
    assert answer.status_code == 201
    ticket: str = answer.json()["ticket"]
    return ticket


async def opens(service: Service, headers: dict[str, str], **query: Any) -> Client:
    async with connected(service, headers=headers, **query) as client:
        await client.act("stop")
        await client.rest()
    return client


@pytest.mark.parametrize("headers", [{"X-API-Key": API_KEY}, {"Authorization": f"Bearer {API_KEY}"}])
async def test_a_key_in_a_header_opens_a_stream(live: Service, headers: dict[str, str]) -> None:
    assert (await opens(live, headers)).closed == (1003, "audio_empty")


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({"X-API-Key": "parlante_wrong"}, {}),
        ({"Authorization": "Bearer parlante_wrong"}, {}),
        ({"Authorization": f"Basic {API_KEY}"}, {}),
        ({}, {"api_key": API_KEY}),
        ({}, {"token": API_KEY}),
        ({}, {"ticket": API_KEY}),
        ({}, {"ticket": "wrong"}),
        ({}, {"ticket": ""}),
    ],
)
async def test_what_is_no_key_in_a_header_is_refused_at_the_handshake(
    live: Service, headers: dict[str, str], query: dict[str, str]
) -> None:
    answer = await refused(live, headers=headers, **query)
    problem = json.loads(answer.body)
    assert answer.status_code == problem["status"] == 401
    assert problem["code"] == "unauthorized"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["x-request-id"]
    assert API_KEY.encode() not in answer.body


async def test_a_ticket_opens_one_stream(live: Service) -> None:
    ticket = ticket_of(live)
    assert (await opens(live, {}, ticket=ticket)).closed == (1003, "audio_empty")
    assert (await refused(live, headers={}, ticket=ticket)).status_code == 401


async def test_of_two_that_come_at_once_with_a_ticket_one_is_let_in(live: Service) -> None:
    ticket = ticket_of(live)
    tries = await asyncio.gather(*(opens(live, {}, ticket=ticket) for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, Client) for one in tries) == [False, False, False, True]


async def test_a_ticket_is_no_key(live: Service) -> None:
    for headers in ({"X-API-Key": ticket_of(live)}, {"Authorization": f"Bearer {ticket_of(live)}"}):
        assert (await refused(live, headers=headers)).status_code == 401


def test_a_ticket_opens_nothing_but_a_stream(live: Service) -> None:
    ticket = ticket_of(live)
    assert httpx.get(f"{live.url}/api/v1/voices", params={"ticket": ticket}).status_code == 401
    assert httpx.post(f"{live.url}/api/v1/streaming/tickets", params={"ticket": ticket}).status_code == 401


def test_a_ticket_needs_a_key(live: Service) -> None:
    assert httpx.post(f"{live.url}/api/v1/streaming/tickets").status_code == 401


async def test_a_stream_is_one_line_in_the_log_and_names_the_holder(live: Service) -> None:
    ticket = ticket_of(live)
    async with connected(live, headers={"X-Request-ID": "a-stream-of-ours"}, ticket=ticket) as client:
        await client.send(wav(SHORT))
        await client.act("stop")
        await client.rest()

    def lines() -> list[dict[str, Any]]:
        return [line for line in log_lines(live, "stream") if line["request_id"] == "a-stream-of-ours"]

    assert await soon(lines)
    (line,) = lines()
    assert (line["route"], line["code"], line["key"]) == ("/api/v1/streaming", 1000, "API_KEY")
    assert line["heard"] == pytest.approx(2.3, abs=0.1)
    assert line["seconds"] > 0


async def test_no_secret_and_no_word_is_in_the_log(live: Service) -> None:
    ticket = ticket_of(live)
    async with connected(live, headers={}, ticket=ticket, prompt="zebras", hotwords="giraffes") as client:
        await client.send(wav(SHORT))
        await client.act("stop")
        await client.rest()
    assert client.text == said(SHORT)
    await refused(live, headers={}, api_key=API_KEY)
    await opens(live, {"X-API-Key": API_KEY}, events="true")
    async with connected(live) as client:
        await client.socket.send('{"action": "elephants"}')
        await client.rest()
    log = live.log.read_text("utf-8")
    for secret in (API_KEY, ticket, "zebras", "giraffes", "elephants", "morning", "Morning"):
        assert secret not in log


async def test_streams_are_counted_by_how_they_ended(live: Service) -> None:
    before = live.metric("parlante_stream_seconds_count", code="1000")
    heard = live.metric("parlante_audio_transcribed_seconds_total")
    finals = live.metric("parlante_stage_seconds_count", use_case="listen", stage="inference")
    await transcribed(live, wav(SHORT))
    assert await soon(lambda: live.metric("parlante_stream_seconds_count", code="1000") == before + 1)
    assert live.metric("parlante_audio_transcribed_seconds_total") == pytest.approx(heard + 2.3, abs=0.1)
    assert live.metric("parlante_stage_seconds_count", use_case="listen", stage="inference") > finals
    assert live.metric("parlante_streams_open") == 0


PAGE = "https://app.example"


@pytest.fixture(scope="module")
def for_pages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service that pages of one origin may use, with tickets that live half a second."""
    variables = {**WHISPER, "PARLANTE_SERVER__CORS_ORIGINS": f'["{PAGE}"]', "PARLANTE_LIVE__TICKET_LIFETIME": "0.5"}
    with service(tmp_path_factory.mktemp("pages"), "dev", variables) as running:
        yield running


async def test_an_expired_ticket_opens_nothing(for_pages: Service) -> None:
    ticket = ticket_of(for_pages)
    await asyncio.sleep(0.7)
    assert (await refused(for_pages, headers={}, ticket=ticket)).status_code == 401


def test_pages_of_a_configured_origin_may_ask_with_a_key(for_pages: Service) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    answer = httpx.options(f"{for_pages.url}/api/v1/streaming/tickets", headers={"Origin": PAGE, **asked})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-api-key" in answer.headers["access-control-allow-headers"]


async def test_pages_of_a_configured_origin_may_open_a_stream(for_pages: Service) -> None:
    answer = for_pages.http.post("/api/v1/streaming/tickets", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    client = await opens(for_pages, {"Origin": PAGE}, ticket=answer.json()["ticket"])
    assert client.closed == (1003, "audio_empty")


async def test_pages_of_the_service_itself_may_open_a_stream(for_pages: Service) -> None:
    headers = {"Origin": for_pages.url.replace("http:", "https:"), **for_pages.headers}  # as behind a proxy with TLS
    assert (await opens(for_pages, headers)).closed == (1003, "audio_empty")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "https://app.example.evil", "http://"])
async def test_pages_of_other_origins_may_not(for_pages: Service, live: Service, origin: str) -> None:
    for running in (for_pages, live):
        answer = await refused(running, headers={"Origin": origin, **running.headers})
        assert answer.status_code == 403
        assert json.loads(answer.body)["code"] == "origin_not_allowed"
        plain = running.http.post("/api/v1/streaming/tickets", headers={"Origin": origin})
        assert "access-control-allow-origin" not in plain.headers


async def test_an_open_service_is_closed_to_pages_of_other_origins_too(demo: Service) -> None:
    assert (await refused(demo, headers={"Origin": PAGE})).status_code == 403


def test_a_plain_request_to_the_live_endpoint_is_told_so(live: Service) -> None:
    answer = live.http.get("/api/v1/streaming")
    assert answer.status_code in {404, 405, 426}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_address_may_end_in_a_slash(live: Service) -> None:
    place = address(live) + "/"
    async with websockets.connect(place, additional_headers=live.headers, proxy=None) as socket:
        await socket.close()


def test_tickets_are_not_written_anywhere(live: Service, tmp_path: Path) -> None:
    ticket = ticket_of(live)
    assert all(ticket.encode() not in file.read_bytes() for file in live.folder.rglob("*") if file.is_file())
