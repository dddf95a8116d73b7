"""The client of the live benchmark: several streams at once, from a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from bench.live_speech import SAMPLE_RATE

PIECE = 0.1
"""Seconds of sound in one message."""
_APART = 0.37
"""Seconds between the beginnings of two streams, so that they do not speak in step."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream sends."""

    pcm: bytes
    """16 bits, mono, ``SAMPLE_RATE``."""
    hurried: float = 0.0
    """Seconds of it that go as fast as the service takes them; the rest goes in real time."""
    settled: float = 0.0
    """Before the rest, wait until the service has said that speech stopped at this time (seconds) or later."""


class Received(msgspec.Struct, frozen=True):
    """An event and when it came."""

    at: float
    """Seconds on the clock of the sound: 0 is when its first sample was spoken."""
    event: dict[str, Any]


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan."""

    received: list[Received]
    stopped: float
    """When ``stop`` was sent, on the same clock."""

    def of(self, kind: str) -> list[Received]:
        """The events of a kind."""
        return [one for one in self.received if one.event["type"] == kind]


Run = Callable[[Sequence[Plan]], list[Stream]]


@contextmanager
def client_process(url: str) -> Generator[Run, None, None]:
    """A process that runs streams against a service: call what this gives with the plans of those that run at once."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda plans: pool.submit(_run_all, url, list(plans)).result()


def _run_all(url: str, plans: Sequence[Plan]) -> list[Stream]:
    async def together() -> list[Stream]:
        return list(await asyncio.gather(*(_run(url, plan, number * _APART) for number, plan in enumerate(plans))))

    return asyncio.run(together())


async def _run(url: str, plan: Plan, after: float) -> Stream:
    address = (
        f"{url.replace('http', 'ws', 1)}/api/v1/streaming?events=true&encoding=pcm_s16le&sample_rate={SAMPLE_RATE}"
    )
    await asyncio.sleep(after)
    # No keepalive: the service reads no pong while it makes a hurried client wait.
    async with connect(address, proxy=None, compression=None, open_timeout=60, ping_timeout=None) as socket:
        listener = _Listener(socket, plan)
        async with asyncio.TaskGroup() as group:
            group.create_task(listener.listen())
            await listener.speak()
    return Stream(received=listener.received, stopped=listener.stopped)


class _Listener:
    def __init__(self, socket: ClientConnection, plan: Plan) -> None:
        self._socket = socket
        self._plan = plan
        self._settled = asyncio.Event()
        self._began = time.monotonic()
        self.received: list[Received] = []
        self.stopped = 0.0

    async def listen(self) -> None:
        try:
            async for message in self._socket:
                event = msgspec.json.decode(message)
                self.received.append(Received(time.monotonic() - self._began, event))
                if event["type"] == "speech_stopped" and event["time"] >= self._plan.settled:
                    self._settled.set()
        finally:
            self._settled.set()

    async def speak(self) -> None:
        pcm, size = self._plan.pcm, 2 * round(PIECE * SAMPLE_RATE)
        hurried = round(self._plan.hurried / PIECE) * size
        for place in range(0, hurried, size):
            await self._socket.send(pcm[place : place + size])
        if self._plan.settled:
            await self._settled.wait()
        self._began = time.monotonic() - hurried / 2 / SAMPLE_RATE
        for place in range(hurried, len(pcm), size):
            piece = pcm[place : place + size]
            spoken = (place + len(piece)) / 2 / SAMPLE_RATE  # a microphone has a piece when its last sample is spoken
            await asyncio.sleep(max(0.0, self._began + spoken - time.monotonic()))
            await self._socket.send(piece)
        self.stopped = time.monotonic() - self._began
        await self._socket.send('{"action": "stop"}')
