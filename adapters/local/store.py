"""The port ``SelfServedStore`` on a directory; all file work in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar

from adapters.bridge import Bridge
from adapters.local.files import ObjectFiles
from adapters.local.signing import LinkSigner
from domain.errors import StorageUnavailable
from domain.ports.object_store import OpenStream
from domain.stored_object import ByteRange, SignedUrl, StoredObject, validate_key, validate_prefix

T = TypeVar("T")

_PATIENCE: Final = 30.0
"""Seconds that the disk may take for one step; a network file system can fall silent."""


class LocalStore:
    """Objects in a directory."""

    def __init__(self, files: ObjectFiles, signer: LinkSigner, bridge: Bridge) -> None:
        """Wire the store: the directory, what signs its links, and the threads that do the file work."""
        self._files = files
        self._signer = signer
        self._bridge = bridge

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        """See ``ObjectStore.put``."""
        validate_key(key)
        draft = self._files.draft()
        try:
            async with aclosing(open_stream()) as content:
                async for piece in content:
                    await self._do(draft.write, piece)
            return await self._do(draft.commit, key, content_type, dict(metadata or {}))
        except BaseException:
            # Waits for a write that still runs in its thread, and is done even if this task is cancelled once more.
            with suppress(StorageUnavailable):
                await asyncio.shield(self._do(draft.discard))
            raise

    async def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        """See ``ObjectStore.read``."""
        validate_key(key)
        async with aclosing(self._bridge.iterate(lambda: self._files.pieces(key, byte_range))) as pieces:
            while piece := await _within_patience(anext(pieces, b"")):
                yield piece

    async def stat(self, key: str) -> StoredObject:
        """See ``ObjectStore.stat``."""
        validate_key(key)
        return await self._do(self._files.stat, key)

    async def delete(self, key: str) -> None:
        """See ``ObjectStore.delete``."""
        validate_key(key)
        await self._do(self._files.delete, key)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """See ``ObjectStore.list``."""
        validate_prefix(prefix)
        for stored in await self._do(self._files.list, prefix):
            yield stored

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        """See ``ObjectStore.url``: ``/files/<key>?expires=<seconds since 1970>&signature=<hexadecimal>``."""
        validate_key(key)
        return self._signer.sign(key, expires_in)

    def verify(self, key: str, expires: str, signature: str) -> None:
        """See ``SelfServedStore.verify``."""
        validate_key(key)
        self._signer.verify(key, expires, signature)

    async def check(self) -> None:
        """See ``ObjectStore.check``; writes a byte and removes it."""
        await self._do(self._files.check)

    async def _do(self, work: Callable[..., T], *args: Any) -> T:
        return await _within_patience(self._bridge.call(work, *args))


async def _within_patience(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await work
    except TimeoutError as err:
        raise StorageUnavailable("the disk of the object store does not answer") from err
