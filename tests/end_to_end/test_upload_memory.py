"""An upload goes to the disk: the memory of the service does not grow with it."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.service import DATA, Service, eventually, service, words

MIB = 2**20
GIB = 2**30
MOST_GROWTH = 64 * MIB

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo's service, which has already transcribed and refused something."""
    with service(tmp_path_factory.mktemp("memory")) as running:
        running.transcribe(DATA / "audio" / "flac.flac")
        running.transcribe(bytes(4 * MIB))
        yield running


def memory(pid: int, *names: str) -> list[int]:
    """Fields of ``/proc/PID/status``, in bytes."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    return [int(found[name]) * 1024 for name in names]


class Watched:
    """The most memory that a process had while it was watched, over what it had at first."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._first = memory(pid, "VmRSS", "RssAnon")
        self.growth = 0
        """Bytes, resident as a whole."""
        self.anonymous_growth = 0
        """Bytes, without those of mapped files."""

    def look(self) -> None:
        now = memory(self._pid, "VmRSS", "RssAnon")
        self.growth = max(self.growth, now[0] - self._first[0])
        self.anonymous_growth = max(self.anonymous_growth, now[1] - self._first[1])


@contextmanager
def watching(pid: int) -> Iterator[Watched]:
    Path("/proc", str(pid), "clear_refs").write_text("5")  # VmHWM starts anew
    watched, ended = Watched(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            watched.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        ended.set()
        thread.join()
        (peak,) = memory(pid, "VmHWM")  # no sample misses it
        watched.growth = max(watched.growth, peak - watched._first[0])


def long_wav(size: int) -> Iterator[bytes]:
    """A WAV file of so many bytes, 16 kHz, mono: 9 hours in 1 GiB."""
    yield struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", size - 44,
    )  # fmt: skip
    yield bytes(MIB - 44)
    for _ in range(size // MIB - 1):
        yield bytes(MIB)


def garbage(size: int) -> Iterator[bytes]:
    piece = b"\r\n--almost a boundary\r\n".ljust(2048, b"?") * 512  # a parser looks twice at each line break
    for _ in range(size // MIB):
        yield piece


def upload(service: Service, content: Iterator[bytes]) -> httpx.Response:
    def form() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="a"\r\n\r\n'
        yield from content
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return service.http.post("/api/v1/transcribe", content=form(), headers=headers, timeout=250)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(lambda: long_wav(GIB), (413, "audio_too_long"), id="nine-hours"),
        pytest.param(lambda: garbage(GIB), (422, "audio_invalid"), id="garbage"),
        pytest.param(lambda: garbage(GIB + 8 * MIB), (413, "upload_too_large"), id="too-large"),
    ],
)
def test_a_gigabyte_does_not_grow_the_service(
    warm: Service, content: object, expected: tuple[int, str], record_property: pytest.RecordProperty
) -> None:
    assert callable(content)
    began = time.monotonic()
    with watching(warm.worker().pid) as watched:
        answer = upload(warm, content())
    assert (answer.status_code, answer.json()["code"]) == expected
    record_property("growth", watched.growth)
    print(f"grew by {watched.growth / MIB:.1f} MiB ({watched.anonymous_growth / MIB:.1f} anonymous)"
          f" in {time.monotonic() - began:.1f} s")  # fmt: skip
    assert watched.growth <= MOST_GROWTH
    assert watched.anonymous_growth <= MOST_GROWTH
    assert eventually(lambda: warm.temporary_files() == [])


def test_it_serves_afterwards(warm: Service) -> None:
    heard = warm.transcribe(DATA / "audio" / "flac.flac").json()["transcription"]
    assert words(heard)[-4:] == "seven in the evening".split()
