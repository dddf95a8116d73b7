"""Each bad input gets its answer, and nothing of it is left: no place taken, no temporary file, no object."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import psutil
import pytest
from faster_whisper.audio import decode_audio

from tests.end_to_end.service import API_KEY, DATA, EMBEDDED, REPOSITORY, Service, eventually, service, words

MAX_UPLOAD = 4 * 2**20
TRAIN = REPOSITORY / "samples" / "train.mp3"
LIMITS = {
    "PARLANTE_TRANSCRIPTION__MAX_UPLOAD": str(MAX_UPLOAD),
    "PARLANTE_TRANSCRIPTION__MAX_DURATION": "60",
    "PARLANTE_TRANSCRIPTION__UPLOAD_PATIENCE": "1",
    "PARLANTE_TRANSCRIPTION__WAITING": "1",
    "PARLANTE_SPEECH__WAITING": "1",
    "PARLANTE_SPEECH__MAX_CHARACTERS": "500000",
}
HOURS_OF_TEXT = "A long text has many words. " * 15_000


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The embedded engines behind a key, with low limits: one request at work and one that waits."""
    with service(tmp_path_factory.mktemp("strict"), "dev", EMBEDDED | LIMITS) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_left(strict: Service) -> Iterator[None]:
    before = set(strict.stored())
    yield
    assert eventually(lambda: strict.places_taken() == 0)
    assert eventually(lambda: strict.temporary_files() == []), strict.temporary_files()
    assert set(strict.stored()) == before


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is a problem, well-formed and silent about the inside of the service."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"title", "status", "code", "detail", "retryable"} <= set(body)
    assert body["status"] == answer.status_code
    assert body["retryable"] is (answer.status_code == 503 or body["code"] == "engine_failed")
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    for secret in (str(REPOSITORY), "Traceback", ".py", API_KEY):
        assert secret not in answer.text
    return answer.status_code, body["code"]


# Recordings that are none, or not whole, or too long.


def wav(seconds: float, promised: float | None = None) -> bytes:
    """A WAV file of silence, 16 kHz, whose header may promise more."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * int(seconds * 16_000)))
    content = bytearray(buffer.getvalue())
    if promised is not None:
        content[40:44] = struct.pack("<I", int(promised * 32_000))
    return bytes(content)


def bomb(seconds: int) -> bytes:
    """A FLAC file of silence, tiny for its length, whose header does not state it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8_000, layout="mono", format="s16")
        for _ in range(seconds // 10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 80_000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = bytearray(buffer.getvalue())
    content[21] &= 0xF0  # STREAMINFO, RFC 9639 section 8.2: the total number of samples has 36 bits; 0 is unknown
    content[22:26] = bytes(4)
    return bytes(content)


def silent_film() -> bytes:
    """An MP4 file with a picture and no sound."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def first_half(name: str) -> bytes:
    content = (DATA / "audio" / name).read_bytes()
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        pytest.param(lambda: b"", (422, "audio_empty"), id="empty"),
        pytest.param(lambda: b"Dear Sir or Madam", (422, "audio_invalid"), id="letter"),
        pytest.param(lambda: np.random.default_rng(1).bytes(100_000), (422, "audio_invalid"), id="noise"),
        pytest.param(lambda: b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", (422, "audio_invalid"), id="playlist"),
        pytest.param(lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", (422, "audio_invalid"), id="concat"),
        pytest.param(silent_film, (422, "audio_invalid"), id="silent-film"),
        pytest.param(lambda: wav(0), (422, "audio_empty"), id="no-samples"),
        pytest.param(lambda: first_half("wav-s16-44k-stereo.wav"), (422, "audio_truncated"), id="half-wav"),
        pytest.param(lambda: first_half("flac.flac"), (422, "audio_truncated"), id="half-flac"),
        pytest.param(lambda: first_half("ogg-opus.ogg"), (422, "audio_truncated"), id="half-ogg"),
        pytest.param(lambda: first_half("m4a-aac.m4a"), (422, "audio_truncated"), id="half-m4a"),
        pytest.param(lambda: wav(1, promised=3 * 3600), (413, "audio_too_long"), id="promises-hours"),
        pytest.param(lambda: bomb(3 * 3600), (413, "audio_too_long"), id="bomb"),
        pytest.param(lambda: wav(61), (413, "audio_too_long"), id="too-long"),
    ],
)
def test_a_bad_recording_is_refused(strict: Service, audio: Any, expected: tuple[int, str]) -> None:
    assert problem(strict.transcribe(audio())) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"language": "fr"}, (400, "unsupported_language")),
        ({"language": "English!"}, (400, "invalid_request")),
        ({"task": "sing"}, (400, "invalid_request")),
        ({"task": "translate"}, (400, "unsupported_option")),
        ({"prompt": "Boston"}, (400, "unsupported_option")),
        ({"word_timestamps": "perhaps"}, (400, "invalid_request")),
        ({"temperature": "hot"}, (400, "invalid_request")),
        ({"beam_size": "1000"}, (400, "invalid_request")),
        ({"colour": "red"}, (400, "invalid_request")),
        ({"prompt": "x" * 70_000}, (413, "upload_too_large")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value[1],
)
def test_a_bad_field_is_refused(strict: Service, fields: dict[str, str], expected: tuple[int, str]) -> None:
    answer = strict.transcribe(TRAIN, **fields)
    assert problem(answer) == expected
    if expected[1] == "invalid_request":
        assert [field["field"] for field in answer.json()["fields"]] == list(fields)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"text": ""}, (422, "text_invalid")),
        ({"text": " \n "}, (422, "text_invalid")),
        ({"text": "?! … —"}, (422, "text_invalid")),
        ({"text": "x" * 500_001}, (400, "text_too_long")),
        ({"text": 7}, (400, "invalid_request")),
        ({"text": "Bonjour", "language": "fr"}, (400, "unsupported_language")),
        ({"text": "Hello", "language": "English"}, (400, "invalid_request")),
        ({"text": "Hello", "voice": "nobody"}, (400, "unknown_voice")),
        ({"text": "Hello", "voice": "es"}, (400, "unknown_voice")),
        ({"text": "Hello", "format": "aiff"}, (400, "invalid_request")),
        ({"text": "Hello", "speed": 9}, (400, "invalid_request")),
        ({"text": "Hello", "colour": "red"}, (400, "invalid_request")),
        ({}, (400, "invalid_request")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_text_is_refused(strict: Service, order: dict[str, Any], expected: tuple[int, str]) -> None:
    assert problem(strict.http.post("/api/v1/synthesize", json={"language": "en"} | order)) == expected


@pytest.mark.parametrize(
    ("path", "content_type", "content", "expected"),
    [
        ("transcribe", "application/json", b"{}", (415, "unsupported_media_type")),
        ("transcribe", "audio/wav", b"RIFF", (415, "unsupported_media_type")),
        ("transcribe", "multipart/form-data", b"", (415, "unsupported_media_type")),
        ("transcribe", "multipart/form-data; boundary=x", b"--x--\r\n", (400, "invalid_request")),
        ("transcribe", "multipart/form-data; boundary=x", b"--y\r\n", (400, "invalid_request")),
        ("synthesize", "application/json", b'{"text": "Hel', (400, "invalid_request")),
        ("synthesize", "application/json", b"[]", (400, "invalid_request")),
        ("synthesize", "text/plain", b"Hello", (415, "unsupported_media_type")),
        ("synthesize", "multipart/form-data; boundary=x", b"--x--\r\n", (415, "unsupported_media_type")),
    ],
)
def test_a_bad_body_is_refused(
    strict: Service, path: str, content_type: str, content: bytes, expected: tuple[int, str]
) -> None:
    answer = strict.http.post(f"/api/v1/{path}", content=content, headers={"Content-Type": content_type})
    assert problem(answer) == expected


def test_a_form_without_a_recording_is_refused(strict: Service) -> None:
    answer = strict.http.post("/api/v1/transcribe", files={"language": (None, "en")})
    assert problem(answer) == (400, "invalid_request")
    assert "audio_file" in answer.json()["detail"]


def test_a_recording_that_is_no_file_is_refused(strict: Service) -> None:
    answer = strict.http.post("/api/v1/transcribe", files={"audio_file": (None, "la la la")})
    assert problem(answer) == (400, "invalid_request")


def test_two_recordings_are_refused(strict: Service) -> None:
    two = [("audio_file", ("a", b"a")), ("audio_file", ("b", b"b"))]
    assert problem(strict.http.post("/api/v1/transcribe", files=two)) == (400, "invalid_request")


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
@pytest.mark.parametrize("path", ["transcribe", "synthesize", "voices", "models"])
def test_a_caller_without_a_known_key_is_refused(strict: Service, path: str, headers: dict[str, str]) -> None:
    method = "GET" if path in {"voices", "models"} else "POST"
    answer = httpx.request(method, f"{strict.url}/api/v1/{path}", headers=headers)
    assert problem(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_is_taken_as_a_bearer_token_too(strict: Service) -> None:
    answer = httpx.get(f"{strict.url}/api/v1/voices", headers={"Authorization": f"Bearer {API_KEY}"})
    assert answer.status_code == 200


def test_unknown_paths_and_methods_are_refused(strict: Service) -> None:
    assert problem(strict.http.get("/api/v1/nothing")) == (404, "not_found")
    assert problem(strict.http.get("/api/v1/transcribe")) == (405, "method_not_allowed")


# Uploads that are too large, too slow, or end too soon.


def form(content: Iterator[bytes]) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="a.wav"\r\n\r\n'
    yield from content
    yield b"\r\n--x--\r\n"


def zeros(size: int) -> Iterator[bytes]:
    return (bytes(2**16) for _ in range(size // 2**16))


def send(service: Service, size: int, *, stated: bool = False) -> httpx.Response:
    """Send a large form in small pieces, its length stated or not."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if stated:
        headers["Content-Length"] = str(sum(map(len, form(zeros(size)))))
    return service.http.post("/api/v1/transcribe", content=form(zeros(size)), headers=headers)


def curl(service: Service, file: Path, *options: str) -> tuple[int, dict[str, Any], int]:
    """Status, body and bytes sent of an upload with curl."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code} %{size_upload}", *options,
         "--header", f"X-API-Key: {API_KEY}", "--form", f"audio_file=@{file}", f"{service.url}/api/v1/transcribe"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    body, _, numbers = done.stdout.rpartition("\n")
    status, sent = numbers.split()
    return int(status), json.loads(body), int(sent)


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "chunked"])
@pytest.mark.parametrize("size", [MAX_UPLOAD + 2**16, 2 * MAX_UPLOAD, 100 * 2**20])
def test_an_upload_that_is_too_large_is_refused_while_it_comes(strict: Service, size: int, stated: bool) -> None:
    for _ in range(4):  # on one connection, as far as the service keeps it
        assert problem(send(strict, size, stated=stated)) == (413, "upload_too_large")
        assert strict.http.get("/api/v1/voices").status_code == 200


@pytest.mark.parametrize("option", ["Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"])
def test_curl_hears_that_its_upload_is_too_large(strict: Service, option: str, tmp_path: Path) -> None:
    size = 60 * 2**20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    status, body, sent = curl(strict, tmp_path / "large", "--header", option)
    assert (status, body["code"]) == (413, "upload_too_large")
    assert sent < size


@contextmanager
def half_an_upload(service: Service, content: bytes = bytes(3 * 2**20)) -> Iterator[socket.socket]:
    """A connection that has sent the head and some of the content of an upload."""
    start = next(form(iter(())))
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/v1/transcribe HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {len(start) + len(content) + 1_000}\r\n\r\n".encode()
        )
        connection.sendall(start + content)
        yield connection


def test_a_client_that_goes_away_in_its_upload_leaves_nothing(strict: Service) -> None:
    for _ in range(5):  # more than there are places for uploads
        with half_an_upload(strict):
            assert eventually(lambda: strict.temporary_files() != [])
        assert eventually(lambda: strict.temporary_files() == [])
    assert words(strict.transcribe(TRAIN).json()["transcription"])[:2] == ["the", "train"]


def test_a_client_that_falls_silent_in_its_upload_is_not_waited_for(strict: Service) -> None:
    began = time.monotonic()
    with half_an_upload(strict) as connection:
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 408")
    assert '"upload_stalled"' in answer
    assert time.monotonic() - began < 5


# Requests that are at work.


@pytest.fixture(scope="module")
def minute() -> bytes:
    """A WAV file of 55 s of speech, which takes PocketSphinx several seconds."""
    speech = decode_audio(str(REPOSITORY / "samples" / "meeting.mp3"))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.tile(speech, 5)[: 55 * 16_000] * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


@contextmanager
def at_work(service: Service, path: str, content_type: str, body: bytes) -> Iterator[socket.socket]:
    """A connection whose request is complete and has a place."""
    before = service.places_taken()
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert eventually(lambda: service.places_taken() == before + 1)
        yield connection


@contextmanager
def transcribing(service: Service, audio: bytes) -> Iterator[socket.socket]:
    body = b"".join(form(iter([audio])))
    with at_work(service, "transcribe", "multipart/form-data; boundary=x", body) as connection:
        yield connection


@contextmanager
def speaking(service: Service, text: str) -> Iterator[socket.socket]:
    body = json.dumps({"text": text, "language": "en", "format": "flac"}).encode()
    with at_work(service, "synthesize", "application/json", body) as connection:
        yield connection


def test_transcription_stops_when_its_client_goes_away(strict: Service, minute: bytes) -> None:
    decoder = strict.decoder()
    assert decoder
    with transcribing(strict, minute):
        busy = decoder.cpu_times().user
        assert eventually(lambda: decoder.cpu_times().user > busy + 0.2)
    assert eventually(lambda: strict.places_taken() == 0, within=5)
    assert eventually(lambda: not decoder.is_running(), within=5), "the decoder is still at work"
    assert words(strict.transcribe(TRAIN).json()["transcription"])[:2] == ["the", "train"]


def test_speech_stops_when_its_client_goes_away(strict: Service) -> None:
    with speaking(strict, HOURS_OF_TEXT):
        assert eventually(lambda: strict.temporary_files() != [])
    assert eventually(lambda: strict.places_taken() == 0, within=5)
    spent = strict.worker().cpu_times().user
    time.sleep(1)
    assert strict.worker().cpu_times().user - spent < 0.5, "the engine is still at work"
    assert strict.stored() == []


def test_a_waiting_client_that_goes_away_frees_its_place(strict: Service, minute: bytes) -> None:
    with transcribing(strict, minute):
        with transcribing(strict, minute):
            assert strict.places_taken() == 2
        assert eventually(lambda: strict.places_taken() == 1)


def test_equal_requests_go_on_when_one_of_their_clients_goes_away(strict: Service) -> None:
    text = "Somebody still wants to hear this. " * 400
    with ThreadPoolExecutor(1) as pool, speaking(strict, text):
        other = pool.submit(strict.synthesize, text, format="flac")
        time.sleep(0.1)
    assert other.result().status_code == 201
    for file in strict.stored():
        file.unlink()


def test_a_full_queue_is_said_at_once(strict: Service, minute: bytes) -> None:
    with transcribing(strict, minute), transcribing(strict, minute):
        began = time.monotonic()
        assert problem(strict.transcribe(TRAIN)) == (503, "overloaded")
        assert time.monotonic() - began < 2
        for stated in (True, False, True, False):
            assert problem(send(strict, 3 * 2**20, stated=stated)) == (503, "overloaded")


def test_curl_hears_that_the_queue_is_full(strict: Service, minute: bytes, tmp_path: Path) -> None:
    (tmp_path / "audio").write_bytes(minute)
    with transcribing(strict, minute), transcribing(strict, minute):
        for option in ("Expect:", "Transfer-Encoding: chunked"):
            status, body, _ = curl(strict, tmp_path / "audio", "--header", option)
            assert (status, body["code"]) == (503, "overloaded")


def test_a_full_queue_for_speech_is_said_at_once(strict: Service) -> None:
    with ExitStack() as stack:
        for number in range(2):
            stack.enter_context(speaking(strict, f"{number}. {HOURS_OF_TEXT}"))
        answer = strict.synthesize("Is there room for me?")
        assert problem(answer) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1


def test_an_engine_that_dies_half_way_fails_one_request(strict: Service, minute: bytes) -> None:
    decoder = strict.decoder()
    assert decoder
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(strict.transcribe, minute)
        busy = decoder.cpu_times().user
        assert eventually(lambda: decoder.cpu_times().user > busy + 0.2)
        decoder.kill()
        assert problem(answer.result()) == (500, "engine_failed")
    assert words(strict.transcribe(TRAIN).json()["transcription"])[:2] == ["the", "train"]


def test_an_engine_that_died_while_idle_is_not_missed(strict: Service) -> None:
    assert eventually(strict.decoder)
    decoder = strict.decoder()
    assert decoder
    decoder.kill()
    psutil.wait_procs([decoder], timeout=5)
    assert words(strict.transcribe(TRAIN).json()["transcription"])[:2] == ["the", "train"]


def test_storage_that_is_away_is_said_and_comes_back(strict: Service) -> None:
    aside = strict.objects.with_name("aside")
    strict.objects.rename(aside)
    try:
        assert problem(strict.synthesize("Where shall I put this?")) == (503, "storage_unavailable")
        ready = strict.http.get("/health/ready")
        assert ready.status_code == 503
        assert [name for name, part in ready.json()["parts"].items() if not part["ready"]] == ["object_store"]
        assert strict.transcribe(TRAIN).status_code == 200
        assert strict.http.get("/health/live").status_code == 200
    finally:
        shutil.rmtree(strict.objects, ignore_errors=True)
        aside.rename(strict.objects)
    assert strict.http.get("/health/ready").status_code == 200


def test_no_process_is_left_over(strict: Service) -> None:
    assert eventually(lambda: len(strict.processes()) == 3), strict.processes()
    assert os.getpgid(strict.pid) == strict.pid
