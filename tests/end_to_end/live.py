"""A client of the live endpoint, with the ``websockets`` package only."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import struct
import wave
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import av
import jsonschema
import numpy as np
import websockets
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection

from tests.end_to_end.service import DATA, REPOSITORY, Service, eventually, words

REFERENCES: dict[str, dict[str, Any]] = {
    entry["file"]: entry for entry in json.loads((DATA / "held_out" / "refs.json").read_text("utf-8"))
}
SENTENCE = "en-00.flac"
"""A held-out sentence that whisper-mini hears to the letter: 13 words."""
STOP = json.dumps({"action": "stop"})


SCHEMA = json.loads((REPOSITORY / "docs" / "live.schema.json").read_text("utf-8"))


def check_against_schema(message: dict[str, Any], kind: str | None = None) -> None:
    """Hold a message to ``docs/live.schema.json``: one of the service's own, unless a kind is given."""
    kind = kind or ("ServerEvent" if "type" in message else "Transcription")
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}).validate(message)


def said(file: str) -> list[str]:
    """The words of a held-out recording."""
    return words(REFERENCES[file]["text"])


def samples(file: str) -> NDArray[np.int16]:
    """The samples of a held-out recording: mono, 16 kHz."""
    with av.open(str(DATA / "held_out" / file)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16)


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(16000 * seconds), np.int16)


def wav(file: str = SENTENCE) -> bytes:
    """A held-out recording as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(samples(file).tobytes())
    return buffer.getvalue()


def pieces(data: bytes, size: int = 1024) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Client:
    """One connection, and everything that it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []

    async def send(self, data: bytes, size: int = 1024) -> None:
        """Send bytes in pieces, as fast as they are taken."""
        for piece in pieces(data, size):
            await self.socket.send(piece)

    async def speak(self, sound: NDArray[np.int16], *, pace: float = 1.0) -> None:
        """Send samples in pieces of 0.1 s, so many seconds of them a second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, piece in enumerate(pieces(sound.tobytes(), 3200)):
            await asyncio.sleep(began + number * 0.1 / pace - loop.time())
            await self.socket.send(piece)

    async def act(self, action: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"action": action, **fields}))

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next message, of a type if one is given; those before it are kept too."""
        while True:
            message = await asyncio.wait_for(self.socket.recv(), 30)
            assert isinstance(message, str), "the service sends text only"
            self.told.append(json.loads(message))
            check_against_schema(self.told[-1])
            if kind is None or self.told[-1].get("type") == kind:
                return self.told[-1]

    async def rest(self) -> list[dict[str, Any]]:
        """Everything up to the end of the connection."""
        try:
            while True:
                await self.next()
        except websockets.ConnectionClosed:
            return self.told

    @property
    def closed(self) -> tuple[int | None, str | None]:
        """Code and reason of the close."""
        return self.socket.close_code, self.socket.close_reason

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message.get("type") == kind]

    @property
    def text(self) -> list[str]:
        """The words of the whole, which was told last."""
        return words(self.told[-1]["transcription"])


class Deaf:
    """A client that sends and never reads: a bare socket with a tiny receive buffer."""

    def __init__(self, service: Service) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)  # keeps the buffer on the other side small
        self.socket.connect(("127.0.0.1", service.port))
        self.socket.settimeout(5)
        self.socket.sendall(
            b"GET /api/v1/streaming?events=true HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n"
            b"X-API-Key: " + service.headers["X-API-Key"].encode() + b"\r\n\r\n"
        )

    def ask(self, times: int) -> None:
        """Ask for so many answers of 15 bytes."""
        payload = b'{"action":"ping"}'
        frame = struct.pack("!BB4s", 0x81, 0x80 | len(payload), b"\0\0\0\0") + payload
        self.socket.sendall(frame * times)


def address(service: Service, **query: Any) -> str:
    place = service.url.replace("http://", "ws://") + "/api/v1/streaming"
    return f"{place}?{urlencode(query)}" if query else place


@asynccontextmanager
async def connected(
    service: Service, *, headers: dict[str, str] | None = None, **query: Any
) -> AsyncGenerator[Client, None]:
    """Connect with the service's key, unless other headers are given."""
    async with websockets.connect(
        address(service, **query),
        additional_headers=service.headers if headers is None else headers,
        max_size=None,
        proxy=None,
        close_timeout=2,
    ) as socket:
        yield Client(socket)


async def refused(service: Service, *, headers: dict[str, str] | None = None, **query: Any) -> websockets.Response:
    """The answer to a handshake that must be refused."""
    try:
        async with connected(service, headers=headers, **query):
            raise AssertionError("the handshake was accepted")
    except websockets.InvalidStatus as err:
        return err.response


async def transcribed(service: Service, data: bytes, *, size: int = 1024, **query: Any) -> Client:
    """Send the bytes of a recording, then ``stop``, and wait for the end."""
    async with connected(service, **query) as client:
        await client.send(data, size)
        await client.socket.send(STOP)
        await client.rest()
    return client


def file(name: str) -> bytes:
    return Path(DATA / "audio" / name).read_bytes()


async def soon(holds: Callable[[], object], *, within: float = 1.0) -> bool:
    """Whether ``holds`` says yes within so many seconds, while other clients go on."""
    return await asyncio.to_thread(eventually, holds, within=within)


def streams_open(service: Service) -> int:
    return int(service.metric("parlante_places_taken", use_case="listen"))


def log_lines(service: Service, event: str) -> list[dict[str, Any]]:
    """Lines of the service's log with this event."""
    lines = (json.loads(line) for line in service.log.read_text("utf-8").splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("event") == event]
