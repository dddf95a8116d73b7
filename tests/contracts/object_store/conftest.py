"""Opens each object store that the contract holds for."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from adapters.local import PLUGIN as LOCAL
from adapters.local import LocalOptions
from adapters.s3 import PLUGIN as S3
from domain.errors import SignatureInvalid
from domain.ports.object_store import ObjectStore, SelfServedStore
from domain.ports.plugin import Host
from tests.fakes.object_store import FakeObjectStore
from tests.stores.s3_servers import Moto, S3Server, run_moto, run_real_s3

HOST = Host(models_dir=Path(os.devnull))


@dataclass
class Backend:
    """An opened store, and what its tests need beside it."""

    store: ObjectStore
    unfinished: Callable[[], list[str]]
    """Names of what puts that broke off have left behind."""
    open_down: Callable[[], AbstractAsyncContextManager[ObjectStore]]
    """Opens another store of the kind, whose server does not answer."""
    fetch: Callable[[str], Awaitable[tuple[int, bytes]]] | None
    """Follows a link as a client does: status and body."""


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with run_moto() as server:
        yield server


@pytest.fixture(scope="session")
def real_s3() -> Iterator[S3Server]:
    with run_real_s3() as server:
        yield server


@asynccontextmanager
async def _fake() -> AsyncIterator[Backend]:
    @asynccontextmanager
    async def open_down() -> AsyncIterator[ObjectStore]:
        yield FakeObjectStore(down=True)

    yield Backend(FakeObjectStore(), list, open_down, None)


@asynccontextmanager
async def _local(directory: Path) -> AsyncIterator[Backend]:
    @asynccontextmanager
    async def open_down() -> AsyncIterator[ObjectStore]:
        lost = directory / "lost"
        async with LOCAL.open(LocalOptions(directory=lost), HOST) as store:
            shutil.rmtree(lost)
            yield store

    async with LOCAL.open(LocalOptions(directory=directory / "kept"), HOST) as store:
        assert isinstance(store, SelfServedStore)

        async def fetch(url: str) -> tuple[int, bytes]:
            link = urlsplit(url)
            query = {name: values[0] for name, values in parse_qs(link.query).items()}
            key = unquote(link.path.removeprefix("/files/"))
            try:
                store.verify(key, **query)
            except SignatureInvalid:
                return 403, b""
            return 200, b"".join([piece async for piece in store.read(key)])

        def unfinished() -> list[str]:
            return [draft.name for draft in (directory / "kept" / "drafts").iterdir()]

        yield Backend(store, unfinished, open_down, fetch)


@asynccontextmanager
async def _s3(server: S3Server) -> AsyncIterator[Backend]:
    def open_down() -> AbstractAsyncContextManager[ObjectStore]:
        nobody = server.options("parlante", endpoint_url="http://127.0.0.1:9", attempts=2)
        return S3.open(nobody, HOST)

    async def fetch(url: str) -> tuple[int, bytes]:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(url)
            return response.status_code, response.content

    with server.bucket() as bucket:
        server.assert_unfinished_are_seen(bucket)
        async with S3.open(server.options(bucket), HOST) as store:
            yield Backend(store, lambda: server.unfinished(bucket), open_down, fetch)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fake", "local", "s3-moto", "s3-real"])
async def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    """Each store, opened."""
    match request.param:
        case "fake":
            opening = _fake()
        case "local":
            opening = _local(tmp_path_factory.mktemp("objects"))
        case "s3-moto":
            opening = _s3(request.getfixturevalue("moto"))
        case _:
            opening = _s3(request.getfixturevalue("real_s3"))
    async with opening as opened:
        yield opened


@pytest.fixture
def store(backend: Backend) -> ObjectStore:
    """The opened store."""
    return backend.store


@pytest.fixture
def key() -> str:
    """A key that no other test has, also good as the start of further ones."""
    return f"tests/{uuid4().hex}"
