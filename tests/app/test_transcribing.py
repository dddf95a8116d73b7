"""``POST /api/v1/transcribe``."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import wave
from typing import Any

import httpx
import pytest

from domain.errors import EngineUnavailable
from domain.transcript import Task
from tests.app.conftest import AUDIO, Service, StartService
from tests.app.raw import Exchange

FILES = [entry["file"] for entry in json.loads((AUDIO / "files.json").read_text("utf-8"))["files"]]
FORM = {"content-type": "multipart/form-data; boundary=frontier"}
HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="audio_file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n"
)
END = b"\r\n--frontier--\r\n"


async def send(client: httpx.AsyncClient, audio: bytes, **fields: str) -> httpx.Response:
    return await client.post("/api/v1/transcribe", files={"audio_file": ("a.wav", audio)}, data=fields)


async def problem(client: httpx.AsyncClient, audio: bytes, **fields: str) -> tuple[int, str]:
    """Status and code of a refused recording."""
    answer = await send(client, audio, **fields)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def wav(seconds: float, *, rate: int = 8000, promised: int | None = None) -> bytes:
    """Silence; ``promised`` bytes are what its header says it has."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(bytes(2 * round(seconds * rate)))
    content = bytearray(file.getvalue())
    if promised is not None:
        content[4:8] = struct.pack("<I", promised + 36)
        content[40:44] = struct.pack("<I", promised)
    return bytes(content)


async def nothing_is_held(service: Service) -> bool:
    """Whether no place is taken and the engine rests."""
    return service.backends.transcriber.running == 0 and await service.places_taken() == 0


async def until_the_engine_runs(service: Service) -> None:
    async with asyncio.timeout(5):
        while not service.backends.transcriber.running:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# What it answers.


async def test_a_recording_is_transcribed(client: httpx.AsyncClient, recording: bytes) -> None:
    answer = await send(client, recording)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    duration = body.pop("duration")
    assert duration == pytest.approx(2.98, abs=0.05)
    assert body == {
        "transcription": "Turn on the light. Where is the hospital?",
        "language": "en",
        "language_probability": 0.9,
        "model": "script",
        "segments": [
            {"start": 0.0, "end": duration / 2, "text": "Turn on the light."},
            {"start": duration / 2, "end": duration, "text": "Where is the hospital?"},
        ],
    }


async def test_words_are_answered_where_they_are_asked_for(client: httpx.AsyncClient, recording: bytes) -> None:
    segment = (await send(client, recording, word_timestamps="true")).json()["segments"][0]
    assert [word["word"] for word in segment["words"]] == ["Turn", "on", "the", "light."]
    assert set(segment["words"][0]) == {"start", "end", "word", "probability"}


async def test_every_option_reaches_the_engine(client: httpx.AsyncClient, service: Service, recording: bytes) -> None:
    await send(
        client, recording, language="es", task="translate", word_timestamps="true", prompt="Señor", hotwords="Madrid",
        vad="false", temperature="0.5", beam_size="3",
    )  # fmt: skip
    ((_, options),) = service.backends.transcriber.calls
    assert (options.language, options.task, options.word_timestamps) == ("es", Task.TRANSLATE, True)
    assert (options.prompt, options.hotwords, options.vad) == ("Señor", "Madrid", False)
    assert (options.temperature, options.beam_size) == (0.5, 3)


async def test_options_that_are_not_sent_or_empty_are_left_to_the_engine(
    client: httpx.AsyncClient, service: Service, recording: bytes
) -> None:
    await send(client, recording, language="", prompt="", temperature="", vad="")
    ((_, options),) = service.backends.transcriber.calls
    assert (options.language, options.prompt, options.temperature, options.vad) == (None, None, None, None)


async def test_silence_is_an_empty_transcription(client: httpx.AsyncClient) -> None:
    body = (await send(client, wav(1.0))).json()
    assert (body["transcription"], body["segments"], body["duration"]) == ("", [], 1.0)


@pytest.mark.parametrize("file", FILES)
async def test_every_kind_of_file_is_heard_whatever_it_is_called(
    client: httpx.AsyncClient, service: Service, file: str
) -> None:
    answer = await send(client, (AUDIO / file).read_bytes())
    assert answer.status_code == 200
    assert answer.json()["duration"] == pytest.approx(2.98, abs=0.15)
    ((audio, _),) = service.backends.transcriber.calls
    assert audio.sample_rate == 16_000


async def test_requests_at_the_same_moment_are_each_answered(service: Service, recording: bytes) -> None:
    async with service.client() as client:
        service.backends.transcriber.wait_for = asyncio.Event()
        requests = [asyncio.create_task(send(client, recording)) for _ in range(6)]
        async with asyncio.timeout(5):
            while service.backends.transcriber.running < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        service.backends.transcriber.wait_for.set()
        answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert service.backends.transcriber.most_running == service.backends.transcriber.parallel == 2


# Bad recordings.


BAD_RECORDINGS = {
    "not audio": (b"this is no audio at all, whatever its name may say" * 20, 422, "audio_invalid"),
    "empty": (b"", 422, "audio_empty"),
    "no samples": (wav(0.0), 422, "audio_empty"),
    "truncated": (wav(2.0)[:20_000], 422, "audio_truncated"),
    "a header that promises hours": (wav(0.1, promised=1_000_000_000), 413, "audio_too_long"),
    "longer than the limit": (wav(21.0), 413, "audio_too_long"),
    "larger than the limit": (bytes(2_000_001), 413, "upload_too_large"),
}


@pytest.mark.parametrize("bad", BAD_RECORDINGS)
async def test_a_bad_recording_is_refused_and_leaves_nothing_held(
    client: httpx.AsyncClient, service: Service, bad: str
) -> None:
    audio, status, code = BAD_RECORDINGS[bad]
    assert await problem(client, audio) == (status, code)
    assert await nothing_is_held(service)


async def test_after_many_bad_uploads_there_is_still_a_place_for_a_good_one(
    start: StartService, recording: bytes
) -> None:
    one_place = {"PARLANTE_TRANSCRIPTION__RUNNING": "1", "PARLANTE_TRANSCRIPTION__WAITING": "0"}
    async with start(**one_place) as service, service.client() as client:
        for audio, status, code in BAD_RECORDINGS.values():
            assert await problem(client, audio) == (status, code)
        assert await problem(client, recording, language="klingon") == (400, "invalid_request")
        assert (await send(client, recording)).status_code == 200


# Bad fields.


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"task": "summarize"}, "task"),
        ({"language": "Spanish"}, "language"),
        ({"word_timestamps": "perhaps"}, "word_timestamps"),
        ({"vad": "2"}, "vad"),
        ({"temperature": "1.5"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"beam_size": "0"}, "beam_size"),
        ({"beam_size": "21"}, "beam_size"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
async def test_a_field_that_does_not_fit_is_named(
    client: httpx.AsyncClient, service: Service, recording: bytes, fields: dict[str, str], named: str
) -> None:
    answer = await send(client, recording, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    (field,) = answer.json()["fields"]
    assert named in field["field"] + field["message"]
    assert service.backends.transcriber.calls == []


async def test_a_language_that_the_engine_does_not_know_is_refused_with_those_it_does(
    client: httpx.AsyncClient, recording: bytes
) -> None:
    answer = await send(client, recording, language="de")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_language")
    assert answer.json()["detail"] == "language 'de' is not supported; supported: en, es"


@pytest.mark.parametrize(
    ("field", "value", "feature"),
    [
        ("task", "translate", "translation"),
        ("word_timestamps", "true", "word_timestamps"),
        ("prompt", "x", "prompt"),
        ("hotwords", "x", "hotwords"),
        ("vad", "true", "vad"),
        ("temperature", "0", "temperature"),
        ("beam_size", "1", "beam_size"),
    ],
)
async def test_what_the_engine_cannot_do_is_named(
    client: httpx.AsyncClient, service: Service, recording: bytes, field: str, value: str, feature: str
) -> None:
    service.backends.transcriber.features = frozenset()
    answer = await send(client, recording, **{field: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_option")
    assert repr(feature) in answer.json()["detail"]


async def test_a_missing_file_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/transcribe", files={"language": (None, "en")})
    assert answer.status_code == 400
    assert "audio_file" in answer.json()["detail"]


async def test_a_file_sent_as_a_plain_field_is_explained(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/transcribe", files={"audio_file": (None, b"RIFF")})
    assert answer.status_code == 400
    assert answer.json()["fields"] == [{"field": "audio_file", "message": "Expected a file, sent with a file name"}]


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b"{}"),
        ("audio/wav", b"RIFF"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("multipart/form-data", HEAD + b"RIFF" + END),
    ],
)
async def test_a_body_that_is_no_form_is_an_unsupported_media_type(
    client: httpx.AsyncClient, content_type: str, content: bytes
) -> None:
    answer = await client.post("/api/v1/transcribe", content=content, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_malformed_form_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/transcribe", content=HEAD + b"RIFF", headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


# Limits.


async def test_an_endless_upload_is_refused_while_it_comes_in(service: Service) -> None:
    pieces = [HEAD, *[bytes(100_000)] * 60]
    call = Exchange(service.app, "POST", "/api/v1/transcribe", FORM, content=pieces)
    await call.run()
    assert (call.status, json.loads(call.body)["code"]) == (413, "upload_too_large")
    assert call.consumed_at_answer < 2_300_000


async def test_a_silent_upload_is_given_up(start: StartService) -> None:
    async with start(PARLANTE_TRANSCRIPTION__UPLOAD_PATIENCE="0.05") as service:
        call = Exchange(service.app, "POST", "/api/v1/transcribe", FORM, content=[HEAD], stalls=True)
        await call.run()
        assert (call.status, json.loads(call.body)["code"]) == (408, "upload_stalled")
        assert await nothing_is_held(service)


async def test_past_all_places_it_is_overloaded_and_says_when_to_try_again(
    start: StartService, recording: bytes
) -> None:
    limits = {"PARLANTE_TRANSCRIPTION__RUNNING": "1", "PARLANTE_TRANSCRIPTION__WAITING": "1"}
    async with start(**limits) as service, service.client() as client:
        service.backends.transcriber.wait_for = asyncio.Event()
        held = [asyncio.create_task(send(client, recording)) for _ in range(2)]
        await until_the_engine_runs(service)
        refused = await send(client, recording)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.json()["retryable"] is True
        assert int(refused.headers["retry-after"]) >= 1
        service.backends.transcriber.wait_for.set()
        assert [(await task).status_code for task in held] == [200, 200]
        assert await nothing_is_held(service)


async def test_a_wait_that_is_too_long_is_an_overload(start: StartService, recording: bytes) -> None:
    limits = {"PARLANTE_TRANSCRIPTION__RUNNING": "1", "PARLANTE_TRANSCRIPTION__PATIENCE": "0.05"}
    async with start(**limits) as service, service.client() as client:
        service.backends.transcriber.wait_for = asyncio.Event()
        held = asyncio.create_task(send(client, recording))
        await until_the_engine_runs(service)
        assert await problem(client, recording) == (503, "overloaded")
        service.backends.transcriber.wait_for.set()
        assert (await held).status_code == 200


async def test_work_past_the_time_limit_is_stopped(start: StartService, recording: bytes) -> None:
    async with start(PARLANTE_TRANSCRIPTION__TIME_LIMIT="0.2") as service, service.client() as client:
        service.backends.transcriber.wait_for = asyncio.Event()
        answer = await send(client, recording)
        assert (answer.status_code, answer.json()["code"]) == (503, "deadline_exceeded")
        assert answer.headers["retry-after"]
        assert await nothing_is_held(service)


# Engines that fail, clients that go away.


@pytest.mark.parametrize("after", [-1, 0, 1])
async def test_an_engine_that_fails_is_a_500_and_the_next_recording_is_heard(
    client: httpx.AsyncClient, service: Service, recording: bytes, after: int
) -> None:
    service.backends.transcriber.fail_after = after
    answer = await send(client, recording)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (500, "engine_failed", True)
    assert await nothing_is_held(service)
    service.backends.transcriber.fail_after = None
    assert (await send(client, recording)).status_code == 200


async def test_an_engine_that_is_not_there_is_a_503(
    client: httpx.AsyncClient, service: Service, recording: bytes
) -> None:
    service.backends.transcriber.fail_after = -1
    service.backends.transcriber.error = EngineUnavailable("the engine is restarting", retry_after=3.0)
    answer = await send(client, recording)
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
    assert answer.headers["retry-after"] == "3"


async def test_a_bug_in_an_engine_says_nothing_of_itself(
    client: httpx.AsyncClient, service: Service, recording: bytes
) -> None:
    service.backends.transcriber.fail_after = 0
    service.backends.transcriber.error = ZeroDivisionError("in /srv/engine.py with token hunter2")
    answer = await send(client, recording)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert await nothing_is_held(service)


async def test_a_client_that_goes_away_while_its_recording_is_heard_stops_the_work(
    service: Service, recording: bytes
) -> None:
    service.backends.transcriber.wait_for = asyncio.Event()
    call = Exchange(service.app, "POST", "/api/v1/transcribe", FORM, content=[HEAD + recording + END])
    running = asyncio.create_task(call.run())
    await until_the_engine_runs(service)
    call.gone.set()
    async with asyncio.timeout(5):
        await running
    assert await nothing_is_held(service)
    assert call.status == 499


async def test_a_client_that_goes_away_in_its_upload_frees_its_place(start: StartService, recording: bytes) -> None:
    one_place = {"PARLANTE_TRANSCRIPTION__RUNNING": "1", "PARLANTE_TRANSCRIPTION__WAITING": "0"}
    async with start(**one_place) as service, service.client() as client:
        call = Exchange(service.app, "POST", "/api/v1/transcribe", FORM, content=[HEAD, bytes(5000)], stalls=True)
        running = asyncio.create_task(call.run())
        async with asyncio.timeout(5):
            while call.consumed < 5000:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert await problem(client, recording) == (503, "overloaded")
        call.gone.set()
        await running
        assert (await send(client, recording)).status_code == 200


async def test_a_request_that_the_server_cancels_frees_everything(service: Service, recording: bytes) -> None:
    service.backends.transcriber.wait_for = asyncio.Event()
    call = Exchange(service.app, "POST", "/api/v1/transcribe", FORM, content=[HEAD + recording + END])
    running = asyncio.create_task(call.run())
    await until_the_engine_runs(service)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert await nothing_is_held(service)


async def test_the_upload_is_closed_whatever_becomes_of_it(
    client: httpx.AsyncClient, service: Service, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litestar.datastructures import UploadFile  # noqa: PLC0415

    made: list[UploadFile] = []

    class Noted(UploadFile):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("app.multipart.reader.UploadFile", Noted)
    await send(client, recording)
    await send(client, b"no audio")
    await send(client, recording, task="summarize")
    service.backends.transcriber.fail_after = 1
    await send(client, recording)
    assert [file.file.closed for file in made] == [True] * 4
