"""A steady load of requests, new connections and live streams, and what became of it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import httpx
import numpy as np

from tests.end_to_end.live import Client, connected, said, samples, silence, wav
from tests.end_to_end.service import Service

SHORT = "en-04.flac"
"""A held-out sentence that is soon said."""


class Load:
    """Clients that go on until they are told to end; counts what they asked and what they got."""

    def __init__(
        self, running: Service, kinds: Sequence[str] = ("transcribe", "synthesize", "connect", "speak", "speak")
    ) -> None:
        self._running = running
        self._kinds = kinds
        self._numbers = itertools.count()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.over = False

    @asynccontextmanager
    async def on(self) -> AsyncGenerator[None, None]:
        """Keep the load on for the body, and let every client end what it began."""
        clients: dict[str, Callable[[], Coroutine[None, None, None]]] = {
            "transcribe": self._transcribe,
            "synthesize": self._synthesize,
            "connect": self._ask_on_new_connections,
            "speak": self._speak,
        }
        tasks = [asyncio.create_task(clients[kind]()) for kind in self._kinds]
        yield
        self.over = True
        await asyncio.gather(*tasks)

    def _http(self) -> httpx.AsyncClient:
        running = self._running
        return httpx.AsyncClient(base_url=running.url, headers=running.headers, timeout=60, trust_env=False)

    async def _count(self, kind: str, request: Coroutine[None, None, httpx.Response]) -> None:
        try:
            answer = await request
        except httpx.HTTPError as err:
            self.failures.append(f"{kind}: {err!r}")
        else:
            if answer.is_success:
                self.answers[kind] += 1
            else:
                self.failures.append(f"{kind}: {answer.status_code} {answer.text}")

    async def _transcribe(self) -> None:
        sound = wav(SHORT)
        async with self._http() as http:  # its connections live on
            while not self.over:
                files = {"audio_file": ("a.wav", sound)}
                await self._count("transcribed", http.post("/api/v1/transcribe", files=files))

    async def _synthesize(self) -> None:
        async with self._http() as http:
            while not self.over:
                body = {"text": f"number {next(self._numbers)}", "language": "en"}
                await self._count("synthesized", http.post("/api/v1/synthesize", json=body))

    async def _ask_on_new_connections(self) -> None:
        while not self.over:
            async with self._http() as http:
                await self._count("connected", http.get("/api/v1/voices"))
            await asyncio.sleep(0.005)

    async def _speak(self) -> None:
        while not self.over:
            try:
                async with connected(self._running, events="true", encoding="pcm_s16le") as client:
                    await utter(client)
            except Exception as err:
                self.failures.append(f"stream: {err!r}")
            else:
                whole = client.closed == (1000, "") and client.text == said(SHORT)
                cut = client.closed == (1012, "service_stopping") and client.told[-1]["type"] == "transcription"
                if whole or cut:
                    self.answers["streamed" if whole else "cut short and told"] += 1
                else:
                    self.failures.append(f"stream: {client.closed} {client.told[-1]}")


async def utter(client: Client, file: str = SHORT, pace: float = 2, times: int = 1) -> None:
    """Say a sentence, and hear it to its end; or as far as it was heard when the service ends the stream."""
    hearing = asyncio.create_task(client.rest())
    try:
        await client.speak(np.tile(np.concatenate([samples(file), silence(1)]), times), pace=pace)
        await client.act("stop")
    except Exception:
        await hearing
        if client.socket.close_code != 1012:
            raise
    await hearing
