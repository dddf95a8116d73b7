"""Stand-ins for the ports of the use cases: they do as they are told and remember what they were asked."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import numpy as np

from domain.audio import AudioFormat, Waveform
from domain.errors import AudioEmpty, NotFound
from domain.ports.object_store import OpenStream
from domain.ports.telemetry import Stage
from domain.ports.transcriber import Feature, TranscriberCapabilities
from domain.stored_object import ByteRange, SignedUrl, StoredObject
from domain.transcript import Segment, TranscribeOptions, TranscriptEvent, TranscriptionStarted

STARTED = TranscriptionStarted(language="en", language_probability=0.75, duration=2.0)
GOOD = Segment(start=0.0, end=1.0, text="good")
MORNING = Segment(start=1.0, end=2.0, text="morning")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class ScriptedTranscriber:
    """Yields a script of events; an error in it is raised."""

    script: Sequence[TranscriptEvent | Exception] = (STARTED, GOOD, MORNING)
    features: frozenset[Feature] = frozenset(Feature)
    languages: tuple[str, ...] = ("en", "es")
    wait_for: asyncio.Event | None = None
    """What it waits for before its last event."""
    calls: list[tuple[Waveform, TranscribeOptions]] = field(default_factory=list)
    running: int = 0

    @property
    def capabilities(self) -> TranscriberCapabilities:
        return TranscriberCapabilities(
            engine="scripted",
            model="script",
            device="cpu",
            compute_type="int8",
            sample_rate=16_000,
            languages=self.languages,
            features=self.features,
            parallel=1,
        )

    async def transcribe(self, audio: Waveform, options: TranscribeOptions) -> AsyncGenerator[TranscriptEvent, None]:
        self.calls.append((audio, options))
        self.running += 1
        try:
            for event in self.script[:-1]:
                if isinstance(event, Exception):
                    raise event
                yield event
            if self.wait_for is not None:
                await self.wait_for.wait()
            for event in self.script[-1:]:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.running -= 1


@dataclass
class PlainCodec:
    """Encodes to the samples' own bytes behind the format's name; decodes anything to two seconds of silence."""

    error: Exception | None = None
    """What it raises instead of decoding."""
    wait_for: asyncio.Event | None = None
    """What it waits for before it has decoded."""
    decoded: list[tuple[bytes, int, float]] = field(default_factory=list)
    """Bytes, sample rate and longest duration of each call."""
    encoded: int = 0
    log: list[str] = field(default_factory=list)

    async def decode(self, source: BinaryIO, *, sample_rate: int, max_duration: float) -> Waveform:
        self.decoded.append((source.read(), sample_rate, max_duration))
        if self.wait_for is not None:
            await self.wait_for.wait()
        if self.error is not None:
            raise self.error
        return Waveform(samples=np.zeros(2 * sample_rate, np.float32), sample_rate=sample_rate)

    async def encode(self, chunks: AsyncIterable[Waveform], audio_format: AudioFormat, sink: BinaryIO) -> float:
        sink.write(audio_format.value.encode())
        duration = 0.0
        async for chunk in chunks:
            sink.write(chunk.samples.tobytes())
            duration += chunk.duration
        if not duration:
            raise AudioEmpty("there was nothing to encode")
        self.encoded += 1
        self.log.append("encoded")
        return duration


class MemoryStore:
    """Keeps objects in a dictionary."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.objects: dict[str, tuple[StoredObject, bytes]] = {}
        self.stats: list[str] = []
        self.puts: list[str] = []
        self.urls: list[tuple[str, float]] = []
        self.log: list[str] = [] if log is None else log
        self.stat_error: Exception | None = None
        self.put_error: Exception | None = None
        self.put_waits_for: asyncio.Event | None = None
        self.late_answers: list[asyncio.Event] = []
        """What the next calls of ``stat`` wait for, between finding out and answering."""
        self.retries = 0
        """How often a put begins anew."""

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        self.puts.append(key)
        for _ in range(self.retries + 1):
            content = io.BytesIO()
            async with aclosing(open_stream()) as pieces:
                async for piece in pieces:
                    content.write(piece)
        if self.put_waits_for is not None:
            await self.put_waits_for.wait()
        if self.put_error is not None:
            raise self.put_error
        stored = StoredObject(
            key=key,
            size=len(content.getvalue()),
            content_type=content_type,
            modified=NOW,
            metadata=dict(metadata or {}),
        )
        self.objects[key] = (stored, content.getvalue())
        self.log.append("stored")
        return stored

    async def stat(self, key: str) -> StoredObject:
        self.stats.append(key)
        found = self.objects.get(key)
        if self.late_answers:
            await self.late_answers.pop(0).wait()
        if self.stat_error is not None:
            raise self.stat_error
        if found is None:
            raise NotFound("there is no such object")
        return found[0]

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        self.urls.append((key, expires_in))
        return SignedUrl(url=f"/files/{key}?signature=x", expires_at=NOW + timedelta(seconds=expires_in))

    async def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        yield self.objects[key][1]

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield self.objects[key][0]

    async def check(self) -> None:
        """It always works."""


@dataclass
class Measurements:
    """A telemetry that remembers."""

    stages: list[tuple[str, Stage]] = field(default_factory=list)
    """Stages that have ended, in order."""
    heard_seconds: list[float] = field(default_factory=list)
    spoken_seconds: list[tuple[float, bool]] = field(default_factory=list)

    @contextmanager
    def stage(self, use_case: str, stage: Stage) -> Generator[None, None, None]:
        try:
            yield
        finally:
            self.stages.append((use_case, stage))

    def heard(self, seconds: float) -> None:
        self.heard_seconds.append(seconds)

    def spoken(self, seconds: float, *, cached: bool) -> None:
        self.spoken_seconds.append((seconds, cached))
