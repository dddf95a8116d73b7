"""Port: where audio is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol, runtime_checkable

from domain.stored_object import ByteRange, SignedUrl, StoredObject

OpenStream = Callable[[], AsyncGenerator[bytes, None]]
"""Opens the bytes of an object from the start; a store calls it once more for every retry and closes what it opened."""


@runtime_checkable
class ObjectStore(Protocol):
    """Keeps objects under keys.

    A key is 1 to 512 characters of letters, digits and ``/ . _ - =``, does not start or end with ``/``, and has no
    empty, ``.`` or ``..`` part (``domain.stored_object.validate_key``); any other raises ``KeyInvalid`` from every
    method, before anything is touched, where the method is a generator at its first item.
    Every method may be called while others run, from several processes. Every wait is bounded by the store's own
    timeouts; a store that does not answer, or refuses, raises ``StorageUnavailable``.
    """

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        """Store an object, in place of one that is there.

        Atomic: a reader sees the old object or the whole new one, never a part; where the stream raises, or the task
        is cancelled, nothing is stored, nothing is left behind, and the stream's error comes out.

        Args:
            key: Where to put it.
            open_stream: Opens the content, any length, also 0 bytes.
            content_type: Media type.
            metadata: Small facts to keep beside it; see ``StoredObject.metadata``.

        Returns:
            What is stored now.
        """
        ...

    def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        """The content of an object, or a range of it, in pieces of at most 1 MiB.

        Raises:
            NotFound: no object under ``key``; at the first piece.
            RangeNotSatisfiable: the range starts at or past the end; at the first piece.
        """
        ...

    async def stat(self, key: str) -> StoredObject:
        """What is known of an object.

        Raises:
            NotFound: no object under ``key``.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """The objects whose keys start with ``prefix``, by key; content type and metadata may be empty here.

        Raises:
            KeyInvalid: ``prefix`` holds a character that no key has; at the first object.
        """
        ...

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        """A link that reads the object for ``expires_in`` seconds (1 to 604,800), without asking whether it is there.

        An altered link, or one past its time, is answered with 403.
        """
        ...

    async def check(self) -> None:
        """Return when the store answers and takes objects; raise ``StorageUnavailable`` when not."""
        ...


@runtime_checkable
class SelfServedStore(ObjectStore, Protocol):
    """A store with no server of its own: the service answers the links that it signs."""

    def verify(self, key: str, expires: str, signature: str) -> None:
        """Check the two parameters of a link made by ``url``, in constant time.

        Raises:
            SignatureInvalid: altered, malformed or expired.
        """
        ...
