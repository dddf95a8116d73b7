"""What is the directory's own as to files, beside the contract of every object store."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.bridge import Bridge
from adapters.local import PLUGIN, LocalOptions
from adapters.local import files as local_files
from adapters.local.signing import LinkSigner
from adapters.local.store import LocalStore
from domain.errors import NotFound, StorageUnavailable
from domain.ports.object_store import OpenStream, SelfServedStore
from domain.ports.plugin import Host

HOST = Host(models_dir=Path(os.devnull))
TYPE = "audio/mpeg"
DAY = 24 * 3600


@asynccontextmanager
async def opened(directory: Path, secret: str = "") -> AsyncIterator[SelfServedStore]:
    async with PLUGIN.open(LocalOptions(directory=directory, secret=secret), HOST) as store:
        yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SelfServedStore]:
    async with opened(tmp_path) as store:
        yield store


def content_of(*pieces: bytes) -> OpenStream:
    async def stream() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    return stream


async def read(store: SelfServedStore, key: str) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


def file_of(directory: Path, key: str) -> Path:
    return directory / "objects" / hashlib.sha256(key.encode()).hexdigest()


PUT_AND_HANG = """
import asyncio, sys
from pathlib import Path
from adapters.local import PLUGIN, LocalOptions
from domain.ports.plugin import Host

async def hang():
    yield bytes(100_000)
    print("written", flush=True)
    await asyncio.Event().wait()

async def main():
    async with PLUGIN.open(LocalOptions(directory=Path(sys.argv[1])), Host(models_dir=Path("/dev/null"))) as store:
        await store.put("a", hang, "audio/mpeg")

asyncio.run(main())
"""


def kill_in_the_middle_of_a_put(directory: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PUT_AND_HANG, directory], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)


async def test_what_a_killed_process_left_is_never_seen_and_goes_after_a_day(tmp_path: Path) -> None:
    kill_in_the_middle_of_a_put(tmp_path)
    async with opened(tmp_path) as store:
        with pytest.raises(NotFound):
            await store.stat("a")
        assert [stored async for stored in store.list()] == []
    (draft,) = (tmp_path / "drafts").iterdir()  # opening left it: another process could still be writing it
    os.utime(draft, (time.time() - DAY - 60,) * 2)
    async with opened(tmp_path):
        assert list((tmp_path / "drafts").iterdir()) == []


async def test_objects_outlive_a_restart_and_are_for_the_owner_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        put = await store.put("a", content_of(b"abc"), TYPE, {"duration": "1"})
    async with opened(tmp_path) as store:
        assert await store.stat("a") == put
        assert await read(store, "a") == b"abc"
    assert stat.S_IMODE(file_of(tmp_path, "a").stat().st_mode) == 0o600


async def test_a_link_in_an_objects_place_is_not_followed(store: SelfServedStore, tmp_path: Path) -> None:
    await store.put("a", content_of(b"abc"), TYPE)
    outside = tmp_path / "outside"
    file_of(tmp_path, "a").rename(outside)  # a whole object, so that only the link makes the difference
    kept = outside.read_bytes()
    file_of(tmp_path, "a").symlink_to(outside)
    with pytest.raises(NotFound):
        await store.stat("a")
    with pytest.raises(NotFound):
        await read(store, "a")
    assert [stored async for stored in store.list()] == []
    await store.put("a", content_of(b"new"), TYPE)
    assert not file_of(tmp_path, "a").is_symlink()
    assert outside.read_bytes() == kept
    file_of(tmp_path, "a").unlink()
    file_of(tmp_path, "a").symlink_to(outside)
    await store.delete("a")
    assert outside.read_bytes() == kept


@pytest.mark.parametrize("kind", ["pipe", "directory", "text", "empty", "cut short", "appended", "another's"])
async def test_a_file_that_is_no_whole_object_is_none_and_is_replaced(
    store: SelfServedStore, tmp_path: Path, kind: str
) -> None:
    await store.put("a", content_of(b"abc" * 100), TYPE)
    file = file_of(tmp_path, "a")
    content = file.read_bytes()
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "directory":
            file.mkdir()
        case "another's":
            await store.put("b", content_of(b"b"), TYPE)
            file_of(tmp_path, "b").rename(file)
        case _:
            damaged = {"text": b"text" * 50, "empty": b"", "cut short": content[10:], "appended": content + b"\0"}
            file.write_bytes(damaged[kind])
    async with asyncio.timeout(5):
        with pytest.raises(NotFound):
            await store.stat("a")
        assert [stored async for stored in store.list()] == []
        if kind == "directory":
            file.rmdir()
        await store.put("a", content_of(b"new"), TYPE)
        assert await read(store, "a") == b"new"


async def test_content_that_looks_like_an_object_file_is_read_as_it_is(store: SelfServedStore, tmp_path: Path) -> None:
    await store.put("a", content_of(b"abc"), TYPE)
    content = file_of(tmp_path, "a").read_bytes()
    await store.put("b", content_of(content), TYPE)
    assert await read(store, "b") == content


async def test_readers_during_overwrites_see_whole_objects(store: SelfServedStore) -> None:
    async def overwrite() -> None:
        for number in range(60):
            piece = bytes([number]) * 50_000
            await store.put("a", content_of(*[piece] * (number % 7 + 1)), TYPE, {"number": str(number)})

    async def look() -> set[int]:
        seen = set()
        while not writing.done():
            content = await read(store, "a")
            number = content[0]
            assert content == bytes([number]) * 50_000 * (number % 7 + 1)
            stored = await store.stat("a")
            assert stored.size == 50_000 * (int(stored.metadata["number"]) % 7 + 1)
            seen.add(number)
        return seen

    await store.put("a", content_of(bytes(50_000)), TYPE, {"number": "0"})
    writing = asyncio.create_task(overwrite())
    seen = await asyncio.gather(look(), look(), look())
    await writing
    assert len(set.union(*seen)) > 5  # the readers did meet the writer


async def test_a_reader_goes_on_with_the_object_that_it_began(store: SelfServedStore) -> None:
    old, new = b"o" * 2**20, b"n" * 100
    for change in (store.put("a", content_of(new), TYPE), store.delete("a")):
        await store.put("a", content_of(old), TYPE)
        pieces = store.read("a")
        begun = await anext(pieces)
        await change
        assert begun + b"".join([piece async for piece in pieces]) == old


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
async def test_a_disk_that_refuses_is_unavailable_storage_and_nothing_is_left(
    store: SelfServedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path))

    with monkeypatch.context() as patched:
        patched.setattr(local_files.os, "fsync", refuse)
        with pytest.raises(StorageUnavailable, match=errno.errorcode[code]) as refused:
            await store.put("a", content_of(b"abc"), TYPE)
    assert str(tmp_path) not in refused.value.message
    assert list((tmp_path / "drafts").iterdir()) == []
    with pytest.raises(NotFound):
        await store.stat("a")


async def test_a_full_disk_is_noticed_by_the_check(store: SelfServedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    await store.check()
    monkeypatch.setattr(local_files.os, "open", full)
    with pytest.raises(StorageUnavailable, match="full"):
        await store.check()


async def test_a_disk_that_falls_silent_is_unavailable_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    awake = threading.Event()
    monkeypatch.setattr("adapters.local.store._PATIENCE", 0.1)
    files = local_files.ObjectFiles(tmp_path)
    files.prepare()
    bridge = Bridge("silent", threads=1)
    store = LocalStore(files, LinkSigner(b""), bridge)
    waiting = asyncio.create_task(bridge.call(awake.wait))  # takes the only thread
    await asyncio.sleep(0.05)
    try:
        for work in (store.stat("a"), store.put("a", content_of(b"a"), TYPE), store.delete("a"), read(store, "a")):
            with pytest.raises(StorageUnavailable, match="does not answer"):
                await work
    finally:
        awake.set()
        await waiting
        bridge.close()


async def test_no_file_is_touched_on_the_event_loop(store: SelfServedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    real = os.open

    def spy(*args: object, **more: object) -> int:
        threads.add(threading.current_thread())
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", spy)
    await store.put("a", content_of(b"abc"), TYPE)
    await read(store, "a")
    await store.stat("a")
    assert [stored async for stored in store.list()]
    await store.check()
    await store.delete("a")
    assert threads
    assert threading.main_thread() not in threads
