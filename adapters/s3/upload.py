"""How content of unknown length goes to S3: cut into parts, of which one is in memory at a time.

A process that is killed leaves its unfinished upload with the server; a lifecycle rule of the bucket with
``AbortIncompleteMultipartUpload`` clears such away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine
from io import BytesIO
from typing import Any, Final, Protocol

import msgspec
import structlog

from adapters.s3.failures import GONE_UPLOAD, Refused
from domain.errors import StorageUnavailable

_ABORT_PATIENCE: Final = 10.0

_log = structlog.get_logger(__name__)


class Ask(Protocol):
    """Makes one request of the bucket, given its name in botocore and its parameters."""

    def __call__(self, operation: str, /, **parameters: Any) -> Awaitable[dict[str, Any]]:
        """Answer the parsed response; raises ``StorageUnavailable``."""
        ...


class Part(msgspec.Struct, frozen=True):
    """A stretch of the content."""

    body: BytesIO
    """The bytes, positioned at their start. A file, because aiohttp writes one piece by piece, and bytes at once."""
    size: int
    """Their number."""
    last: bool
    """Whether the content ends here."""


async def cut(content: AsyncIterator[bytes], size: int) -> AsyncGenerator[Part, None]:
    """Cut content into parts of ``size`` bytes and a last one of 1 to ``size``, or of 0 where there is no content."""
    body, filled = BytesIO(), 0
    async for piece in content:
        rest = memoryview(piece)
        while rest:
            if filled == size:
                yield _part(body, filled, last=False)
                body, filled = BytesIO(), 0
            taken, rest = rest[: size - filled], rest[size - filled :]
            filled += body.write(taken)
    yield _part(body, filled, last=True)


def _part(body: BytesIO, size: int, *, last: bool) -> Part:
    body.seek(0)
    return Part(body, size, last)


class Cleanups:
    """Work that is done to its end although the task that wants it is being cancelled."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for ``work``; where the waiting is cancelled, the work goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for all that still runs; each piece of work bounds its own time."""
        if self._running:
            await asyncio.wait(self._running)


async def upload(ask: Ask, cleanups: Cleanups, key: str, parts: AsyncIterator[Part], **facts: Any) -> int:
    """Store parts as one object: a single one by one request, several by a multipart upload, aborted if it fails.

    Args:
        ask: Makes the requests.
        cleanups: Takes the abort.
        key: Where to put it.
        parts: The content; an error that they raise comes out.
        facts: Content type and metadata.

    Returns:
        The size of the object, in bytes.
    """
    part = await anext(parts)
    if part.last:
        await ask("put_object", Key=key, Body=part.body, **facts)
        return part.size
    # Not cancelled with this task: the server may have begun the upload, and only the answer tells its id.
    beginning = asyncio.ensure_future(ask("create_multipart_upload", Key=key, **facts))
    try:
        place = {"Key": key, "UploadId": (await asyncio.shield(beginning))["UploadId"]}
        sent: list[dict[str, Any]] = []
        size = 0
        while True:
            number = len(sent) + 1
            answer = await ask("upload_part", PartNumber=number, Body=part.body, **place)
            sent.append({"PartNumber": number, "ETag": answer["ETag"]})
            size += part.size
            if part.last:
                break
            del part  # before the next one is gathered, so that there is one in memory
            part = await anext(parts)
        await ask("complete_multipart_upload", MultipartUpload={"Parts": sent}, **place)
    except BaseException:
        await cleanups.run(_abort(ask, key, beginning))
        raise
    return size


async def _abort(ask: Ask, key: str, beginning: asyncio.Future[dict[str, Any]]) -> None:
    try:
        async with asyncio.timeout(_ABORT_PATIENCE):
            try:
                upload_id = (await beginning)["UploadId"]
            except StorageUnavailable:
                return  # nothing was begun
            await ask("abort_multipart_upload", Key=key, UploadId=upload_id)
    except (StorageUnavailable, TimeoutError) as err:
        if not (isinstance(err, Refused) and err.reason == GONE_UPLOAD):
            _log.warning("upload_left_unfinished", reason=type(err).__name__)
