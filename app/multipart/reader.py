"""Multipart uploads, streamed to disk: memory stays bounded however large the file is.

Litestar's own reader keeps fields without a file name in memory without a bound and takes as many bytes as come; this
one fills the same ``UploadFile`` under the service's limits, with the same ``multipart`` parser.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from litestar import Request
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from app.disconnect import ClientGone
from domain.errors import InvalidRequest, UploadStalled, UploadTooLarge

_MAX_FIELD = 64 * 2**10
"""Most bytes of a field that is not a file."""
_MAX_FIELDS = 32
_FORM_OVERHEAD = _MAX_FIELD * _MAX_FIELDS
"""Most bytes of a form beside its file."""
_SPOOL = 2**20
"""Bytes of a file that stay in memory before it goes to disk."""

Fields = dict[str, str | UploadFile]


async def read_fields(request: Request[Any, Any, Any], *, max_file: int, patience: float) -> Fields:
    """Read the fields of a multipart form. A field that is empty is left out, as if it had not been sent.

    Args:
        request: Its body has not been read.
        max_file: Most bytes of all files together.
        patience: Longest wait for the next bytes, in seconds.

    Raises:
        ClientException: 415, not a multipart form.
        InvalidRequest: malformed, broken off, or with a field twice.
        UploadTooLarge: too many bytes; raised as soon as that is known.
        UploadStalled: the client fell silent.
        ClientGone: the client went away.
    """
    content_type, parameters = request.content_type
    if content_type != "multipart/form-data" or not parameters.get("boundary"):
        raise ClientException("send the body as multipart/form-data, with a boundary", status_code=415)
    if (request.content_length or 0) > max_file + _FORM_OVERHEAD:
        raise UploadTooLarge(f"the upload has more than {max_file} bytes")
    form = _FormBuilder(max_file)
    try:
        with PushMultipartParser(parameters["boundary"], max_segment_count=_MAX_FIELDS) as parser:
            async with aclosing(_chunks(request, max_file + _FORM_OVERHEAD, patience)) as chunks:
                async for chunk in chunks:
                    for part in parser.parse(chunk):
                        await form.take(part)
    except BaseException as err:
        await close_files(form.fields)
        if isinstance(err, ParserLimitReached):
            raise UploadTooLarge("the form has too many fields, or one with too long a head") from err
        if isinstance(err, MultipartError | UnicodeError | LookupError):
            raise InvalidRequest("the multipart form is malformed or breaks off") from err
        raise
    return form.fields


async def close_files(fields: Fields) -> None:
    """Close a form's files, which removes them from the disk."""
    for value in fields.values():
        if isinstance(value, UploadFile):
            await value.close()


class _FormBuilder:
    """Takes what the parser finds: a segment's head, its bytes in pieces, ``None`` for its end."""

    def __init__(self, max_file: int) -> None:
        self.fields: Fields = {}
        self._seen: set[str] = set()
        self._max_file = max_file
        self._name = ""
        self._file: UploadFile | None = None
        self._text = bytearray()
        self._file_bytes = 0

    async def take(self, part: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(part, MultipartSegment):
            self._begin(part)
        elif part is None:
            await self._end()
        elif self._file is not None:
            self._file_bytes += len(part)
            if self._file_bytes > self._max_file:
                raise UploadTooLarge(f"the upload has more than {self._max_file} bytes")
            await self._file.write(bytes(part))
        else:
            self._text += part
            if len(self._text) > _MAX_FIELD:
                raise UploadTooLarge(f"the field {self._name!r} has more than {_MAX_FIELD} bytes")

    def _begin(self, segment: MultipartSegment) -> None:
        if segment.name in self._seen:
            raise InvalidRequest(f"the field {segment.name!r} was sent twice")
        self._seen.add(segment.name)
        self._name, self._file = segment.name, None
        self._text.clear()
        if segment.filename is not None:
            self._file = UploadFile(
                content_type=segment.content_type or "application/octet-stream",
                filename=segment.filename,
                max_spool_size=_SPOOL,
            )
            self.fields[segment.name] = self._file

    async def _end(self) -> None:
        if self._file is not None:
            await self._file.seek(0)
        elif self._text:
            self.fields[self._name] = self._text.decode("utf-8")


async def _chunks(request: Request[Any, Any, Any], most: int, patience: float) -> AsyncGenerator[bytes, None]:
    total, more = 0, True
    while more:
        try:
            async with asyncio.timeout(patience):
                message: Any = await request.receive()
        except TimeoutError:
            raise UploadStalled(f"no bytes of the upload came for {patience:g} s") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        body = message.get("body", b"")
        total += len(body)
        if total > most:
            raise UploadTooLarge("the upload is too large")
        more = message.get("more_body", False)
        if body:
            yield body
