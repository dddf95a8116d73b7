"""Opens each transcriber that streams by itself."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.pocketsphinx import PLUGIN as POCKETSPHINX
from adapters.pocketsphinx import PocketSphinxOptions
from domain.ports.plugin import Host
from domain.ports.streaming_transcriber import StreamingTranscriber
from tests.fakes.streaming_transcriber import FakeStreamingTranscriber


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fake", "pocketsphinx"])
async def transcriber(request: pytest.FixtureRequest) -> AsyncIterator[StreamingTranscriber]:
    """Each transcriber, opened."""
    if request.param == "fake":
        yield FakeStreamingTranscriber()
        return
    async with POCKETSPHINX.open(PocketSphinxOptions(parallel=1), Host(models_dir=Path(os.devnull))) as opened:
        assert isinstance(opened, StreamingTranscriber)
        yield opened
