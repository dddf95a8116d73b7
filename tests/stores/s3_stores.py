"""Opened S3 stores, streams to put in them, and answers that spoil them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.s3 import PLUGIN, S3Options
from domain.ports.object_store import ObjectStore, OpenStream
from domain.ports.plugin import Host
from tests.stores.s3_servers import StartResponse, Wsgi

HOST = Host(models_dir=Path(os.devnull))
MIB = 2**20
PART = 5 * MIB
TYPE = "audio/mpeg"
SECRET = "swordfish-swordfish"


@asynccontextmanager
async def opened(options: S3Options) -> AsyncIterator[ObjectStore]:
    async with PLUGIN.open(options, HOST) as store:
        yield store


def nowhere(**changes: Any) -> S3Options:
    """Settings of a store that is never asked."""
    return S3Options(**{"bucket": "parlante", "access_key_id": "AKID", "secret_access_key": SECRET, **changes})


class Stream:
    """Yields so many MiB; counts how often it is opened."""

    def __init__(self, mib: float) -> None:
        self.mib, self.opened = mib, 0

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        self.opened += 1
        piece = bytes(MIB // 2)
        for _ in range(int(self.mib * 2)):
            yield piece


def content_of(content: bytes) -> OpenStream:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    return stream


async def read(store: ObjectStore, key: str) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


def refusing(
    status: str, code: str, *, method: str, query: str = "", times: int = 10**6
) -> Callable[[dict[str, Any], StartResponse, Wsgi], Iterable[bytes] | None]:
    """Refuses the first ``times`` requests of a method whose query holds ``query``."""
    left = [times]

    def spoil(environ: dict[str, Any], start_response: StartResponse, _: Wsgi) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != method or query not in environ["QUERY_STRING"] or left[0] == 0:
            return None
        left[0] -= 1
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body if method != "HEAD" else b""]

    return spoil
