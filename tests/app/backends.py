"""Backends that the tests hold in their hands, chosen by configuration like any others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from app.plugins import load_plugin
from domain.errors import EngineUnavailable, StorageUnavailable
from domain.ports.object_store import OpenStream, SelfServedStore
from domain.ports.plugin import Host, NoOptions, Plugin
from domain.stored_object import ByteRange, SignedUrl, StoredObject
from tests.fakes.synthesizer import FakeSynthesizer
from tests.fakes.transcriber import FakeTranscriber


class ShakyStore:
    """A directory that is down when it is told."""

    def __init__(self, inner: SelfServedStore) -> None:
        self.inner = inner
        self.down = False

    def _up(self) -> SelfServedStore:
        if self.down:
            raise StorageUnavailable("the object store does not answer", retry_after=7.0)
        return self.inner

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        return await self._up().put(key, open_stream, content_type, metadata)

    def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        return self._up().read(key, byte_range)

    async def stat(self, key: str) -> StoredObject:
        return await self._up().stat(key)

    async def delete(self, key: str) -> None:
        await self._up().delete(key)

    def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        return self._up().list(prefix)

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        return await self._up().url(key, expires_in)

    async def check(self) -> None:
        await self._up().check()

    def verify(self, key: str, expires: str, signature: str) -> None:
        self.inner.verify(key, expires, signature)

    async def keys(self) -> list[str]:
        """Every key that it has."""
        return [stored.key async for stored in self.inner.list()]


class SickTranscriber(FakeTranscriber):
    """A transcriber that can say how it is."""

    sick = False

    async def check(self) -> None:
        if self.sick:
            raise EngineUnavailable("the engine is restarting")


@dataclass
class Backends:
    """What stands behind the service of a test."""

    directory: Path
    transcriber: SickTranscriber = field(default_factory=SickTranscriber)
    synthesizer: FakeSynthesizer = field(default_factory=FakeSynthesizer)
    store: ShakyStore = None  # type: ignore[assignment]
    """There from the service's start."""
    opened: list[str] = field(default_factory=list)
    """What was opened and closed, in order."""
    fail_to_open: Exception | None = None
    """What the transcriber raises instead of opening."""


class InUse:
    """The backends of the running test."""

    backends: Backends


@asynccontextmanager
async def _open_transcriber(_: NoOptions, __: Host) -> AsyncGenerator[Any, None]:
    if InUse.backends.fail_to_open is not None:
        raise InUse.backends.fail_to_open
    InUse.backends.opened.append("transcriber opened")
    yield InUse.backends.transcriber
    InUse.backends.opened.append("transcriber closed")


@asynccontextmanager
async def _open_synthesizer(_: NoOptions, __: Host) -> AsyncGenerator[Any, None]:
    InUse.backends.opened.append("synthesizer opened")
    yield InUse.backends.synthesizer
    InUse.backends.opened.append("synthesizer closed")


@asynccontextmanager
async def _open_store(_: NoOptions, host: Host) -> AsyncGenerator[Any, None]:
    local = load_plugin("object_stores", "local")
    options = msgspec.convert(
        {"directory": str(InUse.backends.directory)}, local.options, dec_hook=lambda kind, value: kind(value)
    )
    async with local.open(options, host) as inner:
        InUse.backends.store = ShakyStore(inner)
        yield InUse.backends.store


TRANSCRIBER: Plugin[Any] = Plugin(options=NoOptions, open=_open_transcriber)
SYNTHESIZER: Plugin[Any] = Plugin(options=NoOptions, open=_open_synthesizer)
STORE: Plugin[Any] = Plugin(options=NoOptions, open=_open_store)

ENTRY_POINTS = (
    ("transcribers", "fake", "tests.app.backends:TRANSCRIBER"),
    ("synthesizers", "fake", "tests.app.backends:SYNTHESIZER"),
    ("object_stores", "shaky", "tests.app.backends:STORE"),
)
