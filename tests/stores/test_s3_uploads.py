"""How content goes to S3: in parts, in little memory, repeated, aborted."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from domain.errors import NotFound, StorageUnavailable
from tests.stores.s3_servers import Moto, S3Server, StartResponse, Wsgi
from tests.stores.s3_stores import MIB, PART, TYPE, Stream, opened, read, refusing


async def test_what_fits_one_part_is_one_request(moto: Moto, bucket: str) -> None:
    async with opened(moto.options(bucket, part_size=PART)) as store:
        await store.put("a", Stream(5), TYPE)
        assert moto.requests == ["PUT "]
        moto.requests.clear()
        await store.put("a", Stream(5.5), TYPE)
        assert [request.split()[0] for request in moto.requests] == ["POST", "PUT", "PUT", "POST"]


async def test_a_request_is_repeated_from_memory(moto: Moto, bucket: str) -> None:
    moto.spoil = refusing("503 Slow Down", "SlowDown", method="PUT", times=2)
    stream = Stream(1)
    async with opened(moto.options(bucket)) as store:
        await store.put("a", stream, TYPE)
        assert len(await read(store, "a")) == MIB
    assert moto.requests[:3] == ["PUT "] * 3
    assert stream.opened == 1


async def test_repetitions_are_bounded(moto: Moto, bucket: str) -> None:
    moto.spoil = refusing("503 Slow Down", "SlowDown", method="PUT")
    async with opened(moto.options(bucket, attempts=2)) as store:
        with pytest.raises(StorageUnavailable, match="SlowDown"):
            await store.put("a", Stream(1), TYPE)
    assert moto.requests == ["PUT "] * 2


async def test_what_a_repetition_cannot_mend_is_sent_again_from_a_stream_opened_anew(moto: Moto, bucket: str) -> None:
    """The answer to the completion is lost; repeated, it finds no upload: the case of MinIO and other servers."""
    lost = refusing("500 Lost", "InternalError", method="POST", query="uploadId", times=1)
    gone = refusing("404 Gone", "NoSuchUpload", method="POST", query="uploadId", times=1)

    def spoil(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        return lost(environ, start_response, app) or gone(environ, start_response, app)

    moto.spoil = spoil
    stream = Stream(6)
    async with opened(moto.options(bucket, part_size=PART)) as store:
        await store.put("a", stream, TYPE)
        assert len(await read(store, "a")) == 6 * MIB
    assert stream.opened == 2
    assert moto.unfinished(bucket) == []


async def test_sending_again_happens_once(moto: Moto, bucket: str) -> None:
    moto.spoil = refusing("400 Bad", "BadDigest", method="PUT")
    stream = Stream(1)
    async with opened(moto.options(bucket)) as store:
        with pytest.raises(StorageUnavailable, match="BadDigest"):
            await store.put("a", stream, TYPE)
    assert stream.opened == 2


@pytest.mark.parametrize(("method", "query"), [("PUT", "partNumber=1"), ("PUT", "partNumber=2"), ("POST", "uploadId")])
async def test_an_upload_that_is_refused_half_way_is_aborted(moto: Moto, bucket: str, method: str, query: str) -> None:
    moto.spoil = refusing("403 Forbidden", "AccessDenied", method=method, query=query)
    async with opened(moto.options(bucket, part_size=PART)) as store:
        with pytest.raises(StorageUnavailable, match="AccessDenied"):
            await store.put("a", Stream(11), TYPE)
        with pytest.raises(NotFound):
            await store.stat("a")
    assert moto.unfinished(bucket) == []


async def test_an_abort_that_fails_hides_no_error_and_is_bounded(
    moto: Moto, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.s3.upload._ABORT_PATIENCE", 0.2)
    denied = refusing("403 Forbidden", "AccessDenied", method="PUT", query="partNumber=2")

    def spoil(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] == "DELETE":
            time.sleep(1)
        return denied(environ, start_response, app)

    moto.spoil = spoil
    async with opened(moto.options(bucket, part_size=PART)) as store:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable, match="AccessDenied"):
            await store.put("a", Stream(11), TYPE)
        assert time.monotonic() - begun < 5


async def test_an_upload_that_was_begun_while_its_put_was_cancelled_is_aborted(moto: Moto, bucket: str) -> None:
    def slow_to_begin(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        answer = app(environ, start_response)  # the upload exists from here on, and nobody knows its id
        if environ["REQUEST_METHOD"] == "POST":
            time.sleep(0.5)
        return answer

    moto.spoil = slow_to_begin
    async with opened(moto.options(bucket, part_size=PART)) as store:
        putting = asyncio.create_task(store.put("a", Stream(11), TYPE))
        await asyncio.sleep(0.3)
        assert moto.requests[0].startswith("POST")
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
    assert moto.unfinished(bucket) == []


async def test_a_put_that_is_cancelled_twice_is_still_aborted_before_the_store_closes(moto: Moto, bucket: str) -> None:
    def slow_to_abort(environ: dict[str, Any], start_response: StartResponse, app: Wsgi) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] == "DELETE":
            time.sleep(0.5)
        return app(environ, start_response)

    moto.spoil = slow_to_abort
    hung = asyncio.Event()

    async def hang() -> AsyncGenerator[bytes, None]:
        yield bytes(6 * MIB)
        hung.set()
        await asyncio.Event().wait()

    async with opened(moto.options(bucket, part_size=PART)) as store:
        putting = asyncio.create_task(store.put("a", hang, TYPE))
        await hung.wait()
        putting.cancel()
        await asyncio.sleep(0.1)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert moto.unfinished(bucket) == ["a"]
    assert moto.unfinished(bucket) == []


@pytest.fixture
def moto_process() -> Iterator[S3Server]:
    """Moto in a process of its own, so that what it keeps is not in this one's memory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield S3Server(f"http://127.0.0.1:{port}", "testing", "testing-secret")
        process.terminate()


async def test_100_mib_go_up_and_come_down_in_little_memory(moto_process: S3Server) -> None:
    with moto_process.bucket() as bucket:
        async with opened(moto_process.options(bucket)) as store:
            await store.put("warm", Stream(9), TYPE)
            gc.collect()
            before = psutil.Process().memory_info().rss
            tracemalloc.start()
            try:
                await store.put("a", Stream(100), TYPE)
                uploaded = tracemalloc.get_traced_memory()[1]
                tracemalloc.reset_peak()
                assert sum([len(piece) async for piece in store.read("a")]) == 100 * MIB
                downloaded = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            growth = psutil.Process().memory_info().rss - before
    assert uploaded < 20 * MIB  # one part of 8 MiB, and what grows while it is gathered
    assert downloaded < 8 * MIB
    assert growth < 40 * MIB
