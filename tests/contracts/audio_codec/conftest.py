"""Opens each audio codec that the contract holds for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.pyav import PLUGIN
from domain.ports.audio_codec import AudioCodec
from domain.ports.plugin import Host, NoOptions


@pytest.fixture(params=["pyav"])
async def codec(request: pytest.FixtureRequest) -> AsyncIterator[AudioCodec]:
    """Each audio codec, opened."""
    assert request.param == "pyav"
    async with PLUGIN.open(NoOptions(), Host(models_dir=Path(os.devnull))) as opened:
        yield opened
