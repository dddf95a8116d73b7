from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.application import create_app
from app.keys import hash_key
from app.settings import Settings, load_settings
from tests.app.backends import ENTRY_POINTS, Backends, InUse
from tests.app.installed import install_backends

REPOSITORY = Path(__file__).resolve().parents[2]
AUDIO = REPOSITORY / "tests" / "data" / "audio"
KEY = "the operators key"
ALICES_KEY = "parlante_alices"

_VARIABLES = {
    "PARLANTE_CONFIG_DIR": str(REPOSITORY / "config"),
    "API_KEY": KEY,
    "PARLANTE_KEYS__ALICE": hash_key(ALICES_KEY),
    "PARLANTE_BACKENDS__TRANSCRIBER": "fake",
    "PARLANTE_BACKENDS__SYNTHESIZER": "fake",
    "PARLANTE_BACKENDS__OBJECT_STORE": "shaky",
    "PARLANTE_SPEECH__MAX_CHARACTERS": "200",
    "PARLANTE_TRANSCRIPTION__MAX_DURATION": "20",
    "PARLANTE_TRANSCRIPTION__MAX_UPLOAD": "2000000",
}


class Service:
    """A running application, and clients of it."""

    def __init__(self, app: Litestar, backends: Backends) -> None:
        self.app = app
        self.backends = backends

    def client(self, key: str | None = KEY, **headers: str) -> httpx.AsyncClient:
        """A client in this event loop, so that requests can really meet (Litestar's own test client blocks)."""
        given = headers if key is None else {"X-API-Key": key} | headers
        transport = httpx.ASGITransport(self.app, client=("203.0.113.7", 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://parlante.test", headers=given)

    async def metric(self, name: str) -> float:
        """One figure of ``/metrics``, with its labels as they are written there."""
        async with self.client() as client:
            lines = (await client.get("/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)

    async def places_taken(self) -> float:
        """Requests at both engines, or waiting for them."""
        return sum(
            [await self.metric(f'parlante_places_taken{{use_case="{name}"}}') for name in ("transcribe", "synthesize")]
        )


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[None, None]:
    """An application between its start and its stop, both in one task as servers have it."""
    ready, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            ready.set()
            await stop.wait()

    life = asyncio.create_task(live())
    started = asyncio.create_task(ready.wait())
    await asyncio.wait({life, started}, return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    if life.done():
        life.result()
    try:
        yield
    finally:
        stop.set()
        await life


StartService = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backends:
    made = Backends(directory=tmp_path / "objects")
    monkeypatch.setattr(InUse, "backends", made, raising=False)
    install_backends(monkeypatch, *ENTRY_POINTS)
    return made


@pytest.fixture
def settings(backends: Backends) -> Callable[..., Settings]:
    """Loads the settings of production with this test's backends and variables."""

    def load(**variables: str) -> Settings:
        return load_settings("prod", _VARIABLES | variables)

    return load


@pytest.fixture
def start(backends: Backends, settings: Callable[..., Settings]) -> StartService:
    """Starts a service with these variables."""

    @asynccontextmanager
    async def started(**variables: str) -> AsyncGenerator[Service, None]:
        app = create_app(settings(**variables))
        async with running(app):
            yield Service(app, backends)

    return started


@pytest.fixture
async def service(start: StartService) -> AsyncGenerator[Service, None]:
    async with start() as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Somebody with a key."""
    async with service.client() as client:
        yield client


@pytest.fixture
async def stranger(service: Service) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Somebody without one."""
    async with service.client(key=None) as client:
        yield client


@pytest.fixture(scope="session")
def recording() -> bytes:
    """Three seconds of speech."""
    return (AUDIO / "wav-s16-8k-mono.wav").read_bytes()
