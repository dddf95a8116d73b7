"""Opens each voice activity detector that the contract holds for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.silero import PLUGIN
from domain.ports.plugin import Host, NoOptions
from domain.ports.voice_activity import VoiceActivityDetector


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["silero"])
async def detector(request: pytest.FixtureRequest) -> AsyncIterator[VoiceActivityDetector]:
    """Each detector, opened."""
    assert request.param == "silero"
    async with PLUGIN.open(NoOptions(), Host(models_dir=Path(os.devnull))) as opened:
        yield opened
