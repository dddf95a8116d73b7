"""``GET /files/{key}``: objects of a store that has no server of its own, by the links that it signed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Annotated

from litestar import Controller, Response, get, head
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Schema
from litestar.params import FromPath, HeaderParameter, QueryParameter, SkipValidation
from litestar.response import Stream

from app.errors import problem_responses
from app.guards import PUBLIC
from app.openapi import PublicOperation
from domain.errors import NotFound, RangeNotSatisfiable
from domain.ports.object_store import ObjectStore, SelfServedStore
from domain.stored_object import ByteRange, StoredObject

Store = NamedDependency[SkipValidation[ObjectStore]]
Expires = Annotated[str, QueryParameter(name="expires", description="From the link: when it stops working.")]
Signature = Annotated[
    str, QueryParameter(name="signature", description="From the link: proves that the service made it.")
]
RangeHeader = Annotated[str | None, HeaderParameter(name="Range", description="One range of bytes, as in RFC 9110.")]

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_WHOLE = ResponseSpec(bytes, generate_examples=False, description="The audio")
_PARTIAL = ResponseSpec(bytes, generate_examples=False, description="The range that was asked for")
_HEADERS_ONLY = ResponseSpec(None, generate_examples=False, description="The headers of the download")


@dataclass
class _Download(PublicOperation):
    """An operation that answers a file: any audio, which generated clients take as bytes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for response in (self.responses or {}).values():
            if isinstance(response, OpenAPIResponse) and set(response.content or ()) == {"application/json"}:
                file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
                response.content = {"audio/*": file, "application/octet-stream": file}


class FileController(Controller):
    """Signed downloads."""

    path = "/files"
    tags = ("Files",)
    opt = {PUBLIC: True}  # noqa: RUF012 - Litestar declares it so

    @get(
        "/{key:path}",
        operation_id="downloadFile",
        operation_class=_Download,
        summary="Download by a signed link",
        responses={200: _WHOLE, 206: _PARTIAL, **problem_responses(400, 403, 404, 416, 503)},
    )
    async def download(
        self,
        key: FromPath[str],
        object_store: Store,
        range_header: RangeHeader = None,
        expires: Expires = "",
        signature: Signature = "",
    ) -> Stream:
        """Download an object by the link that `synthesize` answered; `Range` is honoured."""
        stored = await _find(object_store, key, expires, signature)
        part = _parse_range(range_header, stored.size)
        first, last = (0, stored.size - 1) if part is None else (part.start, part.end or 0)
        headers = _headers(stored) | {"Content-Length": str(last - first + 1)}
        if part is not None:
            headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
        return Stream(
            object_store.read(stored.key, part),
            status_code=200 if part is None else 206,
            media_type=stored.content_type,
            headers=headers,
        )

    @head(
        "/{key:path}",
        operation_id="statFile",
        operation_class=PublicOperation,
        summary="Ask about a file by a signed link",
        responses={200: _HEADERS_ONLY, **problem_responses(400, 403, 404, 503)},
    )
    async def stat(
        self, key: FromPath[str], object_store: Store, expires: Expires = "", signature: Signature = ""
    ) -> Response[None]:
        """Answer the headers of a download without its body."""
        stored = await _find(object_store, key, expires, signature)
        headers = _headers(stored) | {"Content-Length": str(stored.size), "Content-Type": stored.content_type}
        return Response(None, headers=headers)


async def _find(store: ObjectStore, key: str, expires: str, signature: str) -> StoredObject:
    if not isinstance(store, SelfServedStore):
        raise NotFound("this service's objects are served by their own store")
    key = key.removeprefix("/")
    store.verify(key, expires, signature)
    return await store.stat(key)


def _headers(stored: StoredObject) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Cache-Control": "private, immutable",
    }


def _parse_range(header: str | None, size: int) -> ByteRange | None:
    """The one range that is asked for, its end inside the object; ``None`` for the whole.

    What is no single range of bytes is passed over, as RFC 9110 section 14.2 allows.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last or size - 1), size - 1)
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return ByteRange(start=start, end=end)
