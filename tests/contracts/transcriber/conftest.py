"""Opens each transcriber that the contract holds for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.faster_whisper import PLUGIN as FASTER_WHISPER
from adapters.faster_whisper import FasterWhisperOptions
from adapters.pocketsphinx import PLUGIN as POCKETSPHINX
from adapters.pocketsphinx import PocketSphinxOptions
from domain.ports.plugin import Host
from domain.ports.transcriber import Feature, Transcriber
from tests.engines.recordings import WHISPER_MINI
from tests.fakes.transcriber import FakeTranscriber


@asynccontextmanager
async def _fake() -> AsyncIterator[Transcriber]:
    yield FakeTranscriber()


@asynccontextmanager
async def _fake_that_knows_little() -> AsyncIterator[Transcriber]:
    yield FakeTranscriber(languages=("en",), features=frozenset({Feature.WORD_TIMESTAMPS}), language_probability=1.0)


@pytest_asyncio.fixture(
    scope="module",  # a model takes a while to load
    loop_scope="module",
    params=["fake", "fake-that-knows-little", "faster-whisper", "pocketsphinx"],
)
async def transcriber(request: pytest.FixtureRequest) -> AsyncIterator[Transcriber]:
    """Each transcriber, opened."""
    match request.param:
        case "fake":
            opening: AbstractAsyncContextManager[Transcriber] = _fake()
        case "fake-that-knows-little":
            opening = _fake_that_knows_little()
        case "faster-whisper":
            options = FasterWhisperOptions(model=WHISPER_MINI.name, parallel=2, cpu_threads=1)
            opening = FASTER_WHISPER.open(options, Host(models_dir=WHISPER_MINI.parent, device="cpu"))
        case _:
            opening = POCKETSPHINX.open(PocketSphinxOptions(parallel=2), Host(models_dir=Path(os.devnull)))
    async with opening as opened:
        yield opened
