"""The port ``ObjectStore`` on one bucket of an S3 server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.s3.failures import NO_SUCH_OBJECT, RANGE_OUTSIDE, SEND_AGAIN, Refused, translated
from adapters.s3.options import S3Options
from adapters.s3.upload import Cleanups, cut, upload
from domain.errors import NotFound, RangeNotSatisfiable
from domain.ports.object_store import OpenStream
from domain.stored_object import ByteRange, SignedUrl, StoredObject, validate_key, validate_prefix

_PIECE: Final = 256 * 2**10
"""Bytes of an object that are handed over at once, at most."""


class S3Store:
    """Objects in a bucket, through one client and its pool of connections.

    Requests are repeated by botocore (mode ``standard``: lost connections, timeouts, 5xx, throttling), the parts of an
    upload from memory. Only what that cannot mend sends a whole upload again, once, from a stream opened anew.
    """

    def __init__(self, client: Any, signer: Any, options: S3Options) -> None:
        """Wire the store.

        Args:
            client: An open client of aioboto3.
            signer: The client that signs links; differs from ``client`` where clients use another address.
            options: Settings of the store.
        """
        self._client = client
        self._signer = signer
        self._bucket = options.bucket
        self._part_size = options.part_size
        self._patience = options.patience
        self._cleanups = Cleanups()

    async def put(
        self, key: str, open_stream: OpenStream, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredObject:
        """See ``ObjectStore.put``."""
        validate_key(key)
        facts: dict[str, Any] = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        try:
            size = await self._send(key, open_stream, facts)
        except Refused as err:
            if err.reason not in SEND_AGAIN:
                raise
            size = await self._send(key, open_stream, facts)
        return StoredObject(
            key=key, size=size, content_type=content_type, modified=datetime.now(UTC), metadata=facts["Metadata"]
        )

    async def read(self, key: str, byte_range: ByteRange | None = None) -> AsyncGenerator[bytes, None]:
        """See ``ObjectStore.read``."""
        validate_key(key)
        wanted = {} if byte_range is None else {"Range": f"bytes={byte_range.start}-{_last(byte_range)}"}
        try:
            answer = await self._ask("get_object", Key=key, **wanted)
        except Refused as err:
            if err.reason in NO_SUCH_OBJECT:
                raise _not_found() from err
            if err.reason in RANGE_OUTSIDE:
                raise RangeNotSatisfiable((await self.stat(key)).size) from err
            raise
        # Leaving before the end closes the connection: what is still under way is not worth waiting for.
        body = answer["Body"]
        async with body:
            while True:
                with translated():
                    piece = await body.read(_PIECE)
                if not piece:
                    return
                yield piece

    async def stat(self, key: str) -> StoredObject:
        """See ``ObjectStore.stat``."""
        validate_key(key)
        try:
            facts = await self._ask("head_object", Key=key)
        except Refused as err:
            if err.reason not in NO_SUCH_OBJECT:
                raise
            await self.check()  # HEAD answers a missing bucket just like a missing object
            raise _not_found() from err
        return StoredObject(
            key=key,
            size=facts["ContentLength"],
            content_type=facts.get("ContentType", ""),
            modified=facts["LastModified"].astimezone(UTC),
            metadata=facts.get("Metadata", {}),
        )

    async def delete(self, key: str) -> None:
        """See ``ObjectStore.delete``."""
        validate_key(key)
        try:
            await self._ask("delete_object", Key=key)
        except Refused as err:
            if err.reason not in NO_SUCH_OBJECT:
                raise

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """See ``ObjectStore.list``; content type and metadata are empty, for the server's listing has neither."""
        validate_prefix(prefix)
        place: dict[str, str] = {}
        while True:
            page = await self._ask("list_objects_v2", Prefix=prefix, **place)
            for found in page.get("Contents", ()):
                modified = found["LastModified"].astimezone(UTC)
                yield StoredObject(key=found["Key"], size=found["Size"], content_type="", modified=modified)
            if not page.get("IsTruncated"):
                return
            place = {"ContinuationToken": page["NextContinuationToken"]}

    async def url(self, key: str, expires_in: float) -> SignedUrl:
        """See ``ObjectStore.url``; nothing is asked of the server."""
        validate_key(key)
        seconds = math.ceil(expires_in)
        signed_at = datetime.now(UTC).replace(microsecond=0)
        with translated():
            url = await self._signer.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )
        return SignedUrl(url=url, expires_at=signed_at + timedelta(seconds=seconds))

    async def check(self) -> None:
        """See ``ObjectStore.check``; asks whether the bucket is there and open to this key."""
        await self._ask("head_bucket")

    async def close(self) -> None:
        """Wait, within bounds, for uploads that are being aborted."""
        await self._cleanups.finish()

    async def _send(self, key: str, open_stream: OpenStream, facts: dict[str, Any]) -> int:
        async with aclosing(open_stream()) as content, aclosing(cut(content, self._part_size)) as parts:
            return await upload(self._ask, self._cleanups, key, parts, **facts)

    async def _ask(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Make a request, repetitions included, within the store's patience.

        botocore's timeouts do not cover the wait for a place in the pool, nor a server that stops taking bytes.
        """
        with translated():
            async with asyncio.timeout(self._patience):
                answer: dict[str, Any] = await getattr(self._client, operation)(Bucket=self._bucket, **parameters)
                return answer


def _last(byte_range: ByteRange) -> str:
    return "" if byte_range.end is None else str(byte_range.end)


def _not_found() -> NotFound:
    return NotFound("there is no object under this key")
