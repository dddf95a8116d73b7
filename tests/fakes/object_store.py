"""An object store in memory: remembers what it was asked, and is down or breaks off when told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.errors import NotFound, RangeNotSatisfiable, StorageUnavailable
from domain.ports.object_store import OpenStream
from domain.stored_object import ByteRange, SignedUrl, StoredObject, validate_key, validate_prefix

PIECE = 64 * 2**10


@dataclass
class FakeObjectStore:
    """Keeps objects in a dictionary."""

    down: bool = False
    """Whether every method raises ``StorageUnavailable``."""
    fail_after: int | None = None
    """Bytes of a ``put`` or a ``read`` after which it raises ``StorageUnavailable``."""
    objects: dict[str, tuple[StoredObject, bytes]] = field(default_factory=dict)
    """What is stored, by key."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Methods that were called and their key or prefix, in order; ``check`` has an empty one."""

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        self._called("put", key)
        content = bytearray()
        async with aclosing(open_stream()) as stream:
            async for piece in stream:
                content += piece
                self._break_off(len(content))
        stored = StoredObject(
            key=key,
            size=len(content),
            content_type=content_type,
            modified=datetime.now(UTC),
            metadata=dict(metadata or {}),
        )
        self.objects[key] = (stored, bytes(content))
        return stored

    async def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        self._called("read", key)
        stored, content = self._find(key)
        if byte_range is not None:
            if byte_range.start >= stored.size:
                raise RangeNotSatisfiable(stored.size)
            end = stored.size if byte_range.end is None else byte_range.end + 1
            content = content[byte_range.start : end]
        for start in range(0, len(content), PIECE):
            self._break_off(start + PIECE)
            yield content[start : start + PIECE]

    async def stat(self, key: str) -> StoredObject:
        self._called("stat", key)
        return self._find(key)[0]

    async def delete(self, key: str) -> None:
        self._called("delete", key)
        self.objects.pop(key, None)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        validate_prefix(prefix)
        self._answer("list", prefix)
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield self.objects[key][0]

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        self._called("url", key)
        expires_at = datetime.now(UTC) + timedelta(seconds=expires_in)
        return SignedUrl(url=f"https://objects.test/{key}?expires={expires_at.timestamp():.0f}", expires_at=expires_at)

    async def check(self) -> None:
        self._answer("check", "")

    def _called(self, method: str, key: str) -> None:
        validate_key(key)
        self._answer(method, key)

    def _answer(self, method: str, name: str) -> None:
        self.calls.append((method, name))
        if self.down:
            raise StorageUnavailable("the fake store is down")

    def _break_off(self, so_far: int) -> None:
        if self.fail_after is not None and so_far > self.fail_after:
            raise StorageUnavailable("the fake store breaks off")

    def _find(self, key: str) -> tuple[StoredObject, bytes]:
        if key not in self.objects:
            raise NotFound("there is no object under this key")
        return self.objects[key]
