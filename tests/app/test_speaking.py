"""``POST /api/v1/synthesize``."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from domain.audio import Waveform
from tests.app.conftest import Service, StartService
from tests.app.raw import Exchange

HELLO = {"text": "Good morning.", "language": "en"}
LONG = {"text": "One thing. Another thing. A third thing.", "language": "en"}


async def speak(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post("/api/v1/synthesize", json=HELLO | changes)


async def nothing_is_left(service: Service) -> bool:
    """Whether no object was stored, no place is taken and the engine rests."""
    assert await service.places_taken() == 0
    assert service.backends.synthesizer.running == 0
    return await service.backends.store.keys() == []


async def until_the_engine_runs(service: Service) -> None:
    async with asyncio.timeout(5):
        while not service.backends.synthesizer.running:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# What it answers.


async def test_a_text_is_spoken_stored_and_a_link_answered(client: httpx.AsyncClient, service: Service) -> None:
    answer = await speak(client)
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"url", "expires_at", "key", "content_type", "duration", "size", "voice", "cached"}
    assert (body["content_type"], body["voice"], body["cached"]) == ("audio/wav", "fake-en", False)
    assert body["duration"] == pytest.approx(0.65, abs=0.01)
    assert body["key"].startswith("prod/speech/")
    assert body["url"].startswith(f"http://parlante.test/files/{body['key']}?")
    assert await service.backends.store.keys() == [body["key"]]


async def test_the_link_works_without_a_key_and_gives_the_whole_audio(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    body = (await speak(client)).json()
    audio = await stranger.get(body["url"])
    assert audio.status_code == 200
    assert audio.headers["content-type"] == body["content_type"]
    assert len(audio.content) == body["size"]
    assert (audio.content[:4], audio.content[8:12]) == (b"RIFF", b"WAVE")


async def test_the_link_expires_when_it_says(start: StartService) -> None:
    async with start(PARLANTE_STORAGE__URL_EXPIRY="120") as service, service.client() as client:
        expires_at = datetime.fromisoformat((await speak(client)).json()["expires_at"])
        assert timedelta(seconds=110) < expires_at - datetime.now(UTC) <= timedelta(seconds=121)


@pytest.mark.parametrize(
    ("name", "content_type", "magic"),
    [("wav", "audio/wav", b"RIFF"), ("flac", "audio/flac", b"fLaC"), ("opus", "audio/ogg", b"OggS")],
)
async def test_each_format_is_what_it_says(
    client: httpx.AsyncClient, name: str, content_type: str, magic: bytes
) -> None:
    body = (await speak(client, format=name)).json()
    assert body["content_type"] == content_type
    assert body["key"].endswith(f".{name}")
    assert (await client.get(body["url"])).content.startswith(magic)


async def test_mp3_is_mp3(client: httpx.AsyncClient) -> None:
    body = (await speak(client, format="mp3")).json()
    content = (await client.get(body["url"])).content
    assert body["content_type"] == "audio/mpeg"
    assert content.startswith(b"ID3") or (content[0], content[1] & 0xE0) == (0xFF, 0xE0)


async def test_what_was_spoken_is_heard_again(client: httpx.AsyncClient) -> None:
    body = (await speak(client)).json()
    audio = (await client.get(body["url"])).content
    heard = await client.post("/api/v1/transcribe", files={"audio_file": ("a.wav", audio)})
    assert heard.json()["duration"] == pytest.approx(body["duration"], abs=0.01)


async def test_voice_speed_and_pitch_reach_the_engine(client: httpx.AsyncClient, service: Service) -> None:
    body = (await speak(client, text="Buenos días.", language="es", voice="fake-es", speed=2.0, pitch=1.5)).json()
    ((text, options),) = service.backends.synthesizer.calls
    assert (text, options.voice.id, options.speed, options.pitch) == ("Buenos días.", "fake-es", 2.0, 1.5)
    assert body["voice"] == "fake-es"


async def test_a_link_starts_with_the_address_that_is_configured(start: StartService) -> None:
    for address in ("https://speech.example", "https://speech.example/"):
        async with start(PARLANTE_SERVER__PUBLIC_URL=address) as service, service.client() as client:
            assert (await speak(client)).json()["url"].startswith("https://speech.example/files/prod/")


async def test_a_configured_address_may_have_a_path(start: StartService) -> None:
    async with start(PARLANTE_SERVER__PUBLIC_URL="https://example.org/speech") as service, service.client() as client:
        assert (await speak(client)).json()["url"].startswith("https://example.org/speech/files/prod/")


# Spoken once.


async def test_the_same_request_is_answered_from_the_store_with_a_link_of_its_own(
    client: httpx.AsyncClient, service: Service
) -> None:
    first, second = (await speak(client)).json(), (await speak(client)).json()
    assert (first["cached"], second["cached"]) == (False, True)
    same = {"key", "content_type", "duration", "size", "voice"}
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert len(service.backends.synthesizer.calls) == 1


async def test_the_same_request_at_the_same_moment_is_spoken_once(service: Service) -> None:
    async with service.client() as client:
        answers = [answer.json() for answer in await asyncio.gather(*(speak(client) for _ in range(5)))]
    assert sorted(answer["cached"] for answer in answers) == [False, True, True, True, True]
    assert len({answer["key"] for answer in answers}) == 1
    assert len(service.backends.synthesizer.calls) == 1


async def test_seconds_of_speech_are_counted(client: httpx.AsyncClient, service: Service) -> None:
    duration = (await speak(client)).json()["duration"]
    await speak(client)
    assert await service.metric('parlante_audio_spoken_seconds_total{cached="false"}') == pytest.approx(duration)
    assert await service.metric('parlante_audio_spoken_seconds_total{cached="true"}') == pytest.approx(duration)


# Bad requests.


@pytest.mark.parametrize("text", [" ", "\n\t", "...", "¡¿?!", "🙂"])
async def test_a_text_with_nothing_to_say_is_refused(client: httpx.AsyncClient, service: Service, text: str) -> None:
    answer = await speak(client, text=text)
    assert (answer.status_code, answer.json()["code"]) == (422, "text_invalid")
    assert await nothing_is_left(service)


async def test_an_empty_text_is_refused(client: httpx.AsyncClient) -> None:
    assert (await speak(client, text="")).status_code in {400, 422}


async def test_a_text_that_is_too_long_is_refused(client: httpx.AsyncClient, service: Service) -> None:
    assert (await speak(client, text="a" * 200)).status_code == 201
    answer = await speak(client, text="a" * 201)
    assert (answer.status_code, answer.json()["code"]) == (400, "text_too_long")
    assert len(service.backends.synthesizer.calls) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "aac"}, "format"),
        ({"language": "English"}, "language"),
        ({"language": None}, "language"),
        ({"text": 7}, "text"),
        ({"speed": 0.4}, "speed"),
        ({"speed": 2.1}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"pitch": 0}, "pitch"),
        ({"voice": 1}, "voice"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
async def test_a_field_that_does_not_fit_is_named(
    client: httpx.AsyncClient, service: Service, changes: dict[str, Any], field: str
) -> None:
    answer = await speak(client, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    (named,) = answer.json()["fields"]
    assert field in named["field"] + named["message"]
    assert service.backends.synthesizer.calls == []


async def test_an_unknown_language_is_refused_with_the_known_ones(client: httpx.AsyncClient) -> None:
    answer = await speak(client, language="de")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_language")
    assert "en, es" in answer.json()["detail"]


@pytest.mark.parametrize("voice", ["zoe", "fake-es", ""])
async def test_an_unknown_voice_is_refused_with_the_known_ones(client: httpx.AsyncClient, voice: str) -> None:
    answer = await speak(client, voice=voice)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_voice")
    assert "fake-en" in answer.json()["detail"]


async def test_pitch_needs_an_engine_that_can(client: httpx.AsyncClient, service: Service) -> None:
    service.backends.synthesizer.pitch = False
    answer = await speak(client, pitch=1.1)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_option")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b'{"text": "\xff"}', b"text=hello"])
async def test_a_body_that_is_not_such_json_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post("/api/v1/synthesize", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
async def test_a_body_of_another_type_is_an_unsupported_media_type(
    client: httpx.AsyncClient, content_type: str
) -> None:
    answer = await client.post("/api/v1/synthesize", content=json.dumps(HELLO), headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await speak(client, text="a" * 2**20)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


# What goes wrong.


async def test_a_store_that_is_down_is_a_503_that_says_when_to_try_again(
    client: httpx.AsyncClient, service: Service
) -> None:
    service.backends.store.down = True
    answer = await speak(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["retryable"] is True
    service.backends.store.down = False
    assert await nothing_is_left(service)
    assert (await speak(client)).status_code == 201


async def test_a_store_that_goes_down_half_way_leaves_nothing(client: httpx.AsyncClient, service: Service) -> None:
    service.backends.synthesizer.wait_for = asyncio.Event()
    request = asyncio.create_task(speak(client))
    await until_the_engine_runs(service)
    service.backends.store.down = True
    service.backends.synthesizer.wait_for.set()
    assert (await request).json()["code"] == "storage_unavailable"
    service.backends.store.down = False
    assert await nothing_is_left(service)


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_an_engine_that_fails_half_way_leaves_nothing_and_the_next_request_is_spoken(
    client: httpx.AsyncClient, service: Service, after: int
) -> None:
    service.backends.synthesizer.fail_after = after
    answer = await speak(client, **LONG)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (500, "engine_failed", True)
    assert await nothing_is_left(service)
    service.backends.synthesizer.fail_after = None
    assert (await speak(client, **LONG)).json()["cached"] is False


async def test_an_engine_that_says_nothing_is_no_success(client: httpx.AsyncClient, service: Service) -> None:
    service.backends.synthesizer.script = [Waveform(samples=np.zeros(0, np.float32), sample_rate=22_050)]
    assert (await speak(client)).status_code >= 400
    assert await nothing_is_left(service)


async def test_past_all_places_it_is_overloaded(start: StartService) -> None:
    limits = {"PARLANTE_SPEECH__RUNNING": "1", "PARLANTE_SPEECH__WAITING": "0"}
    async with start(**limits) as service, service.client() as client:
        service.backends.synthesizer.wait_for = asyncio.Event()
        held = asyncio.create_task(speak(client))
        await until_the_engine_runs(service)
        answer = await speak(client, text="Something else.")
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        service.backends.synthesizer.wait_for.set()
        assert (await held).status_code == 201


async def test_work_past_the_time_limit_is_stopped(start: StartService) -> None:
    async with start(PARLANTE_SPEECH__TIME_LIMIT="0.1") as service, service.client() as client:
        service.backends.synthesizer.wait_for = asyncio.Event()
        answer = await speak(client)
        assert (answer.status_code, answer.json()["code"]) == (503, "deadline_exceeded")
        assert await nothing_is_left(service)


async def test_a_client_that_goes_away_stops_its_speech_and_leaves_nothing(service: Service) -> None:
    service.backends.synthesizer.wait_for = asyncio.Event()
    call = Exchange(
        service.app, "POST", "/api/v1/synthesize", {"content-type": "application/json"}, [json.dumps(LONG).encode()]
    )
    running = asyncio.create_task(call.run())
    await until_the_engine_runs(service)
    call.gone.set()
    async with asyncio.timeout(5):
        await running
    assert await nothing_is_left(service)


async def test_a_client_that_goes_away_does_not_disturb_another_with_the_same_request(service: Service) -> None:
    service.backends.synthesizer.wait_for = asyncio.Event()
    body = [json.dumps(LONG).encode()]
    leaving = Exchange(service.app, "POST", "/api/v1/synthesize", {"content-type": "application/json"}, body)
    gone = asyncio.create_task(leaving.run())
    await until_the_engine_runs(service)
    async with service.client() as client:
        staying = asyncio.create_task(speak(client, **LONG))
        await asyncio.sleep(0.05)
        leaving.gone.set()
        await gone
        service.backends.synthesizer.wait_for.set()
        assert (await staying).status_code == 201
    assert len(service.backends.synthesizer.calls) == 1
