"""What an S3 server can do to the service, and what the service makes of it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import botocore.exceptions
import pytest

from adapters.s3.failures import Refused, translated
from domain.errors import StorageUnavailable
from tests.stores.s3_servers import Moto, S3Server, StartResponse, Wsgi
from tests.stores.s3_stores import MIB, PART, SECRET, TYPE, Stream, content_of, nowhere, opened, read


@asynccontextmanager
async def answering_server() -> AsyncIterator[tuple[str, list[int]]]:
    """Answers 200 to anything and keeps connections open; also how many there are at once, now and at most."""
    connections = [0, 0, 0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        connections[1] += 1
        connections[2] = max(connections[2], connections[1])
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.005)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connections[1] -= 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections


async def test_requests_share_a_bounded_pool_of_connections() -> None:
    async with answering_server() as (url, connections):
        async with opened(nowhere(endpoint_url=url, max_connections=4)) as store:
            for _ in range(10):
                await store.check()
            assert connections[0] == 1
            await asyncio.gather(*(store.check() for _ in range(40)))
            assert connections[0] == connections[2] == 4
        await asyncio.sleep(0.05)
        assert connections[1] == 0  # closing the store closes them


async def test_a_reader_that_leaves_or_is_cancelled_gives_its_connection_back(moto: Moto, bucket: str) -> None:
    async with opened(moto.options(bucket, max_connections=1, read_timeout=2.0, attempts=1)) as store:
        await store.put("a", content_of(bytes(8 * MIB)), TYPE)
        for _ in range(3):
            pieces = store.read("a")
            await anext(pieces)
            await pieces.aclose()
            await store.check()

        async def hold() -> None:
            async for _ in store.read("a"):
                await asyncio.Event().wait()

        for _ in range(3):
            holding = asyncio.create_task(hold())
            await asyncio.sleep(0.1)
            holding.cancel()
            with suppress(asyncio.CancelledError):
                await holding
            await store.check()


async def test_the_wait_for_a_place_in_the_pool_is_bounded(moto: Moto, bucket: str) -> None:
    async with opened(
        moto.options(bucket, max_connections=1, connect_timeout=0.2, read_timeout=0.3, attempts=1)
    ) as store:
        await store.put("a", content_of(bytes(8 * MIB)), TYPE)
        pieces = store.read("a")
        await anext(pieces)
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await store.check()
        assert time.monotonic() - begun < 4
        await pieces.aclose()


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and neither reads nor answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


async def test_a_silent_server_is_unavailable_storage_within_the_timeouts(silent: str) -> None:
    options = nowhere(endpoint_url=silent, connect_timeout=0.2, read_timeout=0.2, attempts=1, part_size=64 * MIB)
    async with opened(options) as store:
        for work in (store.check(), store.stat("a"), read(store, "a"), store.put("a", content_of(b"a"), TYPE)):
            begun = time.monotonic()
            with pytest.raises(StorageUnavailable, match="does not answer"):
                await work
            assert time.monotonic() - begun < options.patience + 1
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable, match="does not answer"):
            await store.put("a", content_of(bytes(32 * MIB)), TYPE)  # more than the network takes with nobody reading
        assert time.monotonic() - begun < options.patience + 1


def client_error(code: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": SECRET}}, "GetObject")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("NoSuchBucket", "S3_BUCKET"),
        ("404", "S3_BUCKET"),
        ("AccessDenied", "s3:ListBucket"),
        ("403", "s3:PutObject"),
        ("InvalidAccessKeyId", "APP_AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "APP_AWS_SECRET_ACCESS_KEY"),
        ("ExpiredToken", "expired"),
        ("RequestTimeTooSkewed", "clock"),
        ("PermanentRedirect", "AWS_REGION"),
        ("AuthorizationHeaderMalformed", "AWS_REGION"),
        ("SlowDown", "too much to do"),
        ("SomethingNew", "SomethingNew"),
        ("", "unknown"),
        (f"<{SECRET}>", "unknown"),
    ],
)
def test_a_refusal_tells_the_operator_what_to_do(code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused, translated():
        raise client_error(code)
    assert SECRET not in refused.value.message
    assert isinstance(refused.value.__cause__, botocore.exceptions.ClientError)


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.EndpointConnectionError(endpoint_url=SECRET),
        botocore.exceptions.ConnectTimeoutError(endpoint_url=SECRET),
        botocore.exceptions.ReadTimeoutError(endpoint_url=SECRET),
        botocore.exceptions.SSLError(endpoint_url=SECRET, error=SECRET),
        botocore.exceptions.HTTPClientError(error=SECRET),
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        botocore.exceptions.ParamValidationError(report=SECRET),
        aiohttp.ClientPayloadError(SECRET),
        aiohttp.ServerDisconnectedError(SECRET),
        TimeoutError(SECRET),
        ConnectionResetError(SECRET),
        socket.gaierror(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_the_network_is_unavailable_storage_with_its_class(error: Exception) -> None:
    with pytest.raises(StorageUnavailable, match=type(error).__name__) as unavailable, translated():
        raise error
    assert SECRET not in unavailable.value.message
    assert unavailable.value.__cause__ is error


def test_cancelling_is_not_translated() -> None:
    with pytest.raises(asyncio.CancelledError), translated():
        raise asyncio.CancelledError


async def test_a_missing_bucket_is_no_missing_object(moto: Moto) -> None:
    async with opened(moto.options("not-there", part_size=PART)) as store:
        for work in (
            store.stat("a"),
            read(store, "a"),
            store.put("a", Stream(1), TYPE),
            store.put("a", Stream(6), TYPE),
            store.check(),
            anext(store.list()),
        ):
            with pytest.raises(StorageUnavailable, match="S3_BUCKET"):
                await work


async def test_a_wrong_secret_is_unavailable_storage(real_s3: S3Server) -> None:
    with real_s3.bucket() as bucket:
        async with opened(real_s3.options(bucket, secret_access_key=SECRET)) as store:
            for work in (store.stat("a"), read(store, "a"), store.put("a", Stream(1), TYPE), store.delete("a")):
                with pytest.raises(StorageUnavailable) as refused:
                    await work
                assert SECRET not in refused.value.message
            with pytest.raises(StorageUnavailable, match="403"):
                await store.check()


async def test_an_answer_that_breaks_off_is_unavailable_storage_at_that_piece(moto: Moto, bucket: str) -> None:
    def break_off(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "GET":
            return None
        start_response("200 OK", [("Content-Length", str(MIB)), ("Content-Type", TYPE)])
        return [bytes(1000)]

    moto.spoil = break_off
    async with opened(moto.options(bucket)) as store:
        pieces = store.read("a")
        assert await anext(pieces) == bytes(1000)
        with pytest.raises(StorageUnavailable):
            await anext(pieces)


async def test_an_answer_that_falls_silent_is_unavailable_storage(moto: Moto, bucket: str) -> None:
    def fall_silent(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "GET":
            return None
        start_response("200 OK", [("Content-Length", str(MIB)), ("Content-Type", TYPE)])

        def body() -> Iterator[bytes]:
            yield bytes(1000)
            time.sleep(1)

        return body()

    moto.spoil = fall_silent
    async with opened(moto.options(bucket, read_timeout=0.3)) as store:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable, match="Timeout"):
            await read(store, "a")
        assert time.monotonic() - begun < 1
