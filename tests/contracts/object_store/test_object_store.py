"""What holds for every object store: the contract of ``domain.ports.object_store``."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from domain.errors import KeyInvalid, NotFound, RangeNotSatisfiable, StorageUnavailable
from domain.ports.object_store import ObjectStore, OpenStream
from domain.ports.self_checking import SelfChecking
from domain.stored_object import ByteRange

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 2**20
PART = 8 * MIB
CONTENT = random.Random(7).randbytes(2 * PART + MIB + 1)  # three parts of a multipart upload
TYPE = "audio/mpeg"

HOSTILE = [
    "", ".", "..", "/", "../x", "a/../b", "a/./b", "a/..", "/etc/passwd", "a//b", "a/", "a\0b", "a\\b", "..\\x",
    "a b", "a\nb", "a\n", "ä", "\u202ea", "a\u2215b", "１", "\udc80", "%2e%2e/x", "a%2Fb", "a?b", "a#b", "a:b", "a*b",
    "~/a", "$HOME", "`id`", "k" * 513, "p/" * 256 + "k",
]  # fmt: skip

ALLOWED = [
    "a", "a/b", "a/b/c", "A", "A/B", "k" * 300, "k" * 500, "p" * 260 + "/" + "q" * 239, "x/" * 249 + "x", "-", "=",
    "_", "...", "..a", "a..b", ".hidden", "records", "con", "a.mp3", "x=1/y=2/z",
]  # fmt: skip
"""Starts of keys; with their test's own part none is longer than 512."""


class Backend(Protocol):
    """See ``conftest.Backend``."""

    store: ObjectStore

    def unfinished(self) -> list[str]: ...
    def open_down(self) -> AbstractAsyncContextManager[ObjectStore]: ...
    async def fetch(self, url: str) -> tuple[int, bytes]: ...


def content_of(content: bytes, piece: int = MIB) -> OpenStream:
    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(content), piece):
            yield content[start : start + piece]

    return stream


class Stream:
    """A stream that yields ``content``, then raises ``error`` or hangs; counts how often it is opened and closed."""

    def __init__(self, content: bytes = b"", *, error: Exception | None = None, hang: bool = False) -> None:
        self.content, self.error, self.hang = content, error, hang
        self.opened = self.closed = 0
        self.consumed = asyncio.Event()

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        self.opened += 1
        try:
            for start in range(0, len(self.content), MIB):
                yield self.content[start : start + MIB]
            self.consumed.set()
            if self.hang:
                await asyncio.Event().wait()
            if self.error:
                raise self.error
        finally:
            self.closed += 1


async def read(store: ObjectStore, key: str, start: int | None = None, end: int | None = None) -> bytes:
    part = None if start is None else ByteRange(start=start, end=end)
    return b"".join([piece async for piece in store.read(key, part)])


async def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [stored.key async for stored in store.list(prefix)]


async def assert_missing(store: ObjectStore, key: str) -> None:
    with pytest.raises(NotFound):
        await store.stat(key)
    with pytest.raises(NotFound):
        await read(store, key)
    with pytest.raises(NotFound):
        await read(store, key, 0, 1)
    assert key not in await keys(store, key)


async def test_is_an_object_store_that_can_say_whether_it_works(store: ObjectStore) -> None:
    assert isinstance(store, ObjectStore)
    assert isinstance(store, SelfChecking)
    await store.check()


@pytest.mark.parametrize("size", [0, 1, 100_000, PART - 1, PART, PART + 1, len(CONTENT)])
async def test_an_object_is_read_as_it_was_put(store: ObjectStore, key: str, size: int) -> None:
    await store.put(key, content_of(CONTENT[:size]), TYPE)
    assert await read(store, key) == CONTENT[:size]
    assert (await store.stat(key)).size == size


async def test_pieces_of_any_size_make_the_object_also_empty_and_huge_ones(store: ObjectStore, key: str) -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b""
        yield b"a"
        yield b""
        yield CONTENT
        yield b"z"
        yield b""

    stored = await store.put(key, pieces, TYPE)
    assert stored.size == len(CONTENT) + 2
    assert await read(store, key) == b"a" + CONTENT + b"z"


async def test_put_answers_what_stat_answers(store: ObjectStore, key: str) -> None:
    facts = {"duration": "1.500000", "voice": "en-us+f3"}
    put = await store.put(key, content_of(b"abc"), "audio/ogg; codecs=opus", facts)
    stat = await store.stat(key)
    for stored in (put, stat):
        assert (stored.key, stored.size, stored.content_type) == (key, 3, "audio/ogg; codecs=opus")
        assert stored.metadata == facts
        assert stored.modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - stored.modified) < timedelta(seconds=60)


async def test_metadata_and_type_are_kept_with_a_large_object_too(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT), TYPE, {"duration": "9"})
    stored = await store.stat(key)
    assert (stored.size, stored.content_type, stored.metadata) == (len(CONTENT), TYPE, {"duration": "9"})


async def test_metadata_may_be_2_kib(store: ObjectStore, key: str) -> None:
    facts = {"note": "x" * 2000}
    await store.put(key, content_of(b"a"), TYPE, facts)
    assert (await store.stat(key)).metadata == facts


async def test_an_object_without_metadata_has_none(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(b"a"), TYPE)
    assert (await store.stat(key)).metadata == {}


async def test_overwriting_replaces_content_type_and_metadata_together(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT), TYPE, {"duration": "9", "voice": "a"})
    await store.put(key, content_of(b"new"), "audio/wav", {"duration": "1"})
    stored = await store.stat(key)
    assert (stored.size, stored.content_type, stored.metadata) == (3, "audio/wav", {"duration": "1"})
    assert await read(store, key) == b"new"
    assert await keys(store, key) == [key]


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 9), (10, 19), (999, 999), (990, None), (0, None), (500, 999), (500, 5000), (0, 5000)]
)
async def test_a_range_has_both_its_ends(store: ObjectStore, key: str, start: int, end: int | None) -> None:
    content = CONTENT[:1000]
    await store.put(key, content_of(content), TYPE)
    assert await read(store, key, start, end) == content[start : 1000 if end is None else end + 1]


async def test_a_range_reaches_across_the_parts_of_an_upload(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT), TYPE)
    assert await read(store, key, PART - 5, PART + 5) == CONTENT[PART - 5 : PART + 6]
    assert await read(store, key, PART, PART) == CONTENT[PART : PART + 1]
    assert await read(store, key, PART - 1, 2 * PART) == CONTENT[PART - 1 : 2 * PART + 1]
    assert await read(store, key, len(CONTENT) - 1) == CONTENT[-1:]


@pytest.mark.parametrize(
    ("size", "start", "end"), [(10, 10, None), (10, 10, 20), (10, 999, None), (0, 0, None), (0, 0, 0)]
)
async def test_a_range_that_starts_past_the_end_is_refused_with_the_size(
    store: ObjectStore, key: str, size: int, start: int, end: int | None
) -> None:
    await store.put(key, content_of(CONTENT[:size]), TYPE)
    with pytest.raises(RangeNotSatisfiable) as refused:
        await read(store, key, start, end)
    assert refused.value.size == size


async def test_pieces_are_at_most_1_mib_and_never_empty(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT, piece=len(CONTENT)), TYPE)
    assert all([0 < len(piece) <= MIB async for piece in store.read(key)])


async def test_what_is_not_there_is_not_found(store: ObjectStore, key: str) -> None:
    await assert_missing(store, key)


async def test_nothing_happens_before_the_first_piece_is_asked_for(store: ObjectStore, key: str) -> None:
    pieces = store.read(key)
    await store.put(key, content_of(b"later"), TYPE)
    assert b"".join([piece async for piece in pieces]) == b"later"


async def test_deleting_removes_and_may_be_repeated(store: ObjectStore, key: str) -> None:
    await store.delete(key)
    await store.put(key, content_of(b"a"), TYPE)
    await store.delete(key)
    await assert_missing(store, key)
    await store.delete(key)


async def test_a_key_and_the_keys_below_it_live_apart(store: ObjectStore, key: str) -> None:
    names = [key, f"{key}/b", f"{key}/b/c", f"{key}/B", f"{key}b"]
    for name in names:
        await store.put(name, content_of(name.encode()), TYPE)
    for name in names:
        assert await read(store, name) == name.encode()
    await store.delete(key)
    await assert_missing(store, key)
    for name in names[1:]:
        assert await read(store, name) == name.encode()


@pytest.mark.parametrize("start", ALLOWED, ids=lambda start: start[:12])
async def test_every_key_within_the_rules_works(store: ObjectStore, start: str) -> None:
    key = f"{start}-{time.monotonic_ns() % 10**9}"[:512]
    await store.put(key, content_of(b"abc"), TYPE)
    assert (await store.stat(key)).key == key
    assert await read(store, key) == b"abc"
    assert await keys(store, key) == [key]
    await store.url(key, 60)
    await store.delete(key)
    await assert_missing(store, key)


async def test_the_longest_key_works(store: ObjectStore, key: str) -> None:
    longest = f"{key}/{'k' * 512}"[:512]
    await store.put(longest, content_of(CONTENT), TYPE)
    assert (await store.stat(longest)).size == len(CONTENT)
    assert await keys(store, longest) == [longest]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: ascii(hostile[:12]))
async def test_a_key_outside_the_rules_is_refused_by_every_method(store: ObjectStore, hostile: str) -> None:
    stream = Stream(b"abc")
    with pytest.raises(KeyInvalid):
        await store.put(hostile, stream, TYPE)
    assert stream.opened == 0
    with pytest.raises(KeyInvalid):
        await read(store, hostile)
    with pytest.raises(KeyInvalid):
        await store.stat(hostile)
    with pytest.raises(KeyInvalid):
        await store.delete(hostile)
    with pytest.raises(KeyInvalid) as refused:
        await store.url(hostile, 60)
    assert len(hostile) < 3 or hostile not in refused.value.message


async def test_listing_is_sorted_by_key_and_takes_a_prefix_as_it_stands(store: ObjectStore, key: str) -> None:
    names = [f"{key}/{name}" for name in ("b", "a/2", "B", "a", "a-1", "a/1", "ab")]
    for name in names:
        await store.put(name, content_of(name.encode()), TYPE)
    assert await keys(store, f"{key}/") == sorted(names)
    assert await keys(store, f"{key}/a") == sorted(name for name in names if name.startswith(f"{key}/a"))
    assert await keys(store, f"{key}/a/") == [f"{key}/a/1", f"{key}/a/2"]
    assert await keys(store, f"{key}/c") == []
    assert set(names) <= set(await keys(store, ""))
    assert {stored.size async for stored in store.list(key)} == {len(name) for name in names}


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "..", "nobody/has/this"])
async def test_a_prefix_of_no_key_lists_nothing(store: ObjectStore, prefix: str) -> None:
    assert await keys(store, prefix) == []


@pytest.mark.parametrize("prefix", ["a b", "a\0", "ä", "a\\", "a%2F", "\udc80", "k" * 513])
async def test_a_prefix_with_what_no_key_has_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(KeyInvalid):
        await keys(store, prefix)


SIZES = [0, 1000, PART + MIB, 2 * PART + MIB]


@pytest.mark.parametrize("size", SIZES)
async def test_a_stream_that_raises_leaves_nothing_and_its_error_comes_out(
    backend: Backend, key: str, size: int
) -> None:
    error = LookupError("the encoder broke")
    stream = Stream(CONTENT[:size], error=error)
    with pytest.raises(LookupError) as raised:
        await backend.store.put(key, stream, TYPE)
    assert raised.value is error
    assert (stream.opened, stream.closed) == (1, 1)
    await assert_missing(backend.store, key)
    assert backend.unfinished() == []


@pytest.mark.parametrize("size", SIZES)
async def test_a_cancelled_put_leaves_nothing(backend: Backend, key: str, size: int) -> None:
    stream = Stream(CONTENT[:size], hang=True)
    putting = asyncio.create_task(backend.store.put(key, stream, TYPE))
    await stream.consumed.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert (stream.opened, stream.closed) == (1, 1)
    await assert_missing(backend.store, key)
    assert backend.unfinished() == []


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.01, 0.03, 0.1, 0.3])
async def test_a_put_cancelled_at_any_moment_leaves_all_or_nothing(backend: Backend, key: str, pause: float) -> None:
    putting = asyncio.create_task(backend.store.put(key, content_of(CONTENT), TYPE))
    await asyncio.sleep(pause)
    putting.cancel()
    with suppress(asyncio.CancelledError):
        await putting
    with suppress(NotFound):
        assert await read(backend.store, key) == CONTENT
    assert backend.unfinished() == []


async def test_a_put_that_breaks_off_leaves_the_old_object(backend: Backend, key: str) -> None:
    await backend.store.put(key, content_of(b"old"), TYPE, {"duration": "1"})
    for size in (1000, PART + MIB):
        with pytest.raises(LookupError):
            await backend.store.put(key, Stream(CONTENT[:size], error=LookupError()), "audio/wav")
    stored = await backend.store.stat(key)
    assert (stored.size, stored.content_type, stored.metadata) == (3, TYPE, {"duration": "1"})
    assert await read(backend.store, key) == b"old"
    assert backend.unfinished() == []


async def test_a_put_that_broke_off_can_be_repeated_from_the_start_of_the_stream(store: ObjectStore, key: str) -> None:
    stream = Stream(CONTENT, error=LookupError())
    with pytest.raises(LookupError):
        await store.put(key, stream, TYPE)
    stream.error = None
    await store.put(key, stream, TYPE)
    assert await read(store, key) == CONTENT
    assert (stream.opened, stream.closed) == (2, 2)


@pytest.mark.parametrize("size", [1000, PART + MIB])
async def test_puts_of_one_key_at_once_leave_one_whole_object(backend: Backend, key: str, size: int) -> None:
    contents = [bytes([number]) * (size + number) for number in range(5)]
    await asyncio.gather(
        *(
            backend.store.put(key, content_of(content), f"audio/x{number}", {"number": str(number)})
            for number, content in enumerate(contents)
        )
    )
    stored = await backend.store.stat(key)
    number = int(stored.metadata["number"])
    assert stored.content_type == f"audio/x{number}"
    assert await read(backend.store, key) == contents[number]
    assert await keys(backend.store, key) == [key]
    assert backend.unfinished() == []


async def test_puts_and_reads_of_many_keys_run_at_once(store: ObjectStore, key: str) -> None:
    async def work(number: int) -> bytes:
        await store.put(f"{key}/{number}", content_of(b"%d" % number), TYPE)
        return await read(store, f"{key}/{number}")

    assert await asyncio.gather(*map(work, range(40))) == [b"%d" % number for number in range(40)]


async def test_a_reader_that_leaves_early_holds_nothing(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT), TYPE)
    for _ in range(40):  # more than the connections of a pool, the threads of a bridge
        async with aclosing(store.read(key)) as pieces:
            assert await anext(pieces)
    assert (await store.stat(key)).size == len(CONTENT)


async def test_a_cancelled_reader_holds_nothing(store: ObjectStore, key: str) -> None:
    await store.put(key, content_of(CONTENT), TYPE)
    for turn in range(40):
        reading = asyncio.create_task(read(store, key))
        await asyncio.sleep(turn * 0.0005)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    assert await read(store, key, 0, 0) == CONTENT[:1]


async def test_a_link_says_when_it_expires_and_needs_no_object(store: ObjectStore, key: str) -> None:
    before = datetime.now(UTC)
    for seconds in (1, 60.5, 604_800):
        link = await store.url(key, seconds)
        assert timedelta(seconds=seconds - 1) <= link.expires_at - before <= timedelta(seconds=seconds + 10)
        assert key in link.url


SERVED = pytest.mark.parametrize("backend", ["local", "s3-moto", "s3-real"], indirect=True)
CHECKED = pytest.mark.parametrize("backend", ["local", "s3-real"], indirect=True)  # moto checks no signatures


def altered(url: str, what: str) -> str:
    """The link with another key, a later expiry, or another signature."""
    link = urlsplit(url)
    query = {}
    for name, value in parse_qsl(link.query):
        is_it = name.lower().removeprefix("x-amz-") == what
        query[name] = value if not is_it else str(int(value) + 60) if what == "expires" else flipped(value)
    return urlunsplit(link._replace(path=link.path + ("x" if what == "key" else ""), query=urlencode(query)))


def flipped(signature: str) -> str:
    return signature[:-1] + ("0" if signature[-1] != "0" else "1")


@SERVED
async def test_a_link_reads_the_object(backend: Backend, key: str) -> None:
    await backend.store.put(f"{key}/a=1.mp3", content_of(CONTENT[:1000]), TYPE)
    link = await backend.store.url(f"{key}/a=1.mp3", 60)
    assert await backend.fetch(link.url) == (200, CONTENT[:1000])


@CHECKED
@pytest.mark.parametrize("what", ["key", "expires", "signature"])
async def test_an_altered_link_is_answered_403(backend: Backend, key: str, what: str) -> None:
    for name in (key, f"{key}x"):
        await backend.store.put(name, content_of(b"secret"), TYPE)
    link = await backend.store.url(key, 60)
    assert (await backend.fetch(altered(link.url, "nothing")))[0] == 200
    status, body = await backend.fetch(altered(link.url, what))
    assert status == 403
    assert b"secret" not in body


@CHECKED
async def test_an_expired_link_is_answered_403(backend: Backend, key: str) -> None:
    await backend.store.put(key, content_of(b"secret"), TYPE)
    link = await backend.store.url(key, 1)
    assert (await backend.fetch(link.url))[0] == 200
    await asyncio.sleep((link.expires_at - datetime.now(UTC)).total_seconds() + 1.1)
    assert (await backend.fetch(link.url))[0] == 403


async def test_a_store_that_is_down_says_so_in_time_from_every_method_that_asks_it(backend: Backend, key: str) -> None:
    async with backend.open_down() as down:
        begun = time.monotonic()
        for size in (10, len(CONTENT)):
            stream = Stream(CONTENT[:size])
            with pytest.raises(StorageUnavailable):
                await down.put(key, stream, TYPE)
            assert stream.opened == stream.closed
        with pytest.raises(StorageUnavailable):
            await read(down, key)
        with pytest.raises(StorageUnavailable):
            await down.stat(key)
        with pytest.raises(StorageUnavailable):
            await down.delete(key)
        with pytest.raises(StorageUnavailable):
            await keys(down, key)
        with pytest.raises(StorageUnavailable) as unavailable:
            await down.check()
        assert time.monotonic() - begun < 30
        assert unavailable.value.retryable
        assert "/" not in unavailable.value.message  # neither a path nor an address
